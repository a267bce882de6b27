import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { refused } from '../../../shared/errors.ts';
import { DEFAULT_AUTOPILOT } from '../../../shared/types/autopilot.ts';
import { eventually, send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.server.close(0));

describe('events', () => {
  test('are fired with what was asked for, and listed with their time', async () => {
    const path = '/v1/event/fire/deploy?node=n.*&service=web&tag=v1';
    const fired = await send(server, 'PUT', path, { body: 'now' });
    const shown = {
      ID: 'a0000000-0000-0000-0000-000000000000',
      Name: 'deploy',
      Payload: 'bm93',
      NodeFilter: 'n.*',
      ServiceFilter: 'web',
      TagFilter: 'v1',
      Version: 1,
    };
    expect(fired.text).toBe(JSON.stringify({ ...shown, LTime: 0 }));
    await send(server, 'PUT', '/v1/event/fire/other');
    const list = await send(server, 'GET', '/v1/event/list?name=deploy');
    expect(list.text).toBe(JSON.stringify([{ ...shown, LTime: 1 }]));
    expect(JSON.parse((await send(server, 'GET', '/v1/event/list')).text)).toMatchObject([
      { Name: 'deploy' },
      { Name: 'other', Payload: null },
    ]);
  });

  test('the index is the newest ID folded, exact beyond doubles; 1 when there is none', async () => {
    const indexOf = async () => (await send(server, 'GET', '/v1/event/list')).headers['x-consul-index'];
    expect(await indexOf()).toBe('1');
    server.agent.eventList.push({
      id: 'ffffffff-ffff-ffff-0000-000000000001',
      name: 'x',
      payload: null,
      nodeFilter: '',
      serviceFilter: '',
      tagFilter: '',
      version: 1,
      lTime: 2n ** 60n + 1n,
    });
    expect(await indexOf()).toBe('18446744073709551614');
    const list = await send(server, 'GET', '/v1/event/list?index=18446744073709551613');
    expect(list.text).toContain('"LTime":1152921504606846977}');
  });

  test('a wait ends with the next event that counts, or with its time', async () => {
    const waiting = send(server, 'GET', '/v1/event/list?name=a&index=1&wait=10s');
    await eventually(() => server.agent.eventWaiterCount === 1);
    await send(server, 'PUT', '/v1/event/fire/b');
    await eventually(() => server.agent.eventWaiterCount === 1);
    await send(server, 'PUT', '/v1/event/fire/a');
    expect(JSON.parse((await waiting).text)).toMatchObject([{ Name: 'a' }]);
    const index = (await waiting).headers['x-consul-index'];
    const idle = send(server, 'GET', `/v1/event/list?name=a&index=${index}&wait=10s`);
    await eventually(() => server.agent.eventWaiterCount === 1);
    server.env.clock.advance(10_000);
    expect((await idle).headers['x-consul-index']).toBe(index);
    expect(server.agent.eventWaiterCount).toBe(0);
  });

  test('a client that goes away leaves nobody waiting', async () => {
    const controller = new AbortController();
    const gone = send(server, 'GET', '/v1/event/list?index=1', { signal: controller.signal });
    await eventually(() => server.agent.eventWaiterCount === 1);
    controller.abort();
    await expect(gone).rejects.toThrow();
    await eventually(() => server.agent.eventWaiterCount === 0);
  });

  test.each([
    ['PUT', '/v1/event/fire/', 400, 'Missing name'],
    ['GET', '/v1/event/list?index=x', 400, 'Invalid index'],
    ['GET', '/v1/event/list?index=18446744073709551616', 400, 'Invalid index'],
    ['GET', '/v1/event/list?wait=5', 400, 'Invalid wait time'],
  ])('%s %s is refused', async (method, path, status, text) => {
    expect(await send(server, method, path)).toMatchObject({ status, text });
  });
});

describe('snapshots', () => {
  test('come as they are and go back as they were', async () => {
    server.agent.archive = Buffer.alloc(300_000, 'ab');
    const saved = await send(server, 'GET', '/v1/snapshot?stale', { headers: { 'Accept-Encoding': 'gzip' } });
    expect(saved.bytes.equals(server.agent.archive)).toBe(true);
    expect(saved.headers).toMatchObject({
      'content-type': 'application/x-gzip',
      'x-consul-index': '7',
      'x-consul-knownleader': 'true',
      'x-consul-lastcontact': '3',
    });
    expect(saved.headers['content-encoding']).toBeUndefined();
    expect(server.agent.journal).toEqual(['save true']);
    server.agent.archive = Buffer.alloc(0);
    const restored = await send(server, 'PUT', '/v1/snapshot', { body: saved.bytes });
    expect([restored.status, restored.text, restored.headers['content-type']]).toEqual([200, '', undefined]);
    expect(server.agent.archive.equals(saved.bytes)).toBe(true);
  });

  test('a failure in the middle breaks the connection off', async () => {
    server.agent.archive = Buffer.alloc(300_000, 'ab');
    server.agent.snapshotFailure = new Error('lost');
    await expect(send(server, 'GET', '/v1/snapshot')).rejects.toThrow();
  });

  test('a refusal reaches a client that is still sending', async () => {
    server.agent.snapshotFailure = refused('failed to decompress snapshot: gzip: invalid header');
    const answer = await send(server, 'PUT', '/v1/snapshot', { body: Buffer.alloc(3_000_000, 'x') });
    expect(answer).toMatchObject({
      status: 500,
      text: 'failed to decompress snapshot: gzip: invalid header',
    });
  });

  test('of an unknown datacenter are refused without a body', async () => {
    const answer = await send(server, 'GET', '/v1/snapshot?dc=nope');
    expect(answer).toMatchObject({ status: 500, text: 'No path to datacenter' });
  });
});

describe('autopilot', () => {
  const CONFIG = '/v1/operator/autopilot/configuration';

  test('shows durations as text and takes them as text or nanoseconds', async () => {
    const stored = { ...DEFAULT_AUTOPILOT, CreateIndex: 5, ModifyIndex: 6 };
    server.backend.answer('Operator.AutopilotGetConfiguration', () => stored);
    expect((await send(server, 'GET', CONFIG)).text).toBe(
      '{"CleanupDeadServers":true,"LastContactThreshold":"200ms","MaxTrailingLogs":250,"MinQuorum":0,' +
        '"ServerStabilizationTime":"10s","RedundancyZoneTag":"","DisableUpgradeMigration":false,' +
        '"UpgradeVersionTag":"","CreateIndex":5,"ModifyIndex":6}',
    );
    server.backend.answer('Operator.AutopilotSetConfiguration', () => true);
    const body = JSON.stringify({ LastContactThreshold: '1m', ServerStabilizationTime: 5e9, ModifyIndex: 1 });
    expect((await send(server, 'PUT', `${CONFIG}?cas=18446744073709551615`, { body })).text).toBe('true');
    expect(server.backend.lastCall().args).toEqual({
      settings: {
        ...DEFAULT_AUTOPILOT,
        CleanupDeadServers: false,
        LastContactThreshold: 60e9,
        MaxTrailingLogs: 0,
        ServerStabilizationTime: 5e9,
      },
      cas: 2n ** 64n - 1n,
    });
  });

  test.each([
    ['?cas=x', 'Bad request: Error parsing cas value: strconv.ParseUint: parsing "x": invalid syntax'],
    [
      '?cas=18446744073709551616',
      'Bad request: Error parsing cas value: strconv.ParseUint: parsing "18446744073709551616": value out of range',
    ],
  ])('%s is refused', async (query, text) => {
    const answer = await send(server, 'PUT', CONFIG + query, { body: '{}' });
    expect(answer).toMatchObject({ status: 400, text });
  });

  const SERVER = {
    ID: 'id-1',
    Name: 'n1',
    Address: '127.0.0.1:8300',
    SerfStatus: 'alive',
    Version: '1.8.5',
    Leader: false,
    LastContactMs: 4.6,
    LastTerm: 2,
    LastIndex: 10,
    Healthy: true,
    Voter: true,
    StableSinceMs: 1_700_000_000_999,
  };

  test('health: 200 as JSON when well, 429 as text when not, null without servers', async () => {
    let report: unknown = { Healthy: true, FailureTolerance: 0, Servers: [SERVER] };
    server.backend.answer('Operator.ServerHealth', () => report);
    const well = await send(server, 'GET', '/v1/operator/autopilot/health');
    expect([well.status, well.headers['content-type']]).toEqual([200, 'application/json']);
    expect(JSON.parse(well.text).Servers).toMatchObject([
      { LastContact: '4.6ms', StableSince: '2023-11-14T22:13:20Z' },
    ]);
    const ill = { ...SERVER, ID: 'id-2', LastContactMs: undefined, Healthy: false };
    report = { Healthy: false, FailureTolerance: 0, Servers: [{ ...SERVER, Leader: true }, ill] };
    const unwell = await send(server, 'GET', '/v1/operator/autopilot/health');
    expect([unwell.status, unwell.headers['content-type']]).toEqual([429, 'text/plain; charset=utf-8']);
    expect(JSON.parse(unwell.text).Servers).toMatchObject([{ LastContact: '0s' }, { LastContact: '-1ns' }]);
    const state = JSON.parse((await send(server, 'GET', '/v1/operator/autopilot/state')).text);
    expect(state).toMatchObject({ Leader: 'id-1', Voters: ['id-1', 'id-2'], Healthy: false });
    expect(state.Servers['id-1']).toMatchObject({ Status: 'leader', NodeStatus: 'alive' });
    report = { Healthy: false, FailureTolerance: 0, Servers: [] };
    expect((await send(server, 'GET', '/v1/operator/autopilot/health')).text).toContain('"Servers":null');
  });

  test('leadership goes where it is sent', async () => {
    server.backend.answer('Operator.TransferLeader', () => true);
    const answer = await send(server, 'POST', '/v1/operator/raft/transfer-leader?id=id-2');
    expect(answer.text).toBe('{"Success":true}');
    expect(server.backend.lastCall().args).toEqual({ id: 'id-2' });
  });
});

describe('the keyring', () => {
  const PATH = '/v1/operator/keyring';

  test('lists keys sorted, empty parts left out; writes answer nothing', async () => {
    expect((await send(server, 'GET', `${PATH}?relay-factor=2&local-only=true`)).text).toBe(
      '[{"WAN":false,"Datacenter":"dc1","Segment":"","Keys":{"a==":2,"b==":1},"PrimaryKeys":{},"NumNodes":2}]',
    );
    for (const method of ['POST', 'PUT', 'DELETE'])
      expect((await send(server, method, PATH, { body: '{"Key":"k"}' })).text).toBe('');
    expect(server.agent.journal).toEqual([
      'keyring list  2 true',
      'keyring install k 0 false',
      'keyring use k 0 false',
      'keyring remove k 0 false',
    ]);
  });

  test.each([
    ['POST', '', '{', 'Bad request: Request decode failed: unexpected EOF'],
    [
      'GET',
      '?relay-factor=x',
      undefined,
      'Bad request: Error parsing relay factor: strconv.Atoi: parsing "x": invalid syntax',
    ],
    [
      'GET',
      '?relay-factor=6',
      undefined,
      'Bad request: Invalid relay-factor: Relay factor must be in range: [0, 5]',
    ],
    [
      'GET',
      '?local-only=x',
      undefined,
      'Bad request: Error parsing local-only: strconv.ParseBool: parsing "x": invalid syntax',
    ],
    [
      'PUT',
      '?local-only=true',
      '{}',
      'Bad request: Invalid use of local-only: local-only can only be set for list requests',
    ],
  ])('%s %s %s is refused', async (method, query, body, text) => {
    const answer = await send(server, method, PATH + query, body === undefined ? {} : { body });
    expect(answer).toMatchObject({ status: 400, text });
  });
});

describe('metrics for Prometheus', () => {
  test.each([
    ['/v1/agent/metrics?format=prometheus', {}],
    ['/v1/agent/metrics', { Accept: 'application/openmetrics-text; version=0.0.1,text/plain;q=0.5' }],
  ])('%s: 415 while it is off, text when on', async (path, headers) => {
    expect(await send(server, 'GET', path, { headers })).toMatchObject({
      status: 415,
      text: 'Prometheus is not enabled since its retention time is not positive',
    });
    server.agent.prometheus = 'consul_raft_apply 1\n';
    const answer = await send(server, 'GET', path, { headers });
    expect([answer.text, answer.headers['content-type']]).toEqual([
      'consul_raft_apply 1\n',
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
  });
});

describe('profiles', () => {
  test.each(['', 'cmdline', 'profile', 'symbol', 'trace', 'heap'])(
    '/debug/pprof/%s is closed unless debugging is on',
    async (name) => {
      const answer = await send(server, 'GET', `/debug/pprof/${name}`);
      expect(answer).toMatchObject({ status: 401, text: 'ACL support disabled' });
    },
  );

  test('say what this runtime knows of itself', async () => {
    await server.server.close(0);
    server = await startTestServer({ enableDebug: true });
    expect((await send(server, 'GET', '/debug/pprof/')).text).toContain('profile');
    expect((await send(server, 'GET', '/debug/pprof/cmdline')).text).toBe(process.argv.join('\0'));
    expect(
      JSON.parse((await send(server, 'GET', '/debug/pprof/heap')).text).Heap.used_heap_size,
    ).toBeGreaterThan(0);
    expect((await send(server, 'GET', '/debug/pprof/trace')).status).toBe(404);
    expect((await send(server, 'GET', '/debug/pprof/profile?seconds=0')).status).toBe(400);
    const profiling = send(server, 'GET', '/debug/pprof/profile?seconds=1');
    await eventually(() => server.env.clock.nextDueMs() !== undefined);
    expect((await send(server, 'GET', '/debug/pprof/profile')).text).toContain('already in use');
    server.env.clock.advance(1000);
    expect(JSON.parse((await profiling).text)).toHaveProperty('nodes');
  });
});
