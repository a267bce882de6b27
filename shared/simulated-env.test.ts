import { expect, test } from 'vitest';
import { randomUuid, shuffle, sleep } from './env.ts';
import { SeededRandom, SimulatedClock, simulatedEnv } from './simulated-env.ts';

test('timers fire in due order, those due together in the order set, cancelled ones never', () => {
  const clock = new SimulatedClock();
  const fired: string[] = [];
  clock.setTimer(20, () => fired.push('late'));
  clock.setTimer(10, () => fired.push('a'));
  clock.setTimer(10, () => fired.push('b'));
  const cancelled = clock.setTimer(5, () => fired.push('never'));
  cancelled.cancel();
  clock.advance(10);
  expect(fired).toEqual(['a', 'b']);
  clock.advance(10);
  expect(fired).toEqual(['a', 'b', 'late']);
  expect(clock.monotonicMs()).toBe(20);
});

test('many random timers come out sorted', () => {
  const { clock, random } = simulatedEnv(3);
  const fired: number[] = [];
  for (let i = 0; i < 500; i++) {
    const delay = Math.floor(random.next() * 1000);
    clock.setTimer(delay, () => fired.push(delay));
  }
  clock.advance(1000);
  expect(fired).toHaveLength(500);
  expect(fired).toEqual([...fired].sort((a, b) => a - b));
});

test('a sleep ends with its time or with its signal', async () => {
  const { clock } = simulatedEnv(1);
  const slept = sleep(clock, 100);
  await clock.advanceAsync(100);
  await slept;
  const stop = new AbortController();
  const aborted = sleep(clock, 100, stop.signal);
  stop.abort(new Error('enough'));
  await expect(aborted).rejects.toThrow('enough');
  expect(clock.nextDueMs()).toBeUndefined();
});

test('equal seeds give equal sequences, other seeds others, all within range', () => {
  const draw = (seed: number) =>
    Array.from({ length: 50 }, (_, i) => (i === 0 ? new SeededRandom(seed) : undefined)?.next());
  expect(draw(7)).toEqual(draw(7));
  const a = new SeededRandom(1);
  const b = new SeededRandom(2);
  const drawsA = Array.from({ length: 1000 }, () => a.next());
  expect(drawsA).not.toEqual(Array.from({ length: 1000 }, () => b.next()));
  expect(drawsA.every((x) => x >= 0 && x < 1)).toBe(true);
  const mean = drawsA.reduce((sum, x) => sum + x, 0) / drawsA.length;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.05);
});

test('shuffle keeps the items; a UUID has its form', () => {
  const random = new SeededRandom(5);
  const items = Array.from({ length: 20 }, (_, i) => i);
  expect(shuffle(random, [...items]).sort((a, b) => a - b)).toEqual(items);
  expect(randomUuid(random)).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
});
