import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { simulatedEnv } from '../../../../shared/simulated-env.ts';
import { type Answer, type FakeAgent, startFakeAgent } from '../../testing/fake-agent.ts';
import { runCli } from '../../testing/run-cli.ts';

let agent: FakeAgent | undefined;
const folder = mkdtempSync(join(tmpdir(), 'watch-test-'));

afterEach(async () => {
  await agent?.close();
  agent = undefined;
});

const ENTRY = { LockIndex: 0, Key: 'a', Flags: 3, Value: 'dg==', CreateIndex: 5, ModifyIndex: 6 };
const indexed = (index: number, body: unknown): Answer => ({
  headers: { 'X-Consul-Index': String(index) },
  body,
});

test('without a child the first result is shown, four blanks deep, in the order of the client library', async () => {
  agent = await startFakeAgent({ 'GET /v1/kv/a': indexed(6, [ENTRY]) });
  const run = await runCli(['watch', '-type=key', '-key=a'], agent);
  expect(run).toEqual({
    code: 0,
    out: `{
    "Key": "a",
    "CreateIndex": 5,
    "ModifyIndex": 6,
    "LockIndex": 0,
    "Flags": 3,
    "Value": "dg==",
    "Session": ""
}
`,
    err: '',
  });
});

test('a key that is not there is null, and so is an empty prefix', async () => {
  agent = await startFakeAgent({});
  expect((await runCli(['watch', '-type=key', '-key=a'], agent)).out).toBe('null\n');
  expect((await runCli(['watch', '-type=keyprefix', '-prefix=a/'], agent)).out).toBe('null\n');
});

test('a child runs for every change, with the result as input and the index in its environment', async () => {
  const answers = [
    indexed(6, [ENTRY]),
    // The index moved, the result did not: nothing to tell.
    indexed(7, [ENTRY]),
    indexed(9, [{ ...ENTRY, Value: 'dzI=', ModifyIndex: 9 }]),
    // The index went back: the servers started over.
    indexed(2, [{ ...ENTRY, Value: 'dzM=', ModifyIndex: 2 }]),
    indexed(3, [{ ...ENTRY, Value: 'c3RvcA==', ModifyIndex: 3 }]),
  ];
  const asked: (string | null)[] = [];
  agent = await startFakeAgent({
    'GET /v1/kv/a': (request) => {
      asked.push(request.query.get('index'));
      return answers.shift() ?? indexed(3, []);
    },
  });
  const seen = join(folder, 'changes');
  const script = `tee -a ${seen} | grep -q c3RvcA== && exit 4; echo $CONSUL_INDEX >> ${seen}`;
  const run = await runCli(['watch', '-type=key', '-key=a', script], agent);
  expect(run).toEqual({ code: 1, out: '', err: 'Error executing handler: exit status 4\n' });
  expect(asked).toEqual([null, '6', '7', '9', null]);
  const line = (value: string, index: number) =>
    `{"Key":"a","CreateIndex":5,"ModifyIndex":${index},"LockIndex":0,"Flags":3,"Value":"${value}","Session":""}\n`;
  expect(readFileSync(seen, 'utf8')).toBe(
    `${line('dg==', 6)}6\n${line('dzI=', 9)}9\n${line('dzM=', 2)}2\n${line('c3RvcA==', 3)}`,
  );
  rmSync(folder, { recursive: true });
});

test('services, nodes, checks and instances ask for what their type and flags say', async () => {
  const check = {
    Node: 'n1',
    CheckID: 'c',
    Name: 'c',
    Status: 'passing',
    Notes: '',
    Output: '',
    ServiceID: '',
    ServiceName: '',
    ServiceTags: [],
    Type: '',
    Definition: {},
    CreateIndex: 1,
    ModifyIndex: 1,
  };
  agent = await startFakeAgent({
    'GET /v1/catalog/services': indexed(4, { web: ['a'] }),
    'GET /v1/catalog/nodes': indexed(4, [{ Node: 'n1' }]),
    'GET /v1/health/state/any': indexed(4, [check]),
    'GET /v1/health/checks/web': indexed(4, []),
    'GET /v1/health/service/web': indexed(4, []),
  });
  const shown = async (...args: string[]) => JSON.parse((await runCli(['watch', ...args], agent)).out);
  expect(await shown('-type=services')).toEqual({ web: ['a'] });
  expect(await shown('-type=nodes')).toEqual([{ Node: 'n1' }]);
  expect(await shown('-type=checks')).toEqual([
    {
      ...check,
      Definition: {
        Interval: '0s',
        Timeout: '0s',
        DeregisterCriticalServiceAfter: '0s',
        HTTP: '',
        Header: null,
        Method: '',
        Body: '',
        TLSSkipVerify: false,
        TCP: '',
      },
    },
  ]);
  expect(await shown('-type=checks', '-service=web')).toEqual([]);
  expect(await shown('-type=service', '-service=web', '-tag=x', '-tag=y', '-passingonly=true')).toEqual([]);
  const last = agent.requests.at(-1);
  expect(last?.query.getAll('tag')).toEqual(['x', 'y']);
  expect(last?.query.get('passing')).toBe('1');
});

test('only events that came after those already seen are shown', async () => {
  const event = (id: string) => ({ ID: id, Name: 'deploy' });
  const answers = [
    indexed(900, [event('a'), event('b')]),
    // Indexes of events have no order.
    indexed(20, [event('a'), event('b'), event('c')]),
  ];
  agent = await startFakeAgent({ 'GET /v1/event/list': () => answers.shift() ?? { status: 500 } });
  const out = join(mkdtempSync(join(tmpdir(), 'watch-test-')), 'events');
  await runCli(['watch', '-type=event', '-name=deploy', `tee -a ${out} | grep -vq '"c"'`], agent);
  expect(readFileSync(out, 'utf8')).toBe(
    '[{"ID":"a","Name":"deploy"},{"ID":"b","Name":"deploy"}]\n[{"ID":"c","Name":"deploy"}]\n',
  );
  expect(agent.requests.at(-1)?.query.get('index')).toBe('900');
});

test('errors are reported and retried later and later, until the interrupt', async () => {
  agent = await startFakeAgent({ 'GET /v1/catalog/nodes': { status: 500, body: 'No cluster leader' } });
  const { clock } = simulatedEnv(1);
  const interruption = new AbortController();
  const running = runCli(['watch', '-type=nodes'], {
    address: agent.address,
    clock,
    interrupted: interruption.signal,
  });
  const { requests } = agent;
  for (const expectedMs of [5000, 20_000, 45_000]) {
    await expect.poll(() => clock.nextDueMs()).toBe(clock.monotonicMs() + expectedMs);
    clock.advance(expectedMs);
  }
  await expect.poll(() => requests.length).toBe(5);
  await expect.poll(() => clock.nextDueMs() !== undefined).toBe(true);
  interruption.abort('SIGINT');
  const run = await running;
  expect(run.code).toBe(0);
  expect(run.err.split('\n')[0]).toBe(
    '[ERROR] Watch errored: error="Unexpected response code: 500 (No cluster leader)" retry=5s',
  );
});

test.each([
  [['-type=nope'], 'Unsupported watch type: nope'],
  [['-type=connect_roots'], 'Type connect_roots is not supported in the CLI tool'],
  [['-type=key'], 'Must specify a single key to watch'],
  [['-type=keyprefix'], 'Must specify a single prefix to watch'],
  [['-type=service'], 'Must specify a single service to watch'],
  [['-type=checks', '-service=a', '-state=b'], 'Cannot specify service and state'],
  [['-type=key', '-key=a', '-prefix=b'], 'Invalid parameters: [prefix]'],
  [
    ['-type=service', '-service=a', '-passingonly=x'],
    'Failed to parse passingonly flag: strconv.ParseBool: parsing "x": invalid syntax',
  ],
])('%j is refused: %s', async (args, text) => {
  expect(await runCli(['watch', ...args])).toEqual({ code: 1, out: '', err: `${text}\n` });
});

test('the type is required, and so is an agent', async () => {
  expect((await runCli(['watch'])).err).toMatch(/^Watch type must be specified\n\nUsage: consul watch /);
  expect((await runCli(['watch', '-type=nodes'])).err).toBe(
    'Error querying Consul agent: Get "http://127.0.0.1:1/v1/agent/self": dial tcp 127.0.0.1:1: connect: connection refused\n',
  );
});
