/** How flags and variables become requests, and failures become Consul's sentences. */

import { mkdtempSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { encodePath } from './client-command.ts';
import { type FakeAgent, startFakeAgent } from './testing/fake-agent.ts';
import { runCli } from './testing/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'api-client-test-'));
let agent: FakeAgent | undefined;

afterEach(async () => {
  await agent?.close();
  agent = undefined;
});

const leaders = { 'GET /v1/catalog/datacenters': { body: ['dc1'] } };

test('flags win over variables, and the token file over the token', async () => {
  agent = await startFakeAgent(leaders);
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, '  from-file\n');
  const env = {
    CONSUL_HTTP_ADDR: '127.0.0.1:1',
    CONSUL_HTTP_TOKEN: 'from-env',
    CONSUL_HTTP_AUTH: 'me:secret',
  };
  const address = `-http-addr=http://${agent.address}/`;
  await runCli(['catalog', 'datacenters', address], { env });
  await runCli(['catalog', 'datacenters', address, '-token=from-flag'], { env });
  await runCli(['catalog', 'datacenters', address, '-token=from-flag', `-token-file=${tokenFile}`], { env });
  expect(agent.requests.map((request) => request.headers['x-consul-token'])).toEqual([
    'from-env',
    'from-flag',
    'from-file',
  ]);
  expect(agent.requests[0]?.headers.authorization).toBe(`Basic ${btoa('me:secret')}`);
});

test('datacenter, staleness and namespace travel in the query', async () => {
  agent = await startFakeAgent(leaders);
  await runCli(['catalog', 'datacenters', '-datacenter=dc2', '-stale', '-namespace=a b'], agent);
  expect(agent.requests[0]?.query.toString()).toBe('dc=dc2&ns=a+b&stale=');
});

test('a unix socket is an address too', async () => {
  const path = join(folder, 'agent.sock');
  const server = http.createServer((_request, response) => response.end('["by-socket"]'));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const run = await runCli(['catalog', 'datacenters', `-http-addr=unix://${path}`]);
  server.closeAllConnections();
  server.close();
  expect(run).toEqual({ code: 0, out: 'by-socket\n', err: '' });
});

test.each([
  ['nonsense://x', 'Unknown protocol scheme: nonsense'],
  ['a b', 'invalid address "a b": use host:port'],
])('the address %s is refused', async (address, text) => {
  const run = await runCli(['catalog', 'datacenters', `-http-addr=${address}`]);
  expect(run).toEqual({ code: 1, out: '', err: `Error connecting to Consul agent: ${text}\n` });
});

test('files that cannot be read are named', async () => {
  const missing = join(folder, 'missing');
  const run = await runCli(['catalog', 'datacenters', `-token-file=${missing}`]);
  expect(run.code).toBe(1);
  const words = `open ${missing}: no such file or directory\n`;
  expect(run.err).toBe(`Error connecting to Consul agent: Error loading token file: ${words}`);
  const folderRun = await runCli([
    'catalog',
    'datacenters',
    '-http-addr=https://localhost:1',
    `-ca-path=${missing}`,
  ]);
  expect(folderRun.err).toBe(
    `Error connecting to Consul agent: lstat ${missing}: no such file or directory\n`,
  );
  const https = ['catalog', 'datacenters', '-http-addr=https://localhost:1'];
  expect((await runCli([...https, `-ca-file=${missing}`])).err).toBe(
    `Error connecting to Consul agent: Error loading CA File: ${words}`,
  );
  expect((await runCli([...https, `-client-cert=${missing}`])).err).toBe(
    `Error connecting to Consul agent: ${words}`,
  );
});

test('a variable that is no boolean is named and ignored', async () => {
  agent = await startFakeAgent(leaders);
  const run = await runCli(['catalog', 'datacenters'], {
    address: agent.address,
    env: { CONSUL_HTTP_SSL: 'maybe' },
  });
  expect(run).toEqual({
    code: 0,
    out: 'dc1\n',
    err: '[WARN] could not parse CONSUL_HTTP_SSL: "maybe" is not a boolean\n',
  });
});

test('failures read as those of Consul’s client', async () => {
  const refused = await runCli(['catalog', 'datacenters', '-http-addr=127.0.0.1:1']);
  expect(refused.err).toBe(
    'Error listing datacenters: Get "http://127.0.0.1:1/v1/catalog/datacenters": dial tcp 127.0.0.1:1: connect: connection refused\n',
  );
  const path = join(folder, 'nobody.sock');
  const absent = await runCli(['catalog', 'datacenters', `-http-addr=unix://${path}`]);
  expect(absent.err).toBe(
    `Error listing datacenters: Get "http://${encodeURIComponent(path)}/v1/catalog/datacenters": dial unix ${path}: connect: no such file or directory\n`,
  );
  agent = await startFakeAgent({ 'GET /v1/catalog/datacenters': { status: 500, body: 'No cluster leader' } });
  const plain = await runCli(['catalog', 'datacenters', `-http-addr=https://${agent.address}`]);
  expect(plain.err).toMatch(/: http: server gave HTTP response to HTTPS client\n$/);
  expect((await runCli(['catalog', 'datacenters'], agent)).err).toBe(
    'Error listing datacenters: Unexpected response code: 500 (No cluster leader)\n',
  );
});

test('an answer that breaks off is an error', async () => {
  agent = await startFakeAgent({
    'GET /v1/catalog/datacenters': { headers: { 'Content-Length': '100' }, body: '["dc', staysOpen: true },
  });
  const { open } = agent;
  const running = runCli(['catalog', 'datacenters'], agent);
  await expect.poll(() => open.size).toBe(1);
  for (const response of open) response.destroy();
  expect((await running).err).toMatch(/^Error listing datacenters: .*EOF\n$/);
});

test('paths are encoded as Go does it', () => {
  expect(encodePath('a/b c/d:e@f+g=h&i$j')).toBe('a/b%20c/d:e@f+g=h&i$j');
  expect(encodePath("(x)!'*?%;,ä")).toBe('%28x%29%21%27%2A%3F%25%3B%2C%C3%A4');
});
