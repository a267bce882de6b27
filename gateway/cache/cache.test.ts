import RedisMock from 'ioredis-mock';
import { describe, expect, test } from 'vitest';
import { createLogger, type LogRecord } from '../../shared/log.ts';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { headerOf, type WholeAnswer } from '../exchange/exchange.ts';
import { createRedisBuckets } from '../limits/redis-buckets.ts';
import { createLastKnownGood } from './last-known-good.ts';
import { createRedisLink, type RedisClient } from './redis-link.ts';
import { createEmbeddedState, createRedisState } from './redis-state.ts';
import { createMemoryState, type SharedState } from './shared-state.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const answer = (text: string, headers: string[] = []): WholeAnswer => ({
  status: 200,
  headers,
  body: bytes(text),
});

describe('memory', () => {
  test('forgets by time and pushes out the least recently used', async () => {
    let nowMs = 0;
    const state = createMemoryState(10, () => nowMs);
    await state.set('a', bytes('aaaa'), 100);
    await state.set('b', bytes('bbbb'), 1000);
    await state.get('a');
    await state.set('c', bytes('cccc'), 1000);
    expect(await state.get('b')).toBeUndefined();
    expect(await state.get('a')).toEqual(bytes('aaaa'));
    nowMs = 100;
    expect(await state.get('a')).toBeUndefined();
    await state.set('huge', bytes('x'.repeat(11)), 100);
    expect(await state.get('huge')).toBeUndefined();
    expect(await state.get('c')).toEqual(bytes('cccc'));
  });
});

describe('Redis', () => {
  const records: LogRecord[] = [];
  const logger = createLogger('t', [{ wants: () => true, write: (record) => records.push(record) }], () => 0);

  test('shares bytes between gateways', async () => {
    const open = () =>
      createRedisState(
        createRedisLink(new RedisMock(), logger),
        createMemoryState(0, () => 0),
      );
    const [one, two] = [open(), open()];
    const value = Uint8Array.from({ length: 256 }, (_, i) => i);
    await one.set('k', value, 60_000);
    expect(new Uint8Array((await two.get('k')) ?? [])).toEqual(value);
    expect(await two.get('other')).toBeUndefined();
  });

  test('down is degraded: told once, answers from this process, and told once when it is back', async () => {
    let isDown = true;
    const command = <T>(value: T) => (isDown ? Promise.reject(new Error('refused')) : Promise.resolve(value));
    const client: RedisClient = {
      getBuffer: () => command(null),
      set: () => command('OK'),
      del: () => command(1),
      eval: () => command([1, 0]),
      disconnect: () => undefined,
      on: () => undefined,
    };
    const link = createRedisLink(client, logger);
    const state = createRedisState(
      link,
      createMemoryState(100, () => 0),
    );
    expect(link.isDegraded()).toBe(false);
    await state.set('k', bytes('v'), 1000);
    expect(await state.get('k')).toEqual(bytes('v'));
    expect(await createRedisBuckets(link).take('k', { perSecond: 1, burst: 1 }, 1)).toBeUndefined();
    expect(link.isDegraded()).toBe(true);
    isDown = false;
    expect(await state.get('k')).toEqual(bytes('v'));
    expect(await createRedisBuckets(link).take('k', { perSecond: 1, burst: 1 }, 1)).toEqual({
      got: 1,
      waitMs: 0,
    });
    expect(link.isDegraded()).toBe(false);
    expect(records.map(({ level }) => level)).toEqual(['WARN', 'INFO']);
    await state.close();
  });

  test('in this process is as bounded as the memory before it', async () => {
    const mock = new RedisMock();
    const state = createEmbeddedState(createRedisLink(mock, logger), 10, () => 0);
    for (const key of ['bound-a', 'bound-b', 'bound-c']) await state.set(key, bytes('xxxx'), 60_000);
    await state.set('bound-huge', bytes('x'.repeat(11)), 60_000);
    expect((await mock.keys('proconsul:gateway:bound-*')).toSorted()).toEqual([
      'proconsul:gateway:bound-b',
      'proconsul:gateway:bound-c',
    ]);
    expect(await state.get('bound-a')).toBeUndefined();
    expect(await state.get('bound-c')).toEqual(Buffer.from('xxxx'));
  });
});

describe('last known good', () => {
  function setUp() {
    const { clock } = simulatedEnv(1);
    const keys: string[] = [];
    const memory = createMemoryState(1e6, () => clock.monotonicMs());
    const state: SharedState = {
      ...memory,
      get: (key) => memory.get(key),
      close: () => memory.close(),
      set: (key, value, ttlMs) => {
        keys.push(key);
        return memory.set(key, value, ttlMs);
      },
    };
    return { clock, keys, known: createLastKnownGood({ state, keepMs: 60_000, clock }) };
  }

  test('is marked and aged, and its key tells no token', async () => {
    const { clock, keys, known } = setUp();
    await known.remember(
      '/v1/x\nx-consul-token:secret',
      answer('body', ['X-Consul-Index', '5', 'Date', 'then', 'Age', '9']),
    );
    clock.advance(7500);
    const recalled = await known.recall('/v1/x\nx-consul-token:secret', Number.POSITIVE_INFINITY);
    expect(new TextDecoder().decode(recalled?.body)).toBe('body');
    const header = (name: string) => headerOf(recalled?.headers ?? [], name);
    expect([header('age'), header('x-proconsul-stale'), header('x-consul-index')]).toEqual([
      '7',
      'true',
      '5',
    ]);
    expect([header('date'), header('x-consul-lastcontact')]).toEqual([undefined, '7500']);
    expect(keys.join()).toMatch(/^lkg:[0-9a-f]{64}$/);
    expect(await known.recall('/v1/x\nx-consul-token:other', Number.POSITIVE_INFINITY)).toBeUndefined();
  });

  test('is not older than the caller or the setting allows', async () => {
    const { clock, known } = setUp();
    await known.remember('k', answer('v'));
    clock.advance(5000);
    expect(await known.recall('k', 4999)).toBeUndefined();
    expect(await known.recall('k', 5000)).toBeDefined();
    clock.advance(60_000);
    expect(await known.recall('k', Number.POSITIVE_INFINITY)).toBeUndefined();
  });

  test('is written at most once a second for each key', async () => {
    const { clock, keys, known } = setUp();
    for (let i = 0; i < 5; i++) await known.remember('k', answer('v'));
    expect(keys.length).toBe(1);
    clock.advance(1000);
    await known.remember('k', answer('v'));
    expect(keys.length).toBe(2);
  });

  test('only good whole answers are remembered', async () => {
    const { keys, known } = setUp();
    await known.remember('a', { ...answer('v'), status: 404 });
    await known.remember('b', { status: 200, headers: [], body: new ReadableStream() });
    expect(keys).toEqual([]);
  });
});
