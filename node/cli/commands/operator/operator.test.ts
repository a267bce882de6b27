import { afterEach, expect, test } from 'vitest';
import { type FakeAgent, type Route, startFakeAgent } from '../../testing/fake-agent.ts';
import { runCli } from '../../testing/run-cli.ts';

let agent: FakeAgent | undefined;

afterEach(async () => {
  await agent?.close();
  agent = undefined;
});

async function run(args: readonly string[], routes: Readonly<Record<string, Route>> = {}) {
  await agent?.close();
  agent = await startFakeAgent(routes);
  return runCli(['operator', ...args], agent);
}

const CONFIG = {
  CleanupDeadServers: true,
  LastContactThreshold: '200ms',
  MaxTrailingLogs: 250,
  MinQuorum: 0,
  ServerStabilizationTime: '10s',
  RedundancyZoneTag: '',
  DisableUpgradeMigration: false,
  UpgradeVersionTag: '',
  CreateIndex: 4,
  ModifyIndex: 9,
};
const PATH = '/v1/operator/autopilot/configuration';

test('list-peers is a table', async () => {
  const server = (node: string, isLeader: boolean, version: string) => ({
    ID: `id-of-${node}`,
    Node: node,
    Address: `127.0.0.1:83${node.length}0`,
    Leader: isLeader,
    ProtocolVersion: version,
    Voter: true,
  });
  const Servers = [server('n1', true, '3'), server('(unknown)', false, '')];
  const result = await run(['raft', 'list-peers'], {
    'GET /v1/operator/raft/configuration': { body: { Servers, Index: 0 } },
  });
  expect(result).toEqual({
    code: 0,
    out: [
      'Node       ID               Address         State     Voter  RaftProtocol',
      'n1         id-of-n1         127.0.0.1:8320  leader    true   3',
      '(unknown)  id-of-(unknown)  127.0.0.1:8390  follower  true   <=1',
      '',
    ].join('\n'),
    err: '',
  });
});

test('list-peers -lag adds what later versions of Consul show', async () => {
  const server = (node: string, more: object) => ({
    ID: node,
    Node: node,
    Address: `${node}:8300`,
    Leader: false,
    ProtocolVersion: '3',
    Voter: true,
    ...more,
  });
  const servers = [
    server('a', { LastIndex: 41 }),
    server('b', { Leader: true, LastIndex: 42 }),
    server('c', { LastIndex: 42 }),
    server('d', {}),
  ];
  const answer = (Servers: unknown) => ({
    'GET /v1/operator/raft/configuration': { body: { Servers, Index: 0 } },
  });
  const { code, out } = await run(['raft', 'list-peers', '-lag'], answer(servers));
  expect([code, out.split('\n')]).toEqual([
    0,
    [
      'Node  ID  Address  State     Voter  RaftProtocol  Commit Index  Trails Leader By',
      'a     a   a:8300   follower  true   3             41            1 commit',
      'b     b   b:8300   leader    true   3             42            -',
      'c     c   c:8300   follower  true   3             42            0 commits',
      'd     d   d:8300   follower  true   3             unknown       unknown',
      '',
    ],
  ]);
  const leaderless = await run(['raft', 'list-peers', '-lag'], answer([server('a', { LastIndex: 7 })]));
  expect(leaderless.out).toContain('7             unknown\n');
});

test('remove-peer takes an address or an id', async () => {
  const routes: Record<string, Route> = { 'DELETE /v1/operator/raft/peer': {} };
  expect((await run(['raft', 'remove-peer', '-address=10.0.0.1:8300'], routes)).out).toBe(
    'Removed peer with address "10.0.0.1:8300"\n',
  );
  expect((await run(['raft', 'remove-peer', '-id=x'], routes)).out).toBe('Removed peer with id "x"\n');
  expect((await run(['raft', 'remove-peer'])).err).toBe(
    'Error removing peer: an address or id is required for the peer to remove\n',
  );
  expect((await run(['raft', 'remove-peer', '-id=x', '-address=y'])).err).toBe(
    'Error removing peer: cannot give both an address and id\n',
  );
});

test('transfer-leader asks the leader to hand over', async () => {
  const routes: Record<string, Route> = {
    'POST /v1/operator/raft/transfer-leader': { body: { Success: true } },
  };
  expect(await run(['raft', 'transfer-leader', '-id=x'], routes)).toEqual({
    code: 0,
    out: 'Success\n',
    err: '',
  });
  expect(agent?.requests.at(-1)?.query.get('id')).toBe('x');
  expect((await run(['raft', 'transfer-leader'])).code).toBe(1);
});

test('get-config prints eight lines', async () => {
  expect(await run(['autopilot', 'get-config'], { [`GET ${PATH}`]: { body: CONFIG } })).toEqual({
    code: 0,
    out: `CleanupDeadServers = true
LastContactThreshold = 200ms
MaxTrailingLogs = 250
MinQuorum = 0
ServerStabilizationTime = 10s
RedundancyZoneTag = ""
DisableUpgradeMigration = false
UpgradeVersionTag = ""
`,
    err: '',
  });
});

test('set-config changes what is given and compares the index', async () => {
  const args = ['autopilot', 'set-config', '-cleanup-dead-servers=false', '-last-contact-threshold=1s'];
  const routes = (body: string): Record<string, Route> => ({
    [`GET ${PATH}`]: { body: CONFIG },
    [`PUT ${PATH}`]: { body },
  });
  expect(await run(args, routes('true'))).toEqual({ code: 0, out: 'Configuration updated!\n', err: '' });
  const sent = agent?.requests.at(-1);
  expect(sent?.query.get('cas')).toBe('9');
  expect(JSON.parse(sent?.body.toString() ?? '')).toEqual({
    CleanupDeadServers: false,
    LastContactThreshold: '1s',
    MaxTrailingLogs: 250,
    MinQuorum: 0,
    ServerStabilizationTime: '10s',
    RedundancyZoneTag: '',
    DisableUpgradeMigration: false,
    UpgradeVersionTag: '',
  });
  expect(await run(args, routes('false'))).toEqual({
    code: 1,
    out: 'Configuration could not be atomically updated, please try again\n',
    err: '',
  });
});

test('autopilot errors say what failed', async () => {
  expect((await run(['autopilot', 'get-config'], { [`GET ${PATH}`]: { status: 403, body: 'no' } })).err).toBe(
    'Error querying Autopilot configuration: Unexpected response code: 403 (no)\n',
  );
  const routes: Record<string, Route> = {
    [`GET ${PATH}`]: { body: CONFIG },
    [`PUT ${PATH}`]: { status: 500, body: 'No cluster leader' },
  };
  expect((await run(['autopilot', 'set-config', '-min-quorum=3'], routes)).err).toBe(
    'Error setting Autopilot configuration: Unexpected response code: 500 (No cluster leader)\n',
  );
  expect((await run(['autopilot', 'set-config', '-min-quorum=-3'])).err).toMatch(
    /^invalid value "-3" for flag -min-quorum: parse error\n {2}-/,
  );
});
