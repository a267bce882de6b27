import { describe, expect, test } from 'vitest';
import { sleep } from '../../shared/env.ts';
import { silentLogger } from '../../shared/log.ts';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import type { Answer } from '../exchange/exchange.ts';
import { NodePool } from './node-pool.ts';
import { POOL_PATH, parsePool } from './pool-listing.ts';
import { createPoolPoller } from './pool-poller.ts';
import { UpstreamError } from './transport.ts';

const json = (value: unknown): Answer => ({
  status: 200,
  headers: [],
  body: new TextEncoder().encode(JSON.stringify(value)),
});
const entry = (node: string, changes: object = {}) => ({
  node,
  id: node,
  role: 'server',
  status: 'alive',
  httpAddress: `http://${node}`,
  isLeader: false,
  ...changes,
});

function setUp(
  answer: (url: string, target: string) => Answer | undefined | 'silence',
  seeds = ['http://a', 'http://b'],
) {
  const { clock, random } = simulatedEnv(1);
  const pool = new NodePool(seeds, random);
  const asked: string[] = [];
  const poller = createPoolPoller({
    pool,
    transport: {
      send: async (url, { target, timeoutMs }) => {
        asked.push(url);
        const result = answer(url, target);
        if (result === 'silence') {
          await sleep(clock, timeoutMs);
          throw new UpstreamError('timeout', 'no answer in time');
        }
        if (result === undefined) throw new UpstreamError('not-sent', 'refused');
        return result;
      },
      forget: () => undefined,
      close: async () => undefined,
    },
    seeds,
    pollMs: 1000,
    sharesWork: true,
    clock,
    random,
    logger: silentLogger,
  });
  return { clock, pool, poller, asked };
}

test('an agent that sees no leader is not believed while another sees one', async () => {
  const cutOff = [entry('a'), entry('b', { status: 'failed' })];
  const majority = [entry('a', { status: 'failed' }), entry('b', { isLeader: true }), entry('c')];
  const { pool, poller } = setUp((url) => json(url === 'http://a' ? cutOff : majority));
  await poller.refresh();
  expect(poller.hasLeader()).toBe(true);
  expect(pool.usable(0).map(({ name }) => name)).toEqual(['b', 'c']);
});

test('the leader is asked first, and again every second or as soon as something broke', async () => {
  const { clock, poller, asked } = setUp(() => json([entry('a'), entry('b', { isLeader: true })]));
  poller.start();
  await clock.advanceAsync(10);
  const first = asked.length;
  await clock.advanceAsync(10_000);
  expect(asked.length - first).toBeGreaterThanOrEqual(8);
  expect(asked.length - first).toBeLessThanOrEqual(13);
  expect(new Set(asked.slice(first))).toEqual(new Set(['http://b']));
  const before = asked.length;
  for (let i = 0; i < 100; i++) poller.nudge();
  await clock.advanceAsync(50);
  expect(asked.length - before).toBeLessThanOrEqual(2);
  poller.stop();
  const atStop = asked.length;
  await clock.advanceAsync(10_000);
  expect(asked.length).toBe(atStop);
});

describe('a leader that hangs', () => {
  const led = (leader: string) =>
    json(['a', 'b', 'c'].map((node) => entry(node, { isLeader: node === leader })));

  function hanging() {
    const state = { leader: 'a', isHung: false };
    const parts = setUp((url) => (state.isHung && url === 'http://a' ? 'silence' : led(state.leader)));
    return { ...parts, state };
  }

  test('is found replaced soon, and what waits for it goes on elsewhere', async () => {
    const { clock, pool, poller, state } = hanging();
    poller.start();
    await clock.advanceAsync(10);
    const old = pool.leader(clock.monotonicMs());
    expect(old?.name).toBe('a');
    let abandoned = 0;
    old?.abandon.add(() => abandoned++);
    state.isHung = true;
    await clock.advanceAsync(1700);
    expect(pool.leader(clock.monotonicMs())?.name).toBe('a');
    expect(abandoned).toBe(0);
    state.leader = 'b';
    await clock.advanceAsync(200);
    expect(pool.leader(clock.monotonicMs())?.name).toBe('b');
    expect(abandoned).toBe(1);
    poller.stop();
  });

  test('is found replaced also when no question to it is open any more', async () => {
    const { clock, pool, poller, state } = hanging();
    poller.start();
    await clock.advanceAsync(10);
    let abandoned = 0;
    pool.leader(clock.monotonicMs())?.abandon.add(() => abandoned++);
    state.isHung = true;
    await clock.advanceAsync(6000);
    state.leader = 'c';
    await clock.advanceAsync(600);
    expect(pool.leader(clock.monotonicMs())?.name).toBe('c');
    expect(abandoned).toBe(1);
    poller.stop();
  });

  test('is asked one question at a time, and the others not for ever so often', async () => {
    const { clock, poller, state, asked } = hanging();
    poller.start();
    await clock.advanceAsync(10);
    state.isHung = true;
    const before = asked.length;
    await clock.advanceAsync(60_000);
    const since = asked.slice(before);
    expect(since.filter((url) => url === 'http://a').length).toBeLessThanOrEqual(30);
    expect(since.length).toBeLessThanOrEqual(10_000 / 150 + 50 * 3 + 60);
    poller.stop();
  });

  test('and answers late has lost nothing, nor has one that hands over while it answers', async () => {
    const { clock, pool, poller, state } = hanging();
    poller.start();
    await clock.advanceAsync(10);
    let abandoned = 0;
    pool.leader(clock.monotonicMs())?.abandon.add(() => abandoned++);
    state.isHung = true;
    await clock.advanceAsync(1500);
    state.isHung = false;
    await clock.advanceAsync(3000);
    state.leader = 'b';
    await clock.advanceAsync(2000);
    expect(pool.leader(clock.monotonicMs())?.name).toBe('b');
    expect(abandoned).toBe(0);
    poller.stop();
  });
});

test('nobody there: no leader, and the agents are kept for another try', async () => {
  const { pool, poller } = setUp(() => undefined);
  await poller.refresh();
  expect(poller.hasLeader()).toBe(false);
  expect(poller.ageMs()).toBe(Number.POSITIVE_INFINITY);
  expect(pool.nodes().length).toBe(2);
});

test('a plain Consul: the configured agents, and the leader by its address', async () => {
  const { pool, poller } = setUp(
    (url, target) => {
      if (target === POOL_PATH) return { status: 404, headers: [], body: new Uint8Array(0) };
      if (target === '/v1/status/leader') return json('10.0.0.2:8300');
      return json({ Config: { NodeName: url.slice(7), Server: url !== 'http://10.0.0.3' } });
    },
    ['http://10.0.0.1', 'http://10.0.0.2', 'http://10.0.0.3'],
  );
  await poller.refresh();
  expect(pool.leader(0)?.url).toBe('http://10.0.0.2');
  expect(pool.owners(0).map(({ url }) => url)).toEqual(['http://10.0.0.3']);
});

test('listings are checked entry by entry', () => {
  expect(parsePool('oops')).toBeUndefined();
  expect(parsePool('{}')).toBeUndefined();
  const parsed = parsePool(
    JSON.stringify([
      null,
      { node: 1 },
      entry('x', { role: 'king' }),
      entry('y', { httpAddress: 'http://y:8500/', isLeader: true, status: 'failed' }),
      entry('z', { httpAddress: 'nonsense' }),
    ]),
  );
  expect(parsed?.agents.map(({ name, url }) => [name, url])).toEqual([
    ['y', 'http://y:8500'],
    ['z', ''],
  ]);
  expect(parsed?.hasLeader).toBe(false);
});
