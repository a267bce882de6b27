/** `tls`: an authority of one's own and certificates for agents, in files of the current folder. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import type { CliIo, Command, CommandGroup } from '../../command.ts';
import { boolFlag, intFlag, listFlag, messageOf, textFlag } from '../../flag-access.ts';
import { fileErrorText } from '../../system-text.ts';
import { type CertificateAndKey, createAuthority, createLeaf } from './certificate.ts';

const DOMAIN: FlagSpec = { name: 'domain', kind: 'string', usage: 'Domain of the cluster. Default consul.' };

const SERVER_WARNING = `==> WARNING: Server Certificates grants authority to become a server and to
    access all state in the cluster, including root keys and all ACL tokens.
    Whoever has one is trusted like a server.
    Do not distribute them to production hosts that are not server nodes.
    Store them as securely as the keys of the CA.
`;

const caCreate: Command = {
  kind: 'command',
  synopsis: 'Create a new consul CA',
  usage: `Usage: consul tls ca create [options]

  Creates a new CA for TLS between agents, in two files of the current folder.

      $ consul tls ca create
      ==> Saved consul-agent-ca.pem
      ==> Saved consul-agent-ca-key.pem`,
  flags: [
    { name: 'days', kind: 'int', usage: 'How many days the CA is valid. Default 1825.' },
    DOMAIN,
    {
      name: 'name-constraint',
      kind: 'bool',
      usage: 'Let the CA issue certificates for the domain and localhost only.',
    },
    {
      name: 'additional-name-constraint',
      kind: 'strings',
      usage: 'Domain that the CA may issue certificates for as well. Can be specified multiple times.',
    },
  ],
  async run(flags, io) {
    const domain = textFlag(flags, 'domain', 'consul');
    const problem = argumentProblem(flags);
    if (problem !== undefined) return failed(io, problem);
    const additional = listFlag(flags, 'additional-name-constraint');
    const isConstrained = boolFlag(flags, 'name-constraint') || additional.length > 0;
    const authority = createAuthority({
      days: intFlag(flags, 'days') ?? 1825,
      permittedDomains: isConstrained ? [...additional, 'localhost', domain] : [],
      nowMs: io.clock.nowMs(),
    });
    return save(`${domain}-agent-ca`, authority, io);
  },
};

const certCreate: Command = {
  kind: 'command',
  synopsis: 'Create a new certificate',
  usage: `Usage: consul tls cert create [options]

  Creates a certificate for a server, a client or the command line, signed by
  the CA of the current folder.

      $ consul tls cert create -server
      $ consul tls cert create -client`,
  flags: [
    { name: 'server', kind: 'bool', usage: 'Make a certificate for a server.' },
    { name: 'client', kind: 'bool', usage: 'Make a certificate for a client.' },
    { name: 'cli', kind: 'bool', usage: 'Make a certificate for the command line.' },
    { name: 'dc', kind: 'string', usage: 'Datacenter of the certificate. Default dc1.' },
    { name: 'days', kind: 'int', usage: 'How many days the certificate is valid. Default 365.' },
    DOMAIN,
    { name: 'ca', kind: 'string', usage: 'File of the CA. Default <domain>-agent-ca.pem.' },
    { name: 'key', kind: 'string', usage: "File of the CA's key. Default <domain>-agent-ca-key.pem." },
    { name: 'node', kind: 'string', usage: 'Name of the server, to be named as well. Only with -server.' },
    {
      name: 'additional-dnsname',
      kind: 'strings',
      usage: 'DNS name to be named as well. Can be specified multiple times.',
    },
    {
      name: 'additional-ipaddress',
      kind: 'strings',
      usage: 'IP address to be named as well. Can be specified multiple times.',
    },
  ],
  async run(flags, io) {
    const roles = (['server', 'client', 'cli'] as const).filter((role) => boolFlag(flags, role));
    const [role] = roles;
    if (role === undefined || roles.length > 1) {
      return failed(io, 'Please provide either -server, -client, or -cli');
    }
    const problem = argumentProblem(flags);
    if (problem !== undefined) return failed(io, problem);
    const node = textFlag(flags, 'node');
    if (node !== '' && role !== 'server') return failed(io, '-node requires -server');
    return createCertificate(role, node, flags, io);
  },
};

export const tlsCommand: CommandGroup = {
  kind: 'group',
  synopsis: 'Builtin helpers for creating CAs and certificates',
  usage: `Usage: consul tls <subcommand> <subcommand> [options]

  This command has subcommands for creating a CA and certificates for Consul
  TLS.`,
  commands: {
    ca: {
      kind: 'group',
      synopsis: 'Helpers for CAs',
      usage: 'Usage: consul tls ca <subcommand> [options] filename-prefix\n\n  Creates a CA.',
      commands: { create: caCreate },
    },
    cert: {
      kind: 'group',
      synopsis: 'Helpers for certificates',
      usage: 'Usage: consul tls cert <subcommand> [options] [filename-prefix]\n\n  Creates certificates.',
      commands: { create: certCreate },
    },
  },
};

type Role = 'server' | 'client' | 'cli';

function createCertificate(role: Role, node: string, flags: ParsedFlags, io: CliIo): number {
  const domain = textFlag(flags, 'domain', 'consul');
  const dc = textFlag(flags, 'dc', 'dc1');
  const caFile = textFlag(flags, 'ca', `${domain}-agent-ca.pem`);
  const keyFile = textFlag(flags, 'key', `${domain}-agent-ca-key.pem`);
  let authority: CertificateAndKey;
  try {
    authority = { certificate: readText(caFile), key: readText(keyFile) };
  } catch (error) {
    return failed(io, `Error reading CA: ${messageOf(error)}`);
  }
  const name = `${role}.${dc}.${domain}`;
  if (role === 'server') io.out(SERVER_WARNING);
  io.out(`==> Using ${caFile} and ${keyFile}\n`);
  try {
    const certificate = createLeaf(authority, {
      commonName: name,
      dnsNames: [
        ...listFlag(flags, 'additional-dnsname'),
        ...(node === '' ? [] : [`${node}.${name}`]),
        name,
        'localhost',
      ],
      ipAddresses: [...listFlag(flags, 'additional-ipaddress'), ...(role === 'cli' ? [] : ['127.0.0.1'])],
      isForTls: role !== 'cli',
      days: intFlag(flags, 'days') ?? 365,
      nowMs: io.clock.nowMs(),
    });
    return save(freePrefix(`${dc}-${role}-${domain}`), certificate, io);
  } catch (error) {
    return failed(io, `Error creating certificate: ${messageOf(error)}`);
  }
}

function argumentProblem(flags: ParsedFlags): string | undefined {
  if (flags.rest.length > 0) return `Unexpected extra arguments: [${flags.rest.join(' ')}]`;
  // The name of a certificate is also that of a file.
  const unsafe = ['domain', 'dc', 'node'].find((name) => /[^A-Za-z0-9._-]/.test(textFlag(flags, name)));
  if (unsafe !== undefined) return `-${unsafe} may only hold letters, digits, dots, dashes and underscores`;
  return (intFlag(flags, 'days') ?? 1) < 1 ? '-days must be positive' : undefined;
}

/** The first of `prefix-0`, `prefix-1`, … that has no files yet. */
function freePrefix(prefix: string): string {
  let number = 0;
  while (existsSync(`${prefix}-${number}.pem`) || existsSync(`${prefix}-${number}-key.pem`)) number++;
  return `${prefix}-${number}`;
}

/** Never replaces a file. The key is readable by its owner only. */
function save(prefix: string, { certificate, key }: CertificateAndKey, io: CliIo): number {
  const files = [
    { path: `${prefix}.pem`, content: certificate, mode: 0o644 },
    { path: `${prefix}-key.pem`, content: key, mode: 0o600 },
  ];
  const existing = files.find(({ path }) => existsSync(path));
  if (existing !== undefined) return failed(io, `${existing.path} already exists.`);
  for (const { path, content, mode } of files) {
    try {
      writeFileSync(path, content, { mode, flag: 'wx' });
    } catch (error) {
      return failed(io, fileErrorText('open', path, error));
    }
    io.out(`==> Saved ${path}\n`);
  }
  return 0;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(fileErrorText('open', path, error));
  }
}

function failed(io: CliIo, text: string): number {
  io.err(`${text}\n`);
  return 1;
}
