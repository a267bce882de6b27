import { describe, expect, test } from 'vitest';
import { simulatedEnv } from '../simulated-env.ts';
import { createClient } from './client.ts';
import { fakeServer, type ScriptedAnswer } from './testing/fake-server.ts';
import type { WatchOptions } from './watch.ts';

const entry = (value: string) => [{ Key: 'k', Value: btoa(value), Flags: 0, LockIndex: 0 }];

function watching(answers: readonly (ScriptedAnswer | Error)[], options: WatchOptions = {}) {
  const server = fakeServer(...answers);
  const env = simulatedEnv(1);
  const client = createClient({ fetch: server.fetch, env });
  return { server, env, changes: client.kv.watch('k', options) };
}

describe('a watch', () => {
  test('gives the first answer and then what has another index', async () => {
    const { server, changes } = watching(
      [
        { status: 404, index: '3', body: '' },
        { status: 404, index: '3', body: '' },
        { index: '5', body: entry('a') },
        { index: '9', body: entry('b') },
        { hangs: true },
      ],
      { waitMs: 60_000 },
    );
    const seen = [await changes.next(), await changes.next(), await changes.next()];
    expect(seen.map(({ value }) => value?.index)).toEqual([3n, 5n, 9n]);
    expect(seen.map(({ value }) => value?.value?.Value)).toEqual([undefined, btoa('a'), btoa('b')]);
    expect(server.asked.map(({ target }) => target)).toEqual([
      '/v1/kv/k',
      '/v1/kv/k?index=3&wait=60000ms',
      '/v1/kv/k?index=3&wait=60000ms',
      '/v1/kv/k?index=5&wait=60000ms',
    ]);
  });

  test('shows the state after an index that went back, and waits from there', async () => {
    const { server, changes } = watching([
      { index: '90', body: entry('old') },
      { index: '4', body: entry('restored') },
      { index: '6', body: entry('new') },
    ]);
    const seen = [await changes.next(), await changes.next(), await changes.next()];
    expect(seen.map(({ value }) => value?.index)).toEqual([90n, 4n, 6n]);
    expect(server.asked[2]?.target).toBe('/v1/kv/k?index=4');
  });

  test('tries again what may pass, later each time, and starts quick after a success', async () => {
    const delays: number[] = [];
    const failures = [new TypeError('fetch failed'), { status: 500, body: 'No cluster leader' }] as const;
    const answers = [
      ...failures,
      { index: '2', body: entry('a') },
      ...failures,
      { index: '3', body: entry('b') },
    ];
    const { env, changes } = watching(answers, { onRetry: (_, delayMs) => delays.push(delayMs) });
    const first = changes.next();
    await env.clock.advanceAsync(1000);
    expect((await first).value?.index).toBe(2n);
    const second = changes.next();
    await env.clock.advanceAsync(1000);
    expect((await second).value?.index).toBe(3n);
    expect(delays).toHaveLength(4);
    delays.forEach((delayMs, i) => {
      const meanMs = i % 2 === 0 ? 250 : 500;
      expect(delayMs).toBeGreaterThanOrEqual(meanMs * 0.8);
      expect(delayMs).toBeLessThanOrEqual(meanMs * 1.2);
    });
  });

  test('never waits longer than 36 seconds between tries', async () => {
    const delays: number[] = [];
    const { env, changes } = watching([new TypeError('fetch failed')], {
      onRetry: (_, delayMs) => delays.push(delayMs),
    });
    void changes.next();
    await env.clock.advanceAsync(600_000);
    expect(delays.length).toBeGreaterThan(15);
    expect(Math.max(...delays)).toBeLessThanOrEqual(36_000);
  });

  test('ends with an error for what would be refused again', async () => {
    const { changes } = watching([{ status: 403, body: 'Permission denied' }]);
    await expect(changes.next()).rejects.toThrow('GET /v1/kv/k: 403 Permission denied');
  });

  test('refuses an endpoint without an index', async () => {
    const { changes } = watching([{ body: entry('a') }]);
    await expect(changes.next()).rejects.toThrow('this endpoint gives no index');
  });

  test('ends quietly when its caller does, while waiting and while pausing', async () => {
    for (const answer of [{ hangs: true }, new TypeError('fetch failed')]) {
      const caller = new AbortController();
      const { env, changes } = watching([{ index: '1', body: entry('a') }, answer], {
        signal: caller.signal,
      });
      await changes.next();
      const next = changes.next();
      await env.clock.advanceAsync(10);
      caller.abort();
      expect(await next).toEqual({ done: true, value: undefined });
    }
  });
});
