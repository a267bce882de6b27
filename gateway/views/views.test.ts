import { describe, expect, test } from 'vitest';
import { ConsulError } from '../../shared/errors.ts';
import { headerOf, type WholeAnswer } from '../exchange/exchange.ts';
import { fakeRead, incomingGet } from '../testing/fake-read.ts';
import { viewQuestion } from './question.ts';
import { createViews } from './views.ts';

const TARGET = '/v1/health/service/web?stale';

function setUp(limits: { maxViews?: number; maxBytes?: number } = {}, read = fakeRead({ body: '["a"]' })) {
  let hits = 0;
  const views = createViews({
    ask: read.ask,
    maxViews: () => limits.maxViews ?? 10,
    maxBytes: limits.maxBytes ?? 1e6,
    onHit: () => hits++,
    ...read.env,
  });
  const get = (target = TARGET, headers: readonly string[] = []) =>
    views.answer(incomingGet(target, headers));
  /** Asks until the view is open and has its answer. */
  const warm = async (target = TARGET, headers: readonly string[] = []) => {
    for (let i = 0; i < 3; i++) expect(get(target, headers)).toBeUndefined();
    await read.env.clock.advanceAsync(30);
  };
  return { read, views, get, warm, hits: () => hits };
}

const text = (answer: WholeAnswer | undefined) =>
  answer === undefined ? undefined : new TextDecoder().decode(answer.body);
const header = (answer: WholeAnswer | undefined, name: string) => headerOf(answer?.headers ?? [], name);
const down = new ConsulError('no-servers', 503, 'nobody');

describe('a view', () => {
  test('opens at the third read and follows the read with one wait', async () => {
    const { read, get, warm, hits, views } = setUp();
    await warm();
    expect(text(get())).toBe('["a"]');
    read.change(6, '["b"]');
    await read.env.clock.advanceAsync(0);
    expect(text(get())).toBe('["b"]');
    expect(header(get(), 'x-consul-index')).toBe('6');
    await read.env.clock.advanceAsync(30);
    expect(read.asked).toEqual([TARGET, `${TARGET}&index=5&wait=10000ms`, `${TARGET}&index=6&wait=10000ms`]);
    expect(hits()).toBe(3);
    views.stop();
    expect(read.waits()).toBe(0);
  });

  test('is not opened for reads that are rare', async () => {
    const { read, get } = setUp();
    for (let i = 0; i < 10; i++) {
      get();
      await read.env.clock.advanceAsync(6000);
    }
    expect(read.asked).toEqual([]);
  });

  test('says how old it is, and an agent that confirms it makes it young again', async () => {
    const { read, get, warm } = setUp();
    await warm();
    await read.env.clock.advanceAsync(4000);
    expect(header(get(), 'x-consul-lastcontact')).toBe(String(7 + 4000 + 30));
    expect(header(get(), 'x-consul-knownleader')).toBe('true');
    expect(header(get(), 'x-cache')).toBeUndefined();
    await read.env.clock.advanceAsync(6200);
    expect(Number(header(get(), 'x-consul-lastcontact'))).toBeLessThan(300);
  });

  test('does not answer who asks for something younger', async () => {
    const { read, get, warm } = setUp();
    await warm();
    await read.env.clock.advanceAsync(3000);
    expect(get('/v1/health/service/web?max_stale=2s')).toBeUndefined();
    expect(text(get('/v1/health/service/web?max_stale=4s'))).toBe('["a"]');
    expect(get(TARGET, ['Cache-Control', 'max-age=2'])).toBeUndefined();
    expect(text(get(TARGET, ['Cache-Control', 'max-age=4, stale-if-error=60']))).toBe('["a"]');
    for (const refused of ['must-revalidate', 'no-cache', 'max-age=x', 'stale-if-error=-1'])
      expect(get(TARGET, ['Cache-Control', refused])).toBeUndefined();
  });

  test('is not used while its watch is broken, and again when it works', async () => {
    const { read, get, warm } = setUp();
    await warm();
    read.fail(down);
    await read.env.clock.advanceAsync(0);
    expect(get()).toBeUndefined();
    read.fail(undefined);
    await read.env.clock.advanceAsync(1000);
    expect(text(get())).toBe('["a"]');
  });

  test('is not used when the agent is silent for longer than it may be', async () => {
    const hanging = fakeRead();
    const { read, get, warm } = setUp(
      {},
      {
        ...hanging,
        ask: (target, headers, cancel) =>
          target.includes('index=') ? new Promise(() => undefined) : hanging.ask(target, headers, cancel),
      },
    );
    await warm();
    await read.env.clock.advanceAsync(12_000);
    expect(get()).toBeDefined();
    await read.env.clock.advanceAsync(1000);
    expect(get()).toBeUndefined();
  });

  test('ends its watch when nobody reads it any more', async () => {
    const { read, get, warm, views } = setUp();
    await warm();
    expect(get()).toBeDefined();
    await read.env.clock.advanceAsync(70_000);
    expect(views.size()).toEqual({ count: 0, bytes: 0 });
    expect(read.waits()).toBe(0);
  });

  test('asks the leader when an agent knows less than another did', async () => {
    const { read, get, warm } = setUp();
    await warm();
    read.change(3, '["old"]');
    await read.env.clock.advanceAsync(0);
    expect(read.asked.at(-1)).toBe('/v1/health/service/web');
    expect(text(get())).toBe('["old"]');
  });

  test('is not opened again for what cannot be watched', async () => {
    const { read, get } = setUp();
    read.answerWith(403);
    for (let i = 0; i < 20; i++) {
      get();
      await read.env.clock.advanceAsync(100);
    }
    expect(read.asked.length).toBe(1);
  });
});

describe('a view that is held', () => {
  const HOUR_MS = 3_600_000;
  test('opens at once, is confirmed seldom, and sooner once others read it often', async () => {
    const { read, views, get } = setUp();
    const hold = () => views.hold(incomingGet(TARGET), HOUR_MS);
    const first = hold();
    await read.env.clock.advanceAsync(30);
    expect(text(await first)).toBe('["a"]');
    await read.env.clock.advanceAsync(50_000);
    expect(text(await hold())).toBe('["a"]');
    expect(get()).toBeUndefined();
    await read.env.clock.advanceAsync(6000);
    expect(text(get())).toBe('["a"]');
    expect(read.asked.map((target) => /wait=(.*)/.exec(target)?.[1])).toEqual([
      undefined,
      '55000ms',
      '10000ms',
    ]);
  });

  test('does not push out others that are held', async () => {
    const { read, views } = setUp({ maxViews: 2 });
    const holdAll = async () => {
      const held = ['a', 'b', 'c'].map((name) => views.hold(incomingGet(`/v1/kv/${name}?stale`), HOUR_MS));
      await read.env.clock.advanceAsync(60_000);
      return (await Promise.all(held)).map((answer) => answer !== undefined);
    };
    for (let i = 0; i < 3; i++) expect(await holdAll()).toEqual([true, true, false]);
    expect(read.asked.filter((target) => !target.includes('index=')).length).toBe(2);
  });

  test('gives nothing while no agent answers', async () => {
    const { read, views } = setUp();
    read.fail(down);
    const held = views.hold(incomingGet(TARGET), HOUR_MS);
    await read.env.clock.advanceAsync(1);
    expect(await held).toBeUndefined();
  });
});

describe('the cache that ?cached asks for', () => {
  const CACHED = '/v1/health/service/web?cached';

  test('is told as a hit with its age', async () => {
    const { get, warm, read } = setUp({}, fakeRead({ headers: ['X-Cache', 'MISS'] }));
    await warm(CACHED);
    await read.env.clock.advanceAsync(3000);
    expect([header(get(CACHED), 'x-cache'), header(get(CACHED), 'age')]).toEqual(['HIT', '0']);
  });

  test('grows old while the agent has lost its servers', async () => {
    const { get, warm, read } = setUp({}, fakeRead({ headers: ['X-Cache', 'HIT', 'Age', '20'] }));
    await warm(CACHED);
    await read.env.clock.advanceAsync(3500);
    expect(header(get(CACHED), 'age')).toBe('23');
  });

  test('is left alone when agents do not keep one', async () => {
    const { get, warm, views } = setUp();
    await warm(CACHED);
    expect(get(CACHED)).toBeUndefined();
    expect(views.size().count).toBe(0);
  });
});

describe('bounds', () => {
  test('the least recently used view goes, but not while it is in use itself', async () => {
    const { read, warm, get, views } = setUp({ maxViews: 2 });
    for (const name of ['a', 'b', 'c']) await warm(`/v1/kv/${name}?stale`);
    expect(views.size().count).toBe(2);
    expect(get('/v1/kv/c?stale')).toBeUndefined();
    await read.env.clock.advanceAsync(6000);
    expect(get('/v1/kv/b?stale')).toBeDefined();
    await warm('/v1/kv/d?stale');
    expect(get('/v1/kv/b?stale')).toBeDefined();
    expect(get('/v1/kv/a?stale')).toBeUndefined();
    expect(get('/v1/kv/d?stale')).toBeDefined();
  });

  test('bytes are counted, and too many make room', async () => {
    const { warm, get, views } = setUp({ maxBytes: 20_000 }, fakeRead({ body: 'x'.repeat(4000) }));
    for (let i = 0; i < 6; i++) await warm(`/v1/kv/${i}?stale`);
    expect(views.size().bytes).toBeLessThanOrEqual(20_000);
    expect(views.size().count).toBe(3);
    expect(get('/v1/kv/5?stale')).toBeDefined();
  });

  test('an answer that would fill a quarter of it is not kept', async () => {
    const { warm, views } = setUp({ maxBytes: 20_000 }, fakeRead({ body: 'x'.repeat(6000) }));
    await warm('/v1/kv/a?stale');
    expect(views.size()).toEqual({ count: 0, bytes: 0 });
  });
});

describe('which reads', () => {
  const key = (target: string, headers: readonly string[] = []) =>
    viewQuestion(incomingGet(target, headers))?.key;

  test('only those that may be old and that agents can watch', () => {
    for (const target of [
      '/v1/kv/a',
      '/v1/kv/a?consistent',
      '/v1/kv/a?cached',
      '/v1/kv/a?stale&index=5',
      '/v1/kv/a?stale&consistent',
      '/v1/kv/a?stale&index=zz',
      '/v1/kv/a?max_stale=zz',
      '/v1/agent/services?stale',
      '/v1/status/leader?stale',
      '/v1/catalog/datacenters?cached',
      '/v1/health/service/web?stale&near=_agent',
      '/v1/health/service/web?stale&%6eear=_agent',
      '/v1/query/q/execute?stale',
      `/v1/kv/${'x'.repeat(5000)}?stale`,
    ])
      expect(key(target), target).toBeUndefined();
    expect(key('/v1/health/service/web?stale', ['Accept-Encoding', 'gzip;q=0'])).toBeUndefined();
  });

  test('`max_stale` and `stale` share one, compression and tokens do not', () => {
    expect(key('/v1/kv/a?max_stale=5s')).toBe(key('/v1/kv/a?stale'));
    expect(key('/v1/kv/a?stale', ['Accept-Encoding', 'gzip, br'])).toBe(
      key('/v1/kv/a?stale', ['Accept-Encoding', 'gzip']),
    );
    const keys = [
      key('/v1/kv/a?stale'),
      key('/v1/kv/a?stale', ['Accept-Encoding', 'gzip']),
      key('/v1/kv/a?stale', ['X-Consul-Token', 'one']),
      key('/v1/kv/a?stale', ['X-Consul-Token', 'two']),
      key('/v1/kv/a?stale', ['Authorization', 'Bearer one']),
      key('/v1/kv/a?stale&token=one'),
      key('/v1/kv/a?stale&pretty'),
    ];
    expect(new Set(keys).size).toBe(keys.length);
    for (const each of keys) expect(each).not.toMatch(/one|two/);
  });
});
