import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';
import { addressBytes } from './der.ts';

const home = process.cwd();
beforeEach(() => process.chdir(mkdtempSync(join(tmpdir(), 'tls-test-'))));
afterEach(() => process.chdir(home));

const certificate = (file: string) => new X509Certificate(readFileSync(file));
const create = (...args: string[]) => runCli(['tls', 'cert', 'create', ...args]);

test('an authority signs itself, and its key is kept private', async () => {
  expect(await runCli(['tls', 'ca', 'create'])).toEqual({
    code: 0,
    out: '==> Saved consul-agent-ca.pem\n==> Saved consul-agent-ca-key.pem\n',
    err: '',
  });
  const ca = certificate('consul-agent-ca.pem');
  expect(ca.ca).toBe(true);
  expect(ca.verify(ca.publicKey)).toBe(true);
  expect(ca.checkIssued(ca)).toBe(true);
  expect(ca.subject).toMatch(/^O=Proconsul\nCN=Consul Agent CA \d+$/);
  expect(statSync('consul-agent-ca-key.pem').mode & 0o777).toBe(0o600);
  expect(readFileSync('consul-agent-ca-key.pem', 'utf8')).toMatch(/^-----BEGIN EC PRIVATE KEY-----\n/);
  const days = (Date.parse(ca.validTo) - Date.parse(ca.validFrom)) / 86_400_000;
  expect(days).toBe(1825);
  expect(await runCli(['tls', 'ca', 'create'])).toEqual({
    code: 1,
    out: '',
    err: 'consul-agent-ca.pem already exists.\n',
  });
});

test('certificates name their role, and are numbered', async () => {
  await runCli(['tls', 'ca', 'create', '-domain=example']);
  const server = await create(
    '-server',
    '-domain=example',
    '-dc=east',
    '-node=n1',
    '-additional-dnsname=web.x',
  );
  expect(server.out).toMatch(/^==> WARNING: Server Certificates grants authority (.*\n){5}/);
  expect(server.out).toContain(
    '==> Using example-agent-ca.pem and example-agent-ca-key.pem\n==> Saved east-server-example-0.pem\n==> Saved east-server-example-0-key.pem\n',
  );
  const leaf = certificate('east-server-example-0.pem');
  expect(leaf.subject).toBe('O=Proconsul\nCN=server.east.example');
  expect(leaf.subjectAltName).toBe(
    'DNS:web.x, DNS:n1.server.east.example, DNS:server.east.example, DNS:localhost, IP Address:127.0.0.1',
  );
  expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  expect(leaf.ca).toBe(false);
  const ca = certificate('example-agent-ca.pem');
  expect(leaf.checkIssued(ca)).toBe(true);
  expect(leaf.verify(ca.publicKey)).toBe(true);
  await create('-server', '-domain=example', '-dc=east');
  await create('-client', '-domain=example', '-additional-ipaddress=2001:db8::1');
  await create('-cli', '-domain=example');
  expect(
    readdirSync('.')
      .filter((name) => !name.includes('key') && !name.includes('ca'))
      .sort(),
  ).toEqual([
    'dc1-cli-example-0.pem',
    'dc1-client-example-0.pem',
    'east-server-example-0.pem',
    'east-server-example-1.pem',
  ]);
  expect(certificate('dc1-client-example-0.pem').subjectAltName).toBe(
    'DNS:client.dc1.example, DNS:localhost, IP Address:2001:DB8:0:0:0:0:0:1, IP Address:127.0.0.1',
  );
  const cli = certificate('dc1-cli-example-0.pem');
  expect(cli.subjectAltName).toBe('DNS:cli.dc1.example, DNS:localhost');
  expect(cli.keyUsage ?? []).toEqual([]);
});

test('servers and clients believe each other by them', async () => {
  await runCli(['tls', 'ca', 'create', '-name-constraint']);
  await create('-server');
  await create('-client');
  const ca = readFileSync('consul-agent-ca.pem');
  const server = tls.createServer(
    {
      ca,
      cert: readFileSync('dc1-server-consul-0.pem'),
      key: readFileSync('dc1-server-consul-0-key.pem'),
      requestCert: true,
      rejectUnauthorized: true,
    },
    (socket) => socket.end(String(socket.getPeerCertificate().subject.CN)),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const text = await new Promise<string>((resolve, reject) => {
    const socket = tls.connect({
      ca,
      cert: readFileSync('dc1-client-consul-0.pem'),
      key: readFileSync('dc1-client-consul-0-key.pem'),
      host: '127.0.0.1',
      port,
      servername: 'server.dc1.consul',
    });
    socket.on('data', (chunk) => resolve(String(chunk)));
    socket.on('error', reject);
  });
  server.close();
  expect(text).toBe('client.dc1.consul');
});

test('an authority held to its domains is not believed about others', async () => {
  await runCli(['tls', 'ca', 'create', '-name-constraint', '-additional-name-constraint=other']);
  const text = certificate('consul-agent-ca.pem').toString();
  expect(text).toBe(readFileSync('consul-agent-ca.pem', 'utf8'));
  const raw = certificate('consul-agent-ca.pem').raw.toString('latin1');
  for (const domain of ['other', 'localhost', 'consul']) expect(raw).toContain(domain);
});

test.each([
  [[], 'Please provide either -server, -client, or -cli'],
  [['-server', '-client'], 'Please provide either -server, -client, or -cli'],
  [['-client', '-node=n'], '-node requires -server'],
  [['-client', '-days=0'], '-days must be positive'],
  [['-client', '-dc=../x'], '-dc may only hold letters, digits, dots, dashes and underscores'],
  [['-client', 'x'], 'Unexpected extra arguments: [x]'],
  [['-client'], 'Error reading CA: open consul-agent-ca.pem: no such file or directory'],
])('tls cert create %j is refused: %s', async (args, text) => {
  expect(await create(...args)).toEqual({ code: 1, out: '', err: `${text}\n` });
});

test('a key of another authority, or an address that is none, is refused', async () => {
  await runCli(['tls', 'ca', 'create']);
  await runCli(['tls', 'ca', 'create', '-domain=other']);
  expect((await create('-client', '-key=other-agent-ca-key.pem')).err).toBe(
    'Error creating certificate: the key does not belong to the certificate\n',
  );
  expect((await create('-client', '-additional-ipaddress=1.2.3')).err).toBe(
    'Error creating certificate: "1.2.3" is not an IP address\n',
  );
  writeFileSync('junk.pem', 'junk');
  expect((await create('-client', '-ca=junk.pem')).err).toMatch(/^Error creating certificate: /);
});

test('IPv6 addresses are sixteen bytes, however written', () => {
  const hex = (ip: string) => addressBytes(ip).toString('hex');
  expect(hex('::')).toBe('0'.repeat(32));
  expect(hex('2001:db8::1:2')).toBe('20010db8000000000000000000010002');
  expect(hex('::ffff:1.2.3.4')).toBe('00000000000000000000ffff01020304');
  expect(hex('fe80::')).toBe(`fe80${'0'.repeat(28)}`);
});
