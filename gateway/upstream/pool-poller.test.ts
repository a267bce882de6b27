import { expect, test } from 'vitest';
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
  answer: (url: string, target: string) => Answer | undefined,
  seeds = ['http://a', 'http://b'],
) {
  const { clock, random } = simulatedEnv(1);
  const pool = new NodePool(seeds, random);
  const asked: string[] = [];
  const poller = createPoolPoller({
    pool,
    transport: {
      send: async (url, { target }) => {
        asked.push(url);
        const result = answer(url, target);
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
