/** members, join, leave, force-leave, reload and catalog. */

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
const done = (out: string) => ({ code: 0, out, err: '' });

const member = (Name: string, Addr: string, Status: number, Tags: Record<string, string>) => ({
  Name,
  Addr,
  Port: 8301,
  Tags,
  Status,
});
const MEMBERS = {
  'GET /v1/agent/members': {
    body: [
      member('n1', '127.0.0.1', 1, { role: 'consul', build: '1.8.5:abc', vsn: '2', dc: 'dc1' }),
      member('c2', '::1', 4, { role: 'node', build: '1.8.5', vsn: '2', dc: 'dc1', segment: '' }),
      member('c1', '127.0.0.2', 3, { role: 'node', vsn: '2', dc: 'dc1' }),
    ],
  },
};

test('members is a table, ordered by segment and name', async () => {
  expect(await run(['members'], MEMBERS)).toEqual(
    done(
      [
        'Node  Address         Status  Type    Build  Protocol  DC   Segment',
        'n1    127.0.0.1:8301  alive   server  1.8.5  2         dc1  <all>',
        'c1    127.0.0.2:8301  left    client  < 0.3  2         dc1  <default>',
        'c2    [::1]:8301      failed  client  1.8.5  2         dc1  <default>',
        '',
      ].join('\n'),
    ),
  );
  expect(agent?.requests[0]?.query.toString()).toBe('segment=_all');
});

test('members are chosen by status and pool', async () => {
  const chosen = await run(['members', '-detailed', '-status=^al', '-wan', '-filter=Name == n1'], MEMBERS);
  expect(chosen.out).toBe(
    'Node  Address         Status  Tags\nn1    127.0.0.1:8301  alive   build=1.8.5:abc,dc=dc1,role=consul,segment=<all>,vsn=2\n',
  );
  expect(agent?.requests[0]?.query.toString()).toBe('filter=Name+%3D%3D+n1&wan=1');
  expect((await run(['members', '-detailed', '-status=left'], MEMBERS)).out).toMatch(
    /left {4}dc=dc1,role=node,segment=<default>,vsn=2\n$/,
  );
  expect(await run(['members', '-status=gone'], MEMBERS)).toEqual({ code: 2, out: '', err: '' });
  expect(await run(['members', '-status=('])).toEqual(
    failed('Failed to compile status regexp: error parsing regexp: missing closing ): `(`\n'),
  );
  expect((await runCli(['members'])).err).toMatch(/^Error retrieving members: Get "http:/);
});

test('join counts what worked and names what did not', async () => {
  const routes: Record<string, Route> = {
    'PUT /v1/agent/join/10.0.0.1': {},
    'PUT /v1/agent/join/10.0.0.2:8301': {},
    'PUT /v1/agent/join/bad': { status: 500, body: 'no route' },
  };
  expect(await run(['join', '10.0.0.1', 'bad', '10.0.0.2:8301'], routes)).toEqual({
    code: 0,
    out: 'Successfully joined cluster by contacting 2 nodes.\n',
    err: "Error joining address 'bad': Unexpected response code: 500 (no route)\n",
  });
  expect(await run(['join', '-wan', 'bad'], routes)).toEqual(
    failed(
      "Error joining address 'bad': Unexpected response code: 500 (no route)\nFailed to join any nodes.\n",
    ),
  );
  expect(agent?.requests[0]?.query.get('wan')).toBe('1');
  expect((await run(['join'])).err).toMatch(/^At least one address to join must be specified\.\n\nUsage: /);
});

test('leave, force-leave and reload', async () => {
  const ok: Record<string, Route> = {
    'PUT /v1/agent/leave': {},
    'PUT /v1/agent/reload': {},
    'PUT /v1/agent/force-leave/n1': {},
    'PUT /v1/agent/force-leave/nope': { status: 500, body: "agent: No node found with name 'nope'" },
  };
  expect(await run(['leave'], ok)).toEqual(done('Graceful leave complete\n'));
  expect((await run(['leave', 'x'], ok)).err).toBe('Error found unexpected args: [x]\n');
  expect(await run(['reload'], ok)).toEqual(done('Configuration reload triggered\n'));
  expect(await run(['force-leave', '-prune', 'n1'], ok)).toEqual(done(''));
  expect(agent?.requests[0]?.query.get('prune')).toBe('1');
  expect(await run(['force-leave', 'nope'], ok)).toEqual(
    failed("Error force leaving: Unexpected response code: 500 (agent: No node found with name 'nope')\n"),
  );
  expect((await run(['force-leave'])).err).toMatch(
    /^A single node name must be specified to force leave\.\n/,
  );
});

const NODE = {
  ID: '6d07b2d6-1868-4937-7815-e7dfdb83a320',
  Node: 'n1',
  Address: '10.0.0.1',
  Datacenter: 'dc1',
  TaggedAddresses: { wan: '1.2.3.4', lan: '10.0.0.1' },
  Meta: { b: '2', a: '1' },
};

test('catalog nodes is a table, with more columns on request', async () => {
  const routes: Record<string, Route> = { 'GET /v1/catalog/nodes': { body: [NODE] } };
  expect(await run(['catalog', 'nodes', '-node-meta=a=1', '-near=_agent', '-filter=x'], routes)).toEqual(
    done('Node  ID        Address   DC\nn1    6d07b2d6  10.0.0.1  dc1\n'),
  );
  expect(agent?.requests[0]?.query.toString()).toBe('filter=x&near=_agent&node-meta=a%3A1');
  expect((await run(['catalog', 'nodes', '-detailed'], routes)).out).toBe(
    [
      'Node  ID                                    Address   DC   TaggedAddresses            Meta',
      'n1    6d07b2d6-1868-4937-7815-e7dfdb83a320  10.0.0.1  dc1  lan=10.0.0.1, wan=1.2.3.4  a=1, b=2',
      '',
    ].join('\n'),
  );
});

test('finding nothing is no failure', async () => {
  expect(
    await run(['catalog', 'nodes', '-service=x'], { 'GET /v1/catalog/service/x': { body: [] } }),
  ).toEqual({
    code: 0,
    out: '',
    err: 'No nodes match the given query - try expanding your search.\n',
  });
  expect(await run(['catalog', 'services'], { 'GET /v1/catalog/services': { body: {} } })).toEqual({
    code: 0,
    out: '',
    err: 'No services match the given query - try expanding your search.\n',
  });
});

test('catalog services, with tags and of one node', async () => {
  const routes: Record<string, Route> = {
    'GET /v1/catalog/services': { body: { web: ['v2', 'v1'], consul: [], 'long-name': ['x'] } },
    'GET /v1/catalog/node/n1': {
      body: { Services: { w1: { Service: 'web', Tags: ['a'] }, w2: { Service: 'web', Tags: ['b', 'a'] } } },
    },
  };
  expect((await run(['catalog', 'services'], routes)).out).toBe('consul\nlong-name\nweb\n');
  expect((await run(['catalog', 'services', '-tags'], routes)).out).toBe(
    'consul         \nlong-name      x\nweb            v1,v2\n',
  );
  expect((await run(['catalog', 'services', '-tags', '-node=n1'], routes)).out).toBe('web      a,b\n');
});

test('catalog errors name what was asked for', async () => {
  const text = 'Unexpected response code: 404 (no route: GET';
  expect((await run(['catalog', 'nodes'])).err).toMatch(`Error listing nodes: ${text}`);
  expect((await run(['catalog', 'nodes', '-service=x'])).err).toMatch(
    `Error listing nodes for service: ${text}`,
  );
  expect((await run(['catalog', 'services', '-node=x'])).err).toMatch(
    `Error listing services for node: ${text}`,
  );
  expect((await run(['catalog', 'datacenters', 'x'])).err).toBe('Too many arguments (expected 0, got 1)\n');
});
