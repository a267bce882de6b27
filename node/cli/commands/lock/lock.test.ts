import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { simulatedEnv } from '../../../../shared/simulated-env.ts';
import { type FakeAgent, startFakeAgent } from '../../testing/fake-agent.ts';
import { createFakeKv, type FakeKv } from '../../testing/fake-kv.ts';
import { runCli } from '../../testing/run-cli.ts';
import { LOCK_FLAGS } from './key-lock.ts';
import { SEMAPHORE_FLAGS } from './semaphore.ts';

let kv: FakeKv;
let agent: FakeAgent;
const folder = mkdtempSync(join(tmpdir(), 'lock-test-'));

beforeEach(async () => {
  kv = createFakeKv();
  agent = await startFakeAgent(kv.routes);
});
afterEach(() => agent.close());

const LOCK = String(LOCK_FLAGS);
const SEMAPHORE = String(SEMAPHORE_FLAGS);

test('the child runs with the lock held, and afterwards nothing is left of it', async () => {
  const seen = join(folder, 'held');
  const run = await runCli(
    ['lock', '-verbose', '/app', `sleep 0.1; echo "$CONSUL_LOCK_HELD" > ${seen}`],
    agent,
  );
  expect(run).toEqual({
    code: 0,
    out: [
      'Setting up lock at path: app/.lock',
      'Attempting lock acquisition',
      'Starting handler',
      'Child terminated, releasing lock',
      'Cleanup succeeded',
      '',
    ].join('\n'),
    err: '',
  });
  expect(readFileSync(seen, 'utf8')).toBe('true\n');
  expect(kv.keys.size).toBe(0);
  expect(kv.sessions.size).toBe(0);
  const acquire = agent.requests.find((request) => request.query.has('acquire'));
  expect(acquire?.query.get('flags')).toBe('3304740253564472344');
  const create = agent.requests.find((request) => request.path === '/v1/session/create');
  expect(JSON.parse(create?.body.toString() ?? '')).toEqual({
    Name: `Consul lock for 'sleep 0.1; echo "$CONSUL_LOCK_HELD" > ${seen}' at 'app'`,
    TTL: '15s',
    Behavior: 'release',
  });
});

test('a failed child is reported, and decides the exit code only when asked', async () => {
  const text = 'Error running handler: exit status 3\n';
  expect(await runCli(['lock', 'app', 'exit 3'], agent)).toEqual({ code: 0, out: '', err: text });
  expect(await runCli(['lock', '-child-exit-code', 'app', 'exit 3'], agent)).toEqual({
    code: 2,
    out: '',
    err: text,
  });
  const missing = await runCli(['lock', '-shell=false', 'app', 'no-such-program'], agent);
  expect(missing.err).toBe(
    'Error starting handler: exec: "no-such-program": executable file not found in $PATH\n',
  );
});

test('it waits for the holder, and starts when the lock is free', async () => {
  kv.sessions.set('other', { name: '', ttl: '', behavior: '' });
  kv.put('app/.lock', '', LOCK, 'other');
  const started = join(folder, 'started');
  const running = runCli(['lock', 'app', `touch ${started}`], agent);
  await expect.poll(() => agent.requests.some((request) => request.query.has('index'))).toBe(true);
  expect(() => readFileSync(started)).toThrow();
  kv.endSession('other');
  expect(await running).toEqual({ code: 0, out: '', err: '' });
  expect(readFileSync(started, 'utf8')).toBe('');
});

test('with a time limit it gives up and ends its session', async () => {
  kv.sessions.set('other', { name: '', ttl: '', behavior: '' });
  kv.put('app/.lock', '', LOCK, 'other');
  const { clock } = simulatedEnv(1);
  const running = runCli(['lock', '-timeout=30s', 'app', 'true'], { address: agent.address, clock });
  const waits = () => agent.requests.flatMap((request) => request.query.get('wait') ?? []);
  await expect.poll(waits).toEqual(['15000ms', '15000ms']);
  // The servers answer a wait that ends without a change like any other.
  clock.advance(25_000);
  kv.put('app/.lock', '', LOCK, 'other');
  await expect.poll(waits).toEqual(['15000ms', '15000ms', '5000ms']);
  clock.advance(5000);
  kv.put('app/.lock', '', LOCK, 'other');
  expect(await running).toEqual({
    code: 1,
    out: '',
    err: 'Shutdown triggered or timeout during lock acquisition\n',
  });
  expect([...kv.sessions.keys()]).toEqual(['other']);
});

test('a lost lock ends the child', async () => {
  const running = runCli(['lock', '-verbose', 'app', 'exec sleep 60'], {
    address: agent.address,
    onOut(text) {
      if (text.endsWith('Starting handler\n')) kv.endSession([...kv.sessions.keys()][0] ?? '');
    },
  });
  const run = await running;
  expect(
    run.out
      .replace(/pid \d+/, 'pid N')
      .split('\n')
      .slice(3),
  ).toEqual([
    'Lock lost, killing child',
    'Terminating child pid N',
    'Child terminated',
    'Cleanup succeeded',
    '',
  ]);
  expect(run.err).toBe('Error running handler: signal: terminated\n');
});

test('an interrupt ends the child and gives the lock back', async () => {
  const interruption = new AbortController();
  const run = await runCli(['lock', '-verbose', 'app', 'exec sleep 60'], {
    address: agent.address,
    interrupted: interruption.signal,
    onOut(text) {
      if (text.endsWith('Starting handler\n')) interruption.abort('SIGTERM');
    },
  });
  expect(run.code).toBe(0);
  expect(run.out).toContain('Shutdown triggered, killing child\n');
  expect(run.out).toContain('Cleanup succeeded\n');
  expect(kv.keys.size).toBe(0);
});

test('a key that no lock made is left alone', async () => {
  kv.put('app/.lock', 'mine', '0');
  expect(await runCli(['lock', 'app', 'true'], agent)).toEqual({
    code: 1,
    out: '',
    err: 'Lock acquisition failed: Existing key does not match lock use\n',
  });
  expect(kv.keys.get('app/.lock')?.value).toBe('mine');
  expect(kv.sessions.size).toBe(0);
});

test('the entry stays while somebody else holds the lock after us', async () => {
  kv.sessions.set('next', { name: '', ttl: '', behavior: '' });
  // The next holder acquires between our release and our clean-up.
  let isTaken = false;
  await agent.close();
  agent = await startFakeAgent({
    ...kv.routes,
    'PUT /v1/session/destroy/*': (request) => {
      if (!isTaken) kv.put('app/.lock', '', LOCK, 'next');
      isTaken = true;
      kv.sessions.delete(request.path.split('/').at(-1) ?? '');
      return { body: 'true' };
    },
  });
  const run = await runCli(['lock', '-verbose', 'app', 'true'], agent);
  expect(run.out.split('\n').at(-2)).toBe('Cleanup aborted, lock in use');
  expect(kv.keys.get('app/.lock')?.session).toBe('next');
});

test('a semaphore lets so many in, and the next when one leaves', async () => {
  const log = join(folder, 'semaphore');
  const script = (name: string) =>
    `echo in >> ${log}; while [ ! -e ${folder}/go-${name} ]; do sleep 0.02; done; echo out >> ${log}`;
  const lines = () => {
    try {
      return readFileSync(log, 'utf8').trim().split('\n');
    } catch {
      return [];
    }
  };
  const run = (name: string) => runCli(['lock', '-n=2', 'sem', script(name)], agent);
  const first = run('first');
  await expect.poll(lines).toEqual(['in']);
  const second = run('second');
  await expect.poll(lines).toEqual(['in', 'in']);
  const third = run('third');
  await expect.poll(() => kv.sessions.size).toBe(3);
  await expect
    .poll(() => agent.requests.filter((request) => request.query.has('index')).length >= 3)
    .toBe(true);
  expect(lines()).toEqual(['in', 'in']);
  const { writeFileSync } = await import('node:fs');
  writeFileSync(`${folder}/go-first`, '');
  await expect.poll(lines).toEqual(['in', 'in', 'out', 'in']);
  writeFileSync(`${folder}/go-second`, '');
  writeFileSync(`${folder}/go-third`, '');
  for (const ended of await Promise.all([first, second, third])) {
    expect(ended).toEqual({ code: 0, out: '', err: '' });
  }
  expect([...kv.keys.keys()]).toEqual([]);
});

test('a semaphore of another size, or another use of its key, is refused', async () => {
  kv.put('sem/.lock', JSON.stringify({ Limit: 5, Holders: {} }), SEMAPHORE);
  expect((await runCli(['lock', '-n=2', 'sem', 'true'], agent)).err).toBe(
    'Lock acquisition failed: semaphore limit conflict (lock: 5, local: 2)\n',
  );
  kv.put('sem/.lock', '', '1');
  expect((await runCli(['lock', '-n=2', 'sem', 'true'], agent)).err).toBe(
    'Lock acquisition failed: Existing key does not match semaphore use\n',
  );
  expect([...kv.keys.keys()]).toEqual(['sem/.lock']);
});

test('holders whose session ended do not count', async () => {
  kv.put('sem/.lock', JSON.stringify({ Limit: 2, Holders: { gone: true, away: true } }), SEMAPHORE);
  expect((await runCli(['lock', '-n=2', 'sem', 'true'], agent)).code).toBe(0);
  expect(kv.keys.size).toBe(0);
});

test.each([
  [['lock'], 'Key prefix and child command must be specified'],
  [['lock', 'a'], 'Key prefix and child command must be specified'],
  [['lock', '-n=0', 'a', 'b'], 'Lock holder limit must be positive'],
  [['lock', '-timeout=-1s', 'a', 'b'], 'Timeout must be positive'],
  [['lock', '-monitor-retry=-1', 'a', 'b'], "Number for 'monitor-retry' must be >= 0"],
])('%j is refused: %s', async (args, text) => {
  expect(await runCli(args)).toEqual({ code: 1, out: '', err: `${text}\n` });
});
