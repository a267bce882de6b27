import { expect, test } from 'vitest';
import { simulatedEnv } from '../simulated-env.ts';
import type { ChangesOptions, Topics } from './changes.ts';
import { createClient } from './client.ts';

/** Streams in the order in which they are asked for: text that comes, then the end, or nothing more. */
interface Scripted {
  readonly status?: number;
  readonly text: string;
  readonly staysOpen?: boolean;
}

function setUp(
  answers: readonly (Scripted | Error)[],
  topics: Topics = { keys: [''] },
  options: ChangesOptions = {},
) {
  const env = simulatedEnv(1);
  const asked: string[] = [];
  const fetched: typeof fetch = async (input, init) => {
    const { pathname, search } = new URL(String(input));
    asked.push(pathname + search);
    const scripted = answers[asked.length - 1] ?? { text: '', staysOpen: true };
    if (scripted instanceof Error) throw scripted;
    const body = new ReadableStream<Uint8Array>({
      start: (sink) => {
        // Cut where no border of an event or of a character is.
        const bytes = new TextEncoder().encode(scripted.text);
        for (let at = 0; at < bytes.length; at += 7) sink.enqueue(bytes.subarray(at, at + 7));
        init?.signal?.addEventListener('abort', () => sink.error(init.signal?.reason));
        if (scripted.staysOpen !== true) sink.close();
      },
    });
    return new Response(body, { status: scripted.status ?? 200 });
  };
  const client = createClient({ fetch: fetched, env });
  const told: unknown[] = [];
  const retries: unknown[] = [];
  let failure: unknown;
  const over = (async () => {
    try {
      const following = client.changes(topics, { ...options, onRetry: (error) => retries.push(error) });
      for await (const { kind, ...change } of following)
        told.push([kind, 'key' in change ? change.key : '', 'value' in change ? change.value : undefined]);
    } catch (error) {
      failure = error;
    }
  })();
  /** Time passes, and everything that can be read is. */
  const pass = async (ms: number) => {
    for (let step = 0; step < 200; step++) await env.clock.advanceAsync(ms / 200);
  };
  return { pass, asked, told, retries, over, failure: () => failure };
}

const event = (kind: string, data: object, id?: string) =>
  `event: ${kind}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify({ topic: 'kv:', index: 1, ...data })}\n\n`;

test('a snapshot, then changes; comments and unknown events pass', async () => {
  const text = `retry: 1000\n\n${event('snapshot', { entries: [{ key: 'a', value: 1 }] }, 'x.1')}: alive\n\n${event('put', { key: 'ü', value: 2 })}${event('later', {})}${event('delete', { key: 'a' }, 'x.2')}`;
  const { pass, told, asked } = setUp([{ text, staysOpen: true }], {
    keys: ['a/', 'b'],
    health: ['web'],
    passing: true,
  });
  await pass(0);
  expect(told).toEqual([
    ['snapshot', '', undefined],
    ['put', 'ü', 2],
    ['delete', 'a', undefined],
  ]);
  expect(asked).toEqual(['/v1/watch?health=web&kv=a%2F&kv=b&passing']);
});

test('a lost connection is made again from the last id, and what comes twice is told once', async () => {
  const first =
    event('snapshot', { entries: [] }, 'x.1') +
    event('put', { key: 'a', value: 1 }) +
    event('put', { key: 'b', value: 1 });
  const second =
    event('put', { key: 'a', value: 1 }) +
    event('put', { key: 'b', value: 1 }) +
    event('delete', { key: 'a' }, 'x.3');
  const { pass, told, asked } = setUp([
    { text: first },
    new TypeError('refused'),
    { text: second, staysOpen: true },
  ]);
  await pass(2000);
  expect(told).toEqual([
    ['snapshot', '', undefined],
    ['put', 'a', 1],
    ['put', 'b', 1],
    ['delete', 'a', undefined],
  ]);
  expect(asked).toEqual(['/v1/watch?kv=', '/v1/watch?index=x.1&kv=', '/v1/watch?index=x.1&kv=']);
});

test('a second snapshot is told as what changed, deletions included', async () => {
  const first = event(
    'snapshot',
    {
      entries: [
        { key: 'a', value: 1 },
        { key: 'b', value: 1 },
        { key: 'c', value: 1 },
      ],
    },
    'x.1',
  );
  const second = event(
    'snapshot',
    {
      entries: [
        { key: 'a', value: 1 },
        { key: 'b', value: 2 },
        { key: 'd', value: 1 },
      ],
    },
    'y.9',
  );
  const { pass, told } = setUp([{ text: first }, { text: second, staysOpen: true }]);
  await pass(2000);
  expect(told.slice(1)).toEqual([
    ['put', 'b', 2],
    ['put', 'd', 1],
    ['delete', 'c', undefined],
  ]);
});

test('what a second snapshot differs in is told in the order in which it happened', async () => {
  const at = (key: string, ModifyIndex: number) => ({ key, value: { ModifyIndex } });
  const first = event('snapshot', { entries: [] }, 'x.1');
  const second = event('snapshot', { entries: [at('10', 7), at('11', 8), at('8', 5), at('9', 6)] }, 'y.9');
  const { pass, told } = setUp([{ text: first }, { text: second, staysOpen: true }]);
  await pass(2000);
  expect(told.slice(1).map((change) => (change as unknown[])[1])).toEqual(['8', '9', '10', '11']);
});

test('refusals end it with their reason', async () => {
  for (const answer of [
    { status: 404, text: 'no such page' },
    { text: event('refused', { status: 403, reason: 'Permission denied' }) },
  ]) {
    const { pass, failure } = setUp([answer]);
    await pass(100);
    expect(String(failure())).toMatch(/404 no such page|403 kv:: Permission denied/);
  }
});

test('a connection that falls silent is given up', async () => {
  const { pass, asked, retries } = setUp([{ text: ': alive\n\n', staysOpen: true }]);
  await pass(39_000);
  expect(asked.length).toBe(1);
  await pass(2000);
  expect([asked.length, String(retries[0])]).toEqual([2, 'TimeoutError: the stream fell silent']);
});

test('ends quietly when its caller does', async () => {
  const caller = new AbortController();
  const { pass, over, failure } = setUp([{ text: '', staysOpen: true }], {}, { signal: caller.signal });
  await pass(10);
  caller.abort();
  await over;
  expect(failure()).toBeUndefined();
});
