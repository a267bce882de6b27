import { beforeEach, describe, expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { type ApiAnswer, ApiError, type ApiRequest } from './api.ts';
import { type Live, watchLive } from './live.ts';

interface Asked {
  readonly request: ApiRequest;
  answer(text: string, index?: number): Promise<void>;
  fail(error: ApiError): Promise<void>;
}

let env: ReturnType<typeof simulatedEnv>;
let asked: Asked[];
let draws: number;
let isVisible: boolean;
let changeVisibility: () => void;

beforeEach(() => {
  env = simulatedEnv(1);
  asked = [];
  draws = 0;
  isVisible = true;
});

const settled = async () => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
};

function watch(): Live<string> {
  return watchLive({
    request: { path: '/v1/x', query: { dc: 'dc1' } },
    read: ({ text }) => text,
    call: (request) =>
      new Promise<ApiAnswer>((resolve, reject) => {
        asked.push({
          request,
          answer: (text, index) => {
            resolve({ isFound: true, text, index, isLeaderKnown: true });
            return settled();
          },
          fail: (error) => {
            reject(error);
            return settled();
          },
        });
      }),
    onChange: () => draws++,
    env,
    isVisible: () => isVisible,
    onVisibility: (changed) => {
      changeVisibility = changed;
      return () => undefined;
    },
  });
}

const last = () => asked.at(-1) as Asked;

describe('a watch', () => {
  test('asks at once, then waits with the index of the answer', async () => {
    const live = watch();
    expect(last().request.query).toEqual({ dc: 'dc1' });
    await last().answer('one', 7);
    expect([live.value, draws]).toEqual(['one', 1]);
    await env.clock.advanceAsync(1000);
    expect(last().request.query).toEqual({ dc: 'dc1', index: 7, wait: '55s' });
    await last().answer('two', 8);
    expect(live.value).toBe('two');
  });

  test('keeps its value through failures and says when it tries again', async () => {
    const live = watch();
    await last().answer('one', 7);
    await env.clock.advanceAsync(1000);
    await last().fail(new ApiError(500, 'No cluster leader'));
    expect([live.value, live.error?.message]).toEqual(['one', 'No cluster leader']);
    expect((live.retryAtMs ?? 0) - env.clock.monotonicMs()).toBeGreaterThan(0);
    await env.clock.advanceAsync(1000);
    expect(last().request.query).toEqual({ dc: 'dc1' });
    await last().answer('one', 7);
    expect(live.error).toBeUndefined();
  });

  test('is silent while nobody looks, and asks afresh when somebody does', async () => {
    watch();
    await last().answer('one', 7);
    await env.clock.advanceAsync(1000);
    isVisible = false;
    changeVisibility();
    expect(last().request.signal?.aborted).toBe(true);
    await env.clock.advanceAsync(600_000);
    expect(asked).toHaveLength(2);
    isVisible = true;
    changeVisibility();
    expect(asked).toHaveLength(3);
    expect(last().request.query).toEqual({ dc: 'dc1' });
  });

  test('does not take the answer to an earlier question for the one to a later', async () => {
    const live = watch();
    const first = last();
    live.refresh();
    await last().answer('new', 9);
    await first.answer('old', 8);
    expect(live.value).toBe('new');
  });

  test('ends', async () => {
    const live = watch();
    live.close();
    await last().answer('late', 9);
    live.refresh();
    await env.clock.advanceAsync(600_000);
    expect([asked.length, live.value, draws]).toEqual([1, undefined, 0]);
  });
});
