/** The commands that are one request: event, rtt, keyring, monitor, info, maint, version, keygen. */

import { afterEach, expect, test } from 'vitest';
import { type FakeAgent, type Route, startFakeAgent } from '../testing/fake-agent.ts';
import { runCli } from '../testing/run-cli.ts';

let agent: FakeAgent | undefined;

afterEach(async () => {
  await agent?.close();
  agent = undefined;
});

async function run(args: readonly string[], routes: Readonly<Record<string, Route>> = {}) {
  await agent?.close();
  agent = await startFakeAgent(routes);
  return runCli(args, agent);
}

const failed = (err: string) => ({ code: 1, out: '', err });

test('event fires with payload and filters', async () => {
  const fired = await run(['event', '-name=deploy/a', '-node=^n', '-service=web', '-tag=v1', 'now'], {
    'PUT /v1/event/fire/deploy/a': { body: { ID: 'abc' } },
  });
  expect(fired).toEqual({ code: 0, out: 'Event ID: abc\n', err: '' });
  const sent = agent?.requests.at(-1);
  expect(sent?.body.toString()).toBe('now');
  expect(Object.fromEntries(sent?.query ?? [])).toEqual({ node: '^n', service: 'web', tag: 'v1' });
});

test('event refuses what it cannot fire', async () => {
  expect((await run(['event'])).err).toMatch(/^Event name must be specified\n\nUsage: consul event /);
  expect((await run(['event', '-name=a', 'b', 'c'])).err).toMatch(/^Too many command line arguments\.\n/);
  expect(await run(['event', '-name=a', '-tag=b'])).toEqual(
    failed('Cannot provide tag filter without service filter.\n'),
  );
  expect(await run(['event', '-name=a', '-service=['])).toEqual(
    failed('Failed to compile service filter regexp: error parsing regexp: missing closing ]: `[`\n'),
  );
  const refused = await run(['event', '-name=a'], {
    'PUT /v1/event/fire/a': { status: 403, body: 'Permission denied' },
  });
  expect(refused).toEqual(failed('Error firing event: Unexpected response code: 403 (Permission denied)\n'));
});

const coordinate = (x: number, height: number, adjustment: number) => ({
  Vec: [x, 0, 0, 0, 0, 0, 0, 0],
  Error: 0.1,
  Adjustment: adjustment,
  Height: height,
});

test('rtt adds heights and adjustments, unless these make it negative', async () => {
  const nodes: Route = {
    body: [
      { Node: 'n1', Segment: '', Coord: coordinate(0.01, 0.001, 0.0005) },
      { Node: 'n2', Segment: '', Coord: coordinate(0.03, 0.001, 0.0005) },
      { Node: 'n3', Segment: '', Coord: coordinate(0.01, 0.001, -1) },
    ],
  };
  const routes = { 'GET /v1/coordinate/nodes': nodes };
  expect(await run(['rtt', 'n1', 'n2'], routes)).toEqual({
    code: 0,
    out: 'Estimated n1 <-> n2 rtt: 23.000 ms (using LAN coordinates)\n',
    err: '',
  });
  expect((await run(['rtt', 'n3'], routes)).out).toBe(
    'Estimated n3 <-> n1 rtt: 2.000 ms (using LAN coordinates)\n',
  );
  expect(await run(['rtt', 'n1', 'x'], routes)).toEqual(failed('Could not find a coordinate for node "x"\n'));
});

test('rtt -wan names servers with their datacenter', async () => {
  const routes: Record<string, Route> = {
    'GET /v1/coordinate/datacenters': {
      body: [
        { Datacenter: 'dc1', AreaID: 'wan', Coordinates: [{ Node: 'n1', Coord: coordinate(0, 0, 0) }] },
        { Datacenter: 'dc2', AreaID: 'wan', Coordinates: [{ Node: 'n2', Coord: coordinate(0.1, 0, 0) }] },
        { Datacenter: 'dc3', AreaID: 'wan', Coordinates: null },
      ],
    },
  };
  expect((await run(['rtt', '-wan', 'n2.dc2'], routes)).out).toBe(
    'Estimated n2.dc2 <-> n1.dc1 rtt: 100.000 ms (using WAN coordinates)\n',
  );
  expect(await run(['rtt', '-wan', 'n2'], routes)).toEqual(
    failed('Node names must be specified as <node name>.<datacenter> with -wan\n'),
  );
  expect((await run(['rtt'])).err).toMatch(/^One or two node names must be specified\n/);
});

const pools: Route = {
  body: [
    { WAN: true, Datacenter: 'dc1', Segment: '', Keys: { key1: 3 }, PrimaryKeys: { key1: 3 }, NumNodes: 3 },
    {
      WAN: false,
      Datacenter: 'dc1',
      Segment: '',
      Messages: { n2: 'is slow' },
      Keys: { key1: 5, key2: 4 },
      PrimaryKeys: { key1: 5 },
      NumNodes: 5,
    },
  ],
};

test('keyring lists every key, or the primary ones', async () => {
  const routes = { 'GET /v1/operator/keyring': pools };
  expect(await run(['keyring', '-list'], routes)).toEqual({
    code: 0,
    out: `==> Gathering installed encryption keys...

WAN:
  key1 [3/3]

dc1 (LAN):
  ===> n2: is slow
  key1 [5/5]
  key2 [4/5]
`,
    err: '',
  });
  const primary = await run(['keyring', '-list-primary', '-local-only', '-relay-factor=3'], routes);
  expect(primary.out).toContain('==> Gathering installed primary encryption keys...\n');
  expect(primary.out).not.toContain('key2');
  expect(agent?.requests.at(-1)?.query.toString()).toBe('local-only=true&relay-factor=3');
});

test.each([
  ['-install', 'POST', 'Installing new gossip encryption key'],
  ['-use', 'PUT', 'Changing primary gossip encryption key'],
  ['-remove', 'DELETE', 'Removing gossip encryption key'],
])('keyring %s sends the key and says nothing more', async (flag, method, title) => {
  const result = await run(['keyring', flag, 'a2V5'], { [`${method} /v1/operator/keyring`]: {} });
  expect(result).toEqual({ code: 0, out: `==> ${title}...\n`, err: '' });
  expect(agent?.requests.at(-1)?.body.toString()).toBe('{"Key":"a2V5"}');
});

test('keyring refuses several actions, none, and a bad relay factor', async () => {
  expect(await run(['keyring', '-list', '-use=k'])).toEqual(failed('Only a single action is allowed\n'));
  expect((await run(['keyring'])).out).toMatch(/^Usage: consul keyring /);
  expect((await run(['keyring', '-list', '-relay-factor=6'])).err).toMatch(/^Error parsing relay factor: /);
  expect((await run(['keyring', '-use=k', '-local-only'])).err).toMatch(/^Error validating local-only: /);
  const denied = await run(['keyring', '-list'], {
    'GET /v1/operator/keyring': { status: 500, body: 'keyring operations must run against a server node' },
  });
  expect(denied.err).toBe(
    'error: Unexpected response code: 500 (keyring operations must run against a server node)\n',
  );
});

test('monitor prints what comes, and says when the agent goes away', async () => {
  agent = await startFakeAgent({ 'GET /v1/agent/monitor': { body: 'line one\n', staysOpen: true } });
  const { open, requests, address } = agent;
  const result = await runCli(['monitor', '-log-level=debug'], {
    address,
    onOut: () => {
      for (const response of open) response.destroy();
    },
  });
  expect(result).toEqual({
    code: 1,
    out: 'line one\n',
    err: '\nRemote side ended the monitor! This usually means that the\nremote side has exited or crashed.\n',
  });
  expect(requests[0]?.query.get('loglevel')).toBe('debug');
});

test('an interrupt ends the monitor in good order', async () => {
  agent = await startFakeAgent({ 'GET /v1/agent/monitor': { body: 'x\n', staysOpen: true } });
  const interruption = new AbortController();
  const result = await runCli(['monitor'], {
    address: agent.address,
    interrupted: interruption.signal,
    onOut: () => interruption.abort('SIGINT'),
  });
  expect(result).toEqual({ code: 0, out: 'x\n', err: '' });
});

test('monitor names a level that does not exist', async () => {
  const routes: Record<string, Route> = {
    'GET /v1/agent/monitor': { status: 400, body: 'Bad request: Unknown log level: foo' },
  };
  const text = 'Unexpected response code: 400 (Bad request: Unknown log level: foo)\n';
  expect(await run(['monitor', '-log-level=foo'], routes)).toEqual(failed(`Error starting monitor: ${text}`));
  expect(await run(['monitor', '-log-json'], routes)).toEqual(failed(`Error starting JSON monitor: ${text}`));
});

test('info shows sections and keys in order, with empty values', async () => {
  const self: Route = {
    body: { Stats: { raft: { term: '2', state: 'Leader' }, build: { prerelease: '' } } },
  };
  expect(await run(['info'], { 'GET /v1/agent/self': self })).toEqual({
    code: 0,
    out: 'build:\n\tprerelease = \nraft:\n\tstate = Leader\n\tterm = 2\n',
    err: '',
  });
});

test('maint lists what is under maintenance', async () => {
  const checks = {
    a: { CheckID: '_node_maintenance', Node: 'n1', Notes: 'disk' },
    b: { CheckID: '_service_maintenance:web1', Node: 'n1', Notes: 'update' },
    c: { CheckID: 'other', Node: 'n1', Notes: '' },
  };
  expect(await run(['maint'], { 'GET /v1/agent/checks': { body: checks } })).toEqual({
    code: 0,
    out: 'Node:\n  Name:   n1\n  Reason: disk\n\nService:\n  ID:     web1\n  Reason: update\n\n',
    err: '',
  });
});

test('maint switches the node and services', async () => {
  const routes: Record<string, Route> = {
    'PUT /v1/agent/maintenance': {},
    'PUT /v1/agent/service/maintenance/web': {},
    'PUT /v1/agent/service/maintenance/nope': { status: 404, body: 'No service registered with ID "nope"' },
  };
  expect((await run(['maint', '-enable', '-reason=a b'], routes)).out).toBe(
    'Node maintenance is now enabled\n',
  );
  expect(agent?.requests.at(-1)?.query.toString()).toBe('enable=true&reason=a+b');
  expect((await run(['maint', '-service=web', '-disable'], routes)).out).toBe(
    'Service maintenance is now disabled for "web"\n',
  );
  expect((await run(['maint', '-service=nope', '-enable'], routes)).err).toBe(
    'Error enabling service maintenance: Unexpected response code: 404 (No service registered with ID "nope")\n',
  );
  expect((await run(['maint', '-enable', '-disable'])).err).toBe(
    'Only one of -enable or -disable may be provided\n',
  );
  expect((await run(['maint', '-service=a'])).err).toBe('Service requires either -enable or -disable\n');
  expect((await run(['maint', '-reason=a'])).err).toBe('Reason may only be provided with -enable\n');
});

test('keygen makes 32 bytes, others each time', async () => {
  const first = (await runCli(['keygen'])).out;
  expect(Buffer.from(first.trim(), 'base64').length).toBe(32);
  expect((await runCli(['keygen'])).out).not.toBe(first);
});

test('version names the API level in the first line', async () => {
  expect((await runCli(['version'])).out).toMatch(
    /^Consul v1\.8\.5\+proconsul\.\S+\nProtocol 2 spoken by default/,
  );
  expect(JSON.parse((await runCli(['version', '-format=json'])).out)).toMatchObject({
    Version: '1.8.5',
    RPC: { Default: 2, Min: 2, Max: 3 },
  });
});
