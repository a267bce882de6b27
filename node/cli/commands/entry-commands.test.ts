/** config, login and logout. */

import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type FakeAgent, type Route, startFakeAgent } from '../testing/fake-agent.ts';
import { runCli } from '../testing/run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'entry-test-'));
let agent: FakeAgent | undefined;

afterEach(async () => {
  await agent?.close();
  agent = undefined;
});

async function run(args: readonly string[], routes: Readonly<Record<string, Route>> = {}, stdin = '') {
  await agent?.close();
  agent = await startFakeAgent(routes);
  return runCli(args, { address: agent.address, stdin });
}

const failed = (err: string) => ({ code: 1, out: '', err });
const done = (out: string) => ({ code: 0, out, err: '' });
const sentBody = () => JSON.parse(agent?.requests.at(-1)?.body.toString() ?? '');
const written: Record<string, Route> = { 'PUT /v1/config': { body: 'true' } };

test('config write takes HCL and JSON, from a file or standard input', async () => {
  const file = join(folder, 'web.hcl');
  writeFileSync(file, 'kind = "service-defaults"\nname = "web"\nprotocol = "http"\n');
  expect(await run(['config', 'write', file], written)).toEqual(
    done('Config entry written: service-defaults/web\n'),
  );
  expect(sentBody()).toEqual({ kind: 'service-defaults', name: 'web', protocol: 'http' });
  const json = '{"Kind": "proxy-defaults", "Name": "global", "Config": {"a": 1}}';
  const input = await run(['config', 'write', '-cas', '-modify-index=7', '-'], written, json);
  expect(input).toEqual(done('Config entry written: proxy-defaults/global\n'));
  expect(agent?.requests.at(-1)?.query.get('cas')).toBe('7');
  expect(sentBody()).toEqual(JSON.parse(json));
});

test('config write says why nothing was written', async () => {
  const json = '{"Kind": "service-defaults", "Name": "web"}';
  expect(await run(['config', 'write', '-'], { 'PUT /v1/config': { body: 'false' } }, json)).toEqual(
    failed('Config entry not updated: service-defaults/web\n'),
  );
  const refused: Record<string, Route> = { 'PUT /v1/config': { status: 400, body: 'Bad request' } };
  expect(await run(['config', 'write', '-'], refused, json)).toEqual(
    failed('Error writing config entry service-defaults/web: Unexpected response code: 400 (Bad request)\n'),
  );
  expect((await run(['config', 'write', '-'], {}, '{"Name": "x"}')).err).toBe(
    'Failed to decode config entry input: Payload does not contain a kind/Kind key at the top level\n',
  );
  expect((await run(['config', 'write', '-'], {}, '{"Name": ')).err).toBe(
    'Failed to decode config entry input: unexpected end of JSON input\n',
  );
  expect((await run(['config', 'write', '/no/such'])).err).toBe(
    'Failed to load data: Failed to read file: open /no/such: no such file or directory\n',
  );
  expect((await run(['config', 'write'])).err).toBe(
    'Must provide exactly one positional argument to specify the config entry to write\n',
  );
  expect((await run(['config', 'write', '-http-addr=x://y', '-'])).err).toBe(
    'Error connect to Consul agent: Unknown protocol scheme: x\n',
  );
});

test('config read, list and delete', async () => {
  const routes: Record<string, Route> = {
    'GET /v1/config/service-defaults/web': { body: { Kind: 'service-defaults', Name: 'web' } },
    'GET /v1/config/service-defaults/none': { status: 404, body: 'Config entry not found' },
    'GET /v1/config/service-defaults': { body: [{ Name: 'web' }, { Name: 'db' }] },
    'DELETE /v1/config/service-defaults/web': { body: {} },
  };
  const entry = ['-kind=service-defaults', '-name=web'];
  expect(await run(['config', 'read', ...entry], routes)).toEqual(
    done('{\n    "Kind": "service-defaults",\n    "Name": "web"\n}\n'),
  );
  expect(await run(['config', 'list', '-kind=service-defaults'], routes)).toEqual(done('web\ndb\n'));
  expect(await run(['config', 'delete', ...entry], routes)).toEqual(
    done('Config entry deleted: service-defaults/web\n'),
  );
  expect(await run(['config', 'read', '-kind=service-defaults', '-name=none'], routes)).toEqual(
    failed(
      'Error reading config entry service-defaults/none: Unexpected response code: 404 (Config entry not found)\n',
    ),
  );
  expect((await run(['config', 'read'])).err).toBe('Must specify the -kind parameter\n');
  expect((await run(['config', 'delete', '-kind=a'])).err).toBe('Must specify the -name parameter\n');
  expect((await run(['config', 'list'])).err).toBe('Must specify the -kind parameter\n');
});

test('login exchanges a credential for a token in a file of its owner', async () => {
  const bearer = join(folder, 'jwt');
  const sink = join(folder, 'token');
  writeFileSync(bearer, ' secret-jwt \n');
  writeFileSync(sink, 'old', { mode: 0o644 });
  const routes: Record<string, Route> = { 'POST /v1/acl/login': { body: { SecretID: 'new-secret' } } };
  const args = ['login', '-method=minikube', `-bearer-token-file=${bearer}`, `-token-sink-file=${sink}`];
  expect(await run([...args, '-meta=a=b'], routes)).toEqual(done(''));
  expect(sentBody()).toEqual({ AuthMethod: 'minikube', BearerToken: 'secret-jwt', Meta: { a: 'b' } });
  expect(readFileSync(sink, 'utf8')).toBe('new-secret');
  expect(statSync(sink).mode & 0o777).toBe(0o600);
  expect(existsSync(`${sink}.tmp`)).toBe(false);
  const denied = await run(args, { 'POST /v1/acl/login': { status: 403, body: 'Permission denied' } });
  expect(denied).toEqual(failed('Error logging in: Unexpected response code: 403 (Permission denied)\n'));
  writeFileSync(bearer, '\n');
  expect((await run(args, routes)).err).toBe(`No bearer token found in ${bearer}\n`);
});

test('login and logout refuse what they cannot use', async () => {
  expect((await run(['login'])).err).toBe("Missing required '-method' flag\n");
  expect((await run(['login', '-method=a'])).err).toBe("Missing required '-token-sink-file' flag\n");
  expect((await run(['login', 'x'])).err).toBe('Should have no non-flag arguments.\n');
  expect((await run(['logout', 'x'])).err).toBe('Should have no non-flag arguments.\n');
  expect(await run(['logout', '-token=t'], { 'POST /v1/acl/logout': { body: 'true' } })).toEqual(done(''));
  expect(agent?.requests.at(-1)?.headers['x-consul-token']).toBe('t');
  expect((await run(['logout'])).err).toMatch(/^Error destroying token: Unexpected response code: 404/);
});
