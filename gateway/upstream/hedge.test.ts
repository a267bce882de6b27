import { beforeEach, describe, expect, test } from 'vitest';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import { hedged } from './hedge.ts';
import { RecentLatencies, SlowAgents } from './latencies.ts';
import type { Cancellation } from './send.ts';

let env: SimulatedEnv;
let events: string[];
beforeEach(() => {
  env = simulatedEnv(1);
  events = [];
});

/** Answers after a while, unless it is cancelled. */
function agent(name: string, afterMs: number, outcome = `good ${name}`) {
  return (cancel: Cancellation) =>
    new Promise<string>((resolve) => {
      events.push(`ask ${name}`);
      const timer = env.clock.setTimer(afterMs, () => resolve(outcome));
      cancel.onCancel(() => {
        timer.cancel();
        events.push(`cancel ${name}`);
        resolve('bad cancelled');
      });
    });
}

async function run(
  first: (cancel: Cancellation) => Promise<string>,
  second: (cancel: Cancellation) => Promise<string> | undefined,
  outer?: Cancellation,
): Promise<string> {
  const outcome = hedged({
    delayMs: 10,
    clock: env.clock,
    outer,
    first,
    second,
    isGood: (text) => text.startsWith('good'),
    onHedge: (event) => events.push(event),
  });
  await env.clock.advanceAsync(1000);
  return outcome;
}

describe('a hedged read', () => {
  test('that is answered in time asks nobody else', async () => {
    expect(await run(agent('a', 9), agent('b', 1))).toBe('good a');
    expect(events).toEqual(['ask a']);
  });

  test('that is late asks another, and takes whoever is first', async () => {
    expect(await run(agent('a', 100), agent('b', 5))).toBe('good b');
    expect(events).toEqual(['ask a', 'ask b', 'sent', 'won', 'cancel a']);
    events = [];
    expect(await run(agent('a', 12), agent('b', 50))).toBe('good a');
    expect(events).toEqual(['ask a', 'ask b', 'sent', 'cancel b']);
  });

  test('waits for the other when one fails', async () => {
    expect(await run(agent('a', 50), agent('b', 5, 'bad b'))).toBe('good a');
    expect(await run(agent('a', 12, 'bad a'), agent('b', 50))).toBe('good b');
    expect(await run(agent('a', 12, 'bad a'), agent('b', 50, 'bad b'))).toBe('bad b');
    expect(await run(agent('a', 5, 'bad a'), agent('b', 50))).toBe('bad a');
  });

  test('goes on alone when nobody else may be asked', async () => {
    expect(await run(agent('a', 100), () => undefined)).toBe('good a');
    expect(events).toEqual(['ask a']);
  });

  test('ends with its caller', async () => {
    const listeners: (() => void)[] = [];
    const outer = {
      isCancelled: false,
      onCancel: (listener: () => void) => {
        listeners.push(listener);
        return () => undefined;
      },
    };
    env.clock.setTimer(20, () => {
      for (const listener of listeners) listener();
    });
    expect(await run(agent('a', 100), agent('b', 100), outer)).toBe('bad cancelled');
    expect(events).toEqual(['ask a', 'ask b', 'sent', 'cancel a', 'cancel b']);
  });
});

test('the high percentile follows the recent latencies, once there are enough', () => {
  const latencies = new RecentLatencies();
  for (let i = 0; i < 63; i++) latencies.note(1);
  expect(latencies.highMs).toBeUndefined();
  for (let i = 0; i < 193; i++) latencies.note(i % 10 === 0 ? 20 : 1);
  expect(latencies.highMs).toBe(20);
  for (let i = 0; i < 256; i++) latencies.note(i);
  expect(latencies.highMs).toBe(243);
});

describe('slow agents', () => {
  const judge = (latencyOf: Readonly<Record<string, number>>, rounds = 200) => {
    const agents = new SlowAgents<string>();
    const found = new Set<string>();
    for (let i = 0; i < rounds; i++)
      for (const [name, ms] of Object.entries(latencyOf)) {
        const slow = agents.note(name, ms);
        if (slow !== undefined) found.add(slow);
      }
    return [...found];
  };

  test('are those far beyond the median, and only where there is one', () => {
    expect(judge({ a: 2, b: 3, c: 80 })).toEqual(['c']);
    expect(judge({ a: 2, b: 3, c: 40 })).toEqual([]);
    expect(judge({ a: 100, b: 120, c: 400 })).toEqual([]);
    expect(judge({ a: 2, c: 800 })).toEqual([]);
    expect(judge({ a: 2, b: 3, c: 80 }, 10)).toEqual([]);
  });
});
