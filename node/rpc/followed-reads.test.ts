import { describe, expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import type { ReadOptions, ReadReply } from './backend.ts';
import { readEndpoint } from './endpoint.ts';
import { FollowedReads } from './followed-reads.ts';

const services = readEndpoint<{ name: string }, string[]>('Test.Services');

/** A server that answers blocking reads when told to. */
function fakeServer() {
  const pending: {
    args: unknown;
    options: ReadOptions;
    answer: (index: number, value: string[]) => void;
    fail: () => void;
  }[] = [];
  const read = <Args, Result>(_: unknown, args: Args, options: ReadOptions) =>
    new Promise<ReadReply<Result>>((resolve, reject) => {
      options.signal?.addEventListener('abort', () => reject(new Error('aborted')));
      pending.push({
        args,
        options,
        answer: (index, value) =>
          resolve({ meta: { index, knownLeader: true, lastContactMs: 0 }, value: value as Result }),
        fail: () => reject(new Error('connection lost')),
      });
    });
  const latest = () => {
    const call = pending.at(-1);
    if (call === undefined) throw new Error('nothing was asked');
    return call;
  };
  return { read, pending, latest };
}

function setUp(limit = 2) {
  const env = simulatedEnv(1);
  const server = fakeServer();
  const reads = new FollowedReads({ env, read: server.read, limit, idleMs: 10_000 });
  const ask = (name: string) => reads.get(services, { name })?.value;
  const askOften = (name: string) => [ask(name), ask(name), ask(name)];
  return { clock: env.clock, server, reads, ask, askOften };
}

describe('a read that is asked often', () => {
  test('is followed by one query and answered by the same object until it changes', async () => {
    const { clock, server, ask, askOften } = setUp();
    expect(askOften('web')).toEqual([undefined, undefined, undefined]);
    expect(server.pending).toHaveLength(1);
    server.latest().answer(5, ['a']);
    await clock.advanceAsync(0);
    const first = ask('web');
    expect(first).toEqual(['a']);
    expect(ask('web')).toBe(first);
    expect(server.pending).toHaveLength(2);
    expect(server.latest().options).toMatchObject({ minIndex: 5, consistency: 'stale' });
    server.latest().answer(5, ['a']);
    await clock.advanceAsync(0);
    expect(ask('web')).toBe(first);
    server.latest().answer(9, ['b']);
    await clock.advanceAsync(0);
    expect(ask('web')).toEqual(['b']);
  });

  test('is let go when the query breaks, and followed again', async () => {
    const { clock, server, ask, askOften } = setUp();
    askOften('web');
    server.latest().answer(5, ['a']);
    await clock.advanceAsync(0);
    server.latest().fail();
    await clock.advanceAsync(0);
    expect(ask('web')).toBeUndefined();
    askOften('web');
    expect(server.latest().options.minIndex).toBe(0);
  });

  test('is let go when nobody asks', async () => {
    const { clock, server, ask, askOften } = setUp();
    askOften('web');
    server.latest().answer(5, ['a']);
    await clock.advanceAsync(20_000);
    server.latest().answer(6, ['b']);
    await clock.advanceAsync(0);
    expect(ask('web')).toBeUndefined();
  });

  test('starts over when the index falls', async () => {
    const { clock, server, askOften } = setUp();
    askOften('web');
    server.latest().answer(50, ['a']);
    await clock.advanceAsync(0);
    server.latest().answer(7, ['restored']);
    await clock.advanceAsync(0);
    expect(server.latest().options.minIndex).toBe(0);
  });
});

test('a read that is asked now and then is not followed', async () => {
  const { clock, server, ask } = setUp();
  for (let i = 0; i < 10; i++) {
    ask('web');
    await clock.advanceAsync(1500);
  }
  expect(server.pending).toHaveLength(0);
});

test('at the limit the one asked for longest ago makes room, and stop ends all', async () => {
  const { server, reads, askOften } = setUp(2);
  askOften('a');
  askOften('b');
  askOften('a');
  askOften('c');
  const aborted = () =>
    server.pending.map(({ args, options }) => [(args as { name: string }).name, options.signal?.aborted]);
  expect(aborted()).toEqual([
    ['a', false],
    ['b', true],
    ['c', false],
  ]);
  reads.stop();
  expect(aborted().every(([, isAborted]) => isAborted)).toBe(true);
});
