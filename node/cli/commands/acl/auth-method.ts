/** `acl auth-method`: where credentials of other systems are exchanged for tokens. */

import type { FlagSpec, ParsedFlags } from '../../../config/flags.ts';
import { type ApiClient, UnexpectedStatusError } from '../../api-client.ts';
import { encodePath } from '../../client-command.ts';
import type { CliIo, CommandGroup } from '../../command.ts';
import { readDataArgument } from '../../data-argument.ts';
import { boolFlag, messageOf, optionalTextFlag, textFlag } from '../../flag-access.ts';
import {
  aclCommand,
  FORMAT_FLAG,
  failingAs,
  META_FLAG,
  shown,
  shownList,
  UsageError,
} from './acl-command.ts';
import { isNotFound } from './lookup.ts';
import type { AuthMethod } from './objects.ts';
import { authMethodPrinter } from './print.ts';

const NAME: FlagSpec = { name: 'name', kind: 'string', usage: 'Name of the auth method.' };
const SETTING_FLAGS: readonly FlagSpec[] = [
  {
    name: 'config',
    kind: 'string',
    usage: 'Configuration as JSON. "@file" reads a file, "-" standard input.',
  },
  { name: 'description', kind: 'string', usage: 'Description of the auth method.' },
  { name: 'display-name', kind: 'string', usage: 'Name to show instead of the auth method name.' },
  {
    name: 'kubernetes-ca-cert',
    kind: 'string',
    usage: 'PEM encoded CA certificate of the Kubernetes API. May be @file.',
  },
  { name: 'kubernetes-host', kind: 'string', usage: 'Address of the Kubernetes API server.' },
  { name: 'kubernetes-service-account-jwt', kind: 'string', usage: 'JWT with which Consul asks Kubernetes.' },
  { name: 'max-token-ttl', kind: 'duration', usage: 'How long tokens of this auth method are valid.' },
  { name: 'token-locality', kind: 'string', usage: 'Kind of the tokens: local or global.' },
];

const create = aclCommand({
  synopsis: 'Create an ACL auth method',
  usage: `Usage: consul acl auth-method create -name NAME -type TYPE [options]

  Creates an auth method of the type kubernetes or jwt.`,
  flags: [
    NAME,
    { name: 'type', kind: 'string', usage: 'Type of the auth method.' },
    ...SETTING_FLAGS,
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags, io) {
    const missing = ['type', 'name'].find((name) => textFlag(flags, name) === '');
    if (missing !== undefined) throw new UsageError(`Missing required '-${missing}' flag`);
    const settings = await settingsFromFlags(flags, io);
    const body = JSON.stringify({
      Name: textFlag(flags, 'name'),
      Type: textFlag(flags, 'type'),
      ...settings,
    });
    const created = client.json<AuthMethod>({ method: 'PUT', path: '/v1/acl/auth-method', body });
    return shown(await failingAs('Failed to create new auth method', created), authMethodPrinter, flags);
  },
});

const read = aclCommand({
  synopsis: 'Read an ACL auth method',
  usage: 'Usage: consul acl auth-method read -name NAME [options]\n\n  Shows an auth method.',
  flags: [NAME, META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const name = requiredName(flags);
    return shown(await readMethod(client, name), authMethodPrinter, flags);
  },
});

const list = aclCommand({
  synopsis: 'Lists ACL auth methods',
  usage: 'Usage: consul acl auth-method list [options]\n\n  Lists all the auth methods.',
  flags: [META_FLAG, FORMAT_FLAG],
  async act(client, flags) {
    const methods = client.json<AuthMethod[]>({ method: 'GET', path: '/v1/acl/auth-methods' });
    return shownList(
      await failingAs('Failed to retrieve the auth method list', methods),
      authMethodPrinter,
      flags,
    );
  },
});

const update = aclCommand({
  synopsis: 'Update an ACL auth method',
  usage: `Usage: consul acl auth-method update -name NAME [options]

  Changes an auth method. What is not given stays as it is, unless -no-merge
  is used.`,
  flags: [
    NAME,
    ...SETTING_FLAGS,
    { name: 'no-merge', kind: 'bool', usage: 'Do not keep anything of the current auth method.' },
    META_FLAG,
    FORMAT_FLAG,
  ],
  async act(client, flags, io) {
    const name = requiredName(flags);
    const current = await readMethod(client, name);
    const settings = await settingsFromFlags(flags, io);
    const base = boolFlag(flags, 'no-merge') ? { Name: current.Name, Type: current.Type } : current;
    const config = boolFlag(flags, 'no-merge') ? settings.Config : { ...current.Config, ...settings.Config };
    const body = JSON.stringify({ ...base, ...settings, Config: config });
    const path = `/v1/acl/auth-method/${encodePath(name)}`;
    const updated = client.json<AuthMethod>({ method: 'PUT', path, body });
    return shown(await failingAs(`Error updating auth method "${name}"`, updated), authMethodPrinter, flags);
  },
});

const remove = aclCommand({
  synopsis: 'Delete an ACL auth method',
  usage:
    'Usage: consul acl auth-method delete -name NAME [options]\n\n  Deletes an auth method and its tokens.',
  flags: [NAME],
  async act(client, flags) {
    const name = requiredName(flags);
    const path = `/v1/acl/auth-method/${encodePath(name)}`;
    await failingAs(`Error deleting auth method "${name}"`, client.expectOk({ method: 'DELETE', path }));
    return `Auth method "${name}" deleted successfully\n`;
  },
});

export const authMethodCommand: CommandGroup = {
  kind: 'group',
  synopsis: "Manage Consul's ACL auth methods",
  usage: `Usage: consul acl auth-method <subcommand> [options] [args]

  This command has subcommands for managing Consul ACL auth methods.`,
  commands: { create, delete: remove, list, read, update },
};

function requiredName(flags: ParsedFlags): string {
  const name = textFlag(flags, 'name');
  if (name === '') throw new UsageError("Missing required '-name' flag");
  return name;
}

async function readMethod(client: ApiClient, name: string): Promise<AuthMethod> {
  try {
    return await client.json<AuthMethod>({ method: 'GET', path: `/v1/acl/auth-method/${encodePath(name)}` });
  } catch (error) {
    if (error instanceof UnexpectedStatusError && isNotFound(error)) {
      throw new Error(`Auth method not found with name "${name}"`);
    }
    throw new Error(`Error reading auth method "${name}": ${messageOf(error)}`);
  }
}

/** Only what is given. @throws Error */
async function settingsFromFlags(flags: ParsedFlags, io: CliIo) {
  const load = async (name: string) => {
    const given = textFlag(flags, name);
    return given === '' ? undefined : Buffer.from(await readDataArgument(given, io)).toString();
  };
  const config = await failingAs("Error loading '-config' flag", load('config'));
  const kubernetes = {
    Host: optionalTextFlag(flags, 'kubernetes-host'),
    CACert: await failingAs("Error loading '-kubernetes-ca-cert' flag", load('kubernetes-ca-cert')),
    ServiceAccountJWT: optionalTextFlag(flags, 'kubernetes-service-account-jwt'),
  };
  const settings = {
    DisplayName: optionalTextFlag(flags, 'display-name'),
    Description: optionalTextFlag(flags, 'description'),
    MaxTokenTTL: optionalTextFlag(flags, 'max-token-ttl'),
    TokenLocality: optionalTextFlag(flags, 'token-locality'),
    Config: { ...parsedConfig(config), ...present(kubernetes) },
  };
  return present(settings);
}

function parsedConfig(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {};
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config === 'object' && config !== null && !Array.isArray(config)) return { ...config };
  } catch (error) {
    throw new Error(`Error parsing JSON for '-config' flag: ${messageOf(error)}`);
  }
  throw new Error("Error parsing JSON for '-config' flag: an object is wanted");
}

function present<T extends Record<string, unknown>>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}
