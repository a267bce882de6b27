import { expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { type Answer, headerOf } from '../exchange/exchange.ts';
import type { Cancellation } from '../upstream/send.ts';
import { NEVER_CANCELLED } from './interest.ts';
import { SLICE } from './slices.ts';
import { createWatchFanOut } from './watch.ts';

const SEEN = '5';
const indexOf = (answer: Answer) => headerOf(answer.headers, 'x-consul-index');
const isNews = (answer: Answer) => indexOf(answer) !== SEEN;

/** An agent that answers each wait when it is over, or at once when the index has moved. */
function setUp(maxCallers = 1000) {
  const { clock } = simulatedEnv(1);
  const waits: number[] = [];
  const wakers = new Set<() => void>();
  /** Upstream waits under way. */
  const waiting = new Set<() => void>();
  let index = SEEN;
  let shared = 0;
  const ask = (waitMs: number, cancel: Cancellation) => {
    waits.push(Math.round(waitMs));
    return new Promise<Answer>((resolve, reject) => {
      const reply = () => {
        waiting.delete(reply);
        resolve({ status: 200, headers: ['X-Consul-Index', index], body: new Uint8Array(0) });
      };
      if (index !== SEEN) return reply();
      wakers.add(reply);
      waiting.add(reply);
      clock.setTimer(waitMs, reply);
      cancel.onCancel(() => {
        waiting.delete(reply);
        reject(new Error('cancelled'));
      });
    });
  };
  const fanOut = createWatchFanOut({ maxCallers, clock, onShared: () => shared++ });
  const watch = (waitMs: number, cancel = NEVER_CANCELLED) => {
    const startMs = clock.monotonicMs();
    return fanOut
      .watch('k', waitMs, isNews, ask, cancel)
      .then((answer) => ({ index: indexOf(answer), tookMs: Math.round(clock.monotonicMs() - startMs) }));
  };
  const change = (to: string) => {
    index = to;
    for (const wake of [...wakers]) wake();
  };
  return { clock, waits, watch, change, shared: () => shared, waiting: () => waiting.size };
}

test('a change costs two upstream requests, however many watch', async () => {
  const { clock, waits, watch, change, shared } = setUp();
  const all = Array.from({ length: 500 }, () => watch(60_000));
  await clock.advanceAsync(1000);
  expect(waits).toEqual([60_000]);
  change('6');
  await clock.advanceAsync(1);
  expect(new Set((await Promise.all(all)).map(({ index }) => index))).toEqual(new Set(['6']));
  expect(waits.length).toBe(2);
  expect(shared()).toBe(499);
});

test('who came while the answer was on its way gets a later one', async () => {
  const { clock, watch, change } = setUp();
  const early = watch(60_000);
  await clock.advanceAsync(10);
  change('6');
  const late = watch(60_000);
  change('7');
  expect((await early).index).toBe('6');
  expect((await late).index).toBe('7');
});

test('everyone is answered within the wait asked for, plus the sixteenth an agent may add', async () => {
  const { clock, waits, watch } = setUp();
  const answers: Promise<{ tookMs: number }>[] = [];
  for (let i = 0; i < 200; i++) {
    answers.push(watch(10_000));
    await clock.advanceAsync(50);
  }
  await clock.advanceAsync(20_000);
  for (const { tookMs } of await Promise.all(answers)) {
    expect(tookMs).toBeGreaterThanOrEqual(10_000);
    expect(tookMs).toBeLessThanOrEqual(10_626);
  }
  expect(waits.length).toBeLessThan(40);
});

test('a shorter wait takes the place of a longer one, and both end when they should', async () => {
  const { clock, waits, watch, waiting } = setUp();
  const long = watch(60_000);
  const short = Array.from({ length: 100 }, () => watch(1000));
  await clock.advanceAsync(10);
  expect([waits, waiting()]).toEqual([[60_000, 1000], 1]);
  await clock.advanceAsync(1100);
  for (const { tookMs } of await Promise.all(short)) expect(tookMs).toBeLessThanOrEqual(1063);
  expect(waiting()).toBe(1);
  await clock.advanceAsync(62_700);
  const { tookMs } = await long;
  expect(tookMs).toBeGreaterThanOrEqual(60_000);
  expect(tookMs).toBeLessThanOrEqual(63_750);
});

test('callers of many different waits hold one upstream wait at a time and miss no change', async () => {
  const { clock, watch, change, waiting } = setUp();
  const answers: Promise<{ index: string | undefined; tookMs: number }>[] = [];
  for (let i = 0; i < 300; i++) {
    answers.push(watch(5000 + ((i * 7919) % 60_000)));
    await clock.advanceAsync(5);
    expect(waiting()).toBe(1);
  }
  change('6');
  await clock.advanceAsync(100);
  expect(new Set((await Promise.all(answers)).map(({ index }) => index))).toEqual(new Set(['6']));
});

test('20,000 callers are woken in slices, with turns of others between them', async () => {
  const { clock, waits, watch, change } = setUp(20_000);
  let woken = 0;
  const all = Array.from({ length: 20_000 }, () => watch(60_000).then(() => woken++));
  await clock.advanceAsync(10);
  const perTurn: number[] = [];
  const count = () => {
    perTurn.push(woken);
    if (woken < 20_000) clock.setTimer(0, count);
  };
  change('6');
  clock.setTimer(0, count);
  await clock.advanceAsync(10);
  await Promise.all(all);
  expect(waits.length).toBe(2);
  const steps = perTurn.map((n, i) => n - (perTurn[i - 1] ?? 0));
  expect(Math.max(...steps)).toBeLessThanOrEqual(2 * SLICE);
});

test('the upstream wait ends with its last watcher', async () => {
  const { clock, waits, watch } = setUp();
  const leavers: (() => void)[] = [];
  const cancel: Cancellation = {
    isCancelled: false,
    onCancel: (listener) => {
      leavers.push(listener);
      return () => undefined;
    },
  };
  const watching = [watch(60_000, cancel), watch(60_000, cancel)];
  await clock.advanceAsync(10);
  for (const leave of leavers) leave();
  for (const each of watching) await expect(each).rejects.toThrow();
  await clock.advanceAsync(10);
  const again = watch(1000);
  expect(waits).toEqual([60_000, 1000]);
  await clock.advanceAsync(1000);
  expect((await again).index).toBe(SEEN);
});
