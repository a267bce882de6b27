import { expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { type Answer, headerOf } from '../exchange/exchange.ts';
import type { Cancellation } from '../upstream/send.ts';
import { NEVER_CANCELLED } from './interest.ts';
import { createWatchFanOut } from './watch.ts';

const SEEN = '5';
const indexOf = (answer: Answer) => headerOf(answer.headers, 'x-consul-index');
const isNews = (answer: Answer) => indexOf(answer) !== SEEN;

/** An agent that answers each wait when it is over, or at once when the index has moved. */
function setUp(maxCallers = 1000) {
  const { clock } = simulatedEnv(1);
  const waits: number[] = [];
  const wakers = new Set<() => void>();
  let index = SEEN;
  let shared = 0;
  const ask = (waitMs: number, cancel: Cancellation) => {
    waits.push(Math.round(waitMs));
    return new Promise<Answer>((resolve, reject) => {
      const reply = () =>
        resolve({ status: 200, headers: ['X-Consul-Index', index], body: new Uint8Array(0) });
      if (index !== SEEN) return reply();
      wakers.add(reply);
      clock.setTimer(waitMs, reply);
      cancel.onCancel(() => reject(new Error('cancelled')));
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
  return { clock, waits, watch, change, shared: () => shared };
}

test('a change costs two upstream requests, however many watch', async () => {
  const { clock, waits, watch, change, shared } = setUp();
  const all = Array.from({ length: 500 }, () => watch(60_000));
  await clock.advanceAsync(1000);
  expect(waits).toEqual([60_000]);
  change('6');
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

test('a shorter wait than the one under way is asked on its own', async () => {
  const { clock, waits, watch } = setUp();
  const long = watch(60_000);
  const short = watch(1000);
  expect(waits).toEqual([60_000, 1000]);
  await clock.advanceAsync(1000);
  expect((await short).tookMs).toBe(1000);
  await clock.advanceAsync(60_000);
  expect((await long).tookMs).toBe(60_000);
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
