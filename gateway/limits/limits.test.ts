import { beforeEach, describe, expect, test } from 'vitest';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import { type Answer, type Exchange, headerOf, isWhole, NO_BODY } from '../exchange/exchange.ts';
import { NO_BLOCKS, parseBlocks } from './address-blocks.ts';
import { addressKey, addressOf, tokenOf } from './caller.ts';
import { createLimiter, type Lease, type SharedBuckets } from './limiter.ts';
import { createRateLimits, type RateLimitsOptions } from './limits.ts';
import { fullBucket, type RateLimit, take } from './token-bucket.ts';

let env: SimulatedEnv;
beforeEach(() => {
  env = simulatedEnv(3);
});

describe('a bucket', () => {
  const limit: RateLimit = { perSecond: 10, burst: 3 };

  test('gives a burst, then what time adds', () => {
    let bucket = fullBucket(limit, 0);
    const takeAt = (nowMs: number, wanted = 1) => {
      const taken = take(bucket, limit, wanted, nowMs);
      ({ bucket } = taken);
      return [taken.got, taken.waitMs];
    };
    expect(takeAt(0, 5)).toEqual([3, 100]);
    expect(takeAt(50)).toEqual([0, 50]);
    expect(takeAt(100)).toEqual([1, 100]);
    expect(takeAt(90)).toEqual([0, 100]);
    expect(takeAt(10_000, 2)).toEqual([2, 0]);
    expect(takeAt(10_000, 2)).toEqual([1, 100]);
  });
});

describe('a limiter', () => {
  const limit: RateLimit = { perSecond: 100, burst: 20 };

  /** Buckets as Redis keeps them; `isDown` makes them unreachable. */
  function sharedBuckets() {
    const buckets = new Map<string, ReturnType<typeof fullBucket>>();
    const calls: number[] = [];
    const shared = { isDown: false, calls };
    const source: SharedBuckets = {
      take: async (key, of, wanted): Promise<Lease | undefined> => {
        if (shared.isDown) return undefined;
        calls.push(wanted);
        const nowMs = env.clock.monotonicMs();
        const taken = take(buckets.get(key) ?? fullBucket(of, nowMs), of, wanted, nowMs);
        buckets.set(key, taken.bucket);
        return taken;
      },
    };
    return { shared, source };
  }

  async function admitted(limiters: readonly ReturnType<typeof createLimiter>[], requests: number) {
    let count = 0;
    for (let i = 0; i < requests; i++) {
      const limiter = limiters[i % limiters.length];
      if ((await limiter?.admit('k')) === 0) count++;
    }
    return count;
  }

  test('keeps each key’s limit by itself', async () => {
    const limiter = createLimiter(limit, undefined, env.clock);
    expect(await admitted([limiter], 50)).toBe(20);
    expect(limiter.admit('other')).toBe(0);
    expect(limiter.admit('k')).toBe(10);
    env.clock.advance(100);
    expect(await admitted([limiter], 50)).toBe(10);
  });

  test('keeps it together with others, and asks far less than once a request', async () => {
    const { shared, source } = sharedBuckets();
    const limiters = [1, 2, 3].map(() => createLimiter(limit, source, env.clock));
    expect(await admitted(limiters, 200)).toBe(20);
    expect(shared.calls.length).toBeLessThan(12);
    let total = 0;
    for (let step = 0; step < 20; step++) {
      env.clock.advance(50);
      total += await admitted(limiters, 30);
    }
    expect(total).toBeGreaterThan(80);
    expect(total).toBeLessThanOrEqual(100);
  });

  test('lets many at once share one question', async () => {
    const { shared, source } = sharedBuckets();
    const limiter = createLimiter(limit, source, env.clock);
    const waits = await Promise.all(Array.from({ length: 30 }, () => limiter.admit('k')));
    expect(waits.filter((waitMs) => waitMs === 0)).toHaveLength(20);
    expect(shared.calls.length).toBeLessThanOrEqual(3);
  });

  test('goes on alone while nobody shares', async () => {
    const { shared, source } = sharedBuckets();
    const limiter = createLimiter(limit, source, env.clock);
    shared.isDown = true;
    const waits = await Promise.all(Array.from({ length: 50 }, () => limiter.admit('k')));
    expect(waits.filter((waitMs) => waitMs === 0)).toHaveLength(20);
    shared.isDown = false;
    env.clock.advance(1000);
    expect(await admitted([limiter], 50)).toBe(20);
  });
});

describe('who is counted', () => {
  const trusted = parseBlocks(['10.0.0.0/8', 'fd00::/8', '192.0.2.7']) ?? NO_BLOCKS;

  test.each([
    ['/v1/kv/a?token=q', ['X-Consul-Token', 'h'], 'q'],
    ['/v1/kv/a?%74oken=q', [], 'q'],
    ['/v1/kv/a?token=', ['x-consul-token', 'h', 'Authorization', 'Bearer b'], 'h'],
    ['/v1/kv/a', ['Authorization', 'bearer  b c'], 'b'],
    ['/v1/kv/a', ['Authorization', 'Basic b'], ''],
    ['/v1/kv/a', [], ''],
  ])('token of %s %j', (target, headers, token) => {
    expect(tokenOf(target, headers)).toBe(token);
  });

  test.each([
    ['203.0.113.1', '1.1.1.1', '203.0.113.1'],
    ['10.1.1.1', '1.1.1.1', '1.1.1.1'],
    ['10.1.1.1', '6.6.6.6, 1.1.1.1, 10.2.2.2', '1.1.1.1'],
    ['192.0.2.7', '2001:db8::1,fd00::1', '2001:db8::1'],
    ['192.0.2.8', '1.1.1.1', '192.0.2.8'],
    ['10.1.1.1', '10.2.2.2', '10.1.1.1'],
    ['10.1.1.1', '', '10.1.1.1'],
    ['::ffff:10.1.1.1', '1.1.1.1', '1.1.1.1'],
  ])('address of %s with X-Forwarded-For %j', (connected, forwarded, address) => {
    expect(addressOf(connected, ['X-Forwarded-For', forwarded], trusted)).toBe(address);
    expect(addressOf(connected, ['X-Forwarded-For', forwarded], NO_BLOCKS)).toBe(connected);
  });

  test.each([
    ['1.2.3.4', '1.2.3.4'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:1:2:3:4', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('%s is counted as %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });

  test.each(['10.0.0.0/33', '10.0.0/8', 'x', '1.2.3.4/', '::/129', '1::2::3', '1:2:3', '1.2.3.256', '1/2/3'])(
    '%s is no block',
    (text) => {
      expect(parseBlocks([text])).toBeUndefined();
    },
  );
});

describe('refusals', () => {
  const exchange = (headers: string[], clientAddress = '1.1.1.1'): Exchange => ({
    method: 'GET',
    target: '/v1/kv/a',
    headers,
    clientAddress,
    protocol: 'HTTP/1.1',
    readBody: async () => NO_BODY,
    onClientGone: () => () => undefined,
    respond: () => new Response(),
  });
  const open = (changes: Partial<RateLimitsOptions>) => {
    const refused: string[] = [];
    const limits = createRateLimits({
      perToken: undefined,
      perAddress: undefined,
      trustedProxies: NO_BLOCKS,
      shared: undefined,
      clock: env.clock,
      onRefused: (by) => refused.push(by),
      ...changes,
    });
    return { limits, refused };
  };
  const said = (answer: Answer | undefined) =>
    answer === undefined
      ? 'fine'
      : [
          answer.status,
          headerOf(answer.headers, 'retry-after'),
          isWhole(answer) && new TextDecoder().decode(answer.body),
        ];

  test('say who, how much and when', async () => {
    const { limits, refused } = open({ perToken: { perSecond: 0.5, burst: 1 } });
    expect(said(await limits?.check(exchange(['X-Consul-Token', 's3cret'])))).toBe('fine');
    expect(said(await limits?.check(exchange(['X-Consul-Token', 's3cret'])))).toEqual([
      429,
      '2',
      'Too many requests with this ACL token: this gateway allows 0.5 per second, 1 at once. Try again in 2 s.',
    ]);
    expect(said(await limits?.check(exchange(['X-Consul-Token', 'other'])))).toBe('fine');
    for (let i = 0; i < 5; i++) expect(said(await limits?.check(exchange([])))).toBe('fine');
    expect(refused).toEqual(['token']);
  });

  test('address and token have a limit each', async () => {
    const { limits, refused } = open({
      perToken: { perSecond: 1, burst: 2 },
      perAddress: { perSecond: 1, burst: 3 },
    });
    const outcomes: unknown[] = [];
    for (let i = 0; i < 4; i++)
      outcomes.push(said(await limits?.check(exchange(['X-Consul-Token', 't'])))[0]);
    expect(outcomes).toEqual(['f', 'f', 429, 429]);
    expect(refused).toEqual(['token', 'address']);
    expect(said(await limits?.check(exchange(['X-Consul-Token', 'u'], '2.2.2.2')))).toBe('fine');
  });

  test('without limits there is nothing to check', () => {
    expect(open({}).limits).toBeUndefined();
  });
});
