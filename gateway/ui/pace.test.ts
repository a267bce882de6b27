import { describe, expect, test } from 'vitest';
import { nextStep, type Pace, START } from './pace.ts';

const answer = (index?: number) => ({ kind: 'answer', index }) as const;

describe('answers', () => {
  test('are waited on with their index', () => {
    expect(nextStep(START, answer(7), 0).pace).toEqual({ index: 7, failures: 0 });
    expect(nextStep({ index: 7, failures: 0 }, answer(7), 0).pace.index).toBe(7);
  });

  test('start over when the index went backwards', () => {
    expect(nextStep({ index: 70, failures: 0 }, answer(3), 0).pace.index).toBe(0);
  });

  test('leave a gap, so that constant change does not keep the browser busy', () => {
    expect(nextStep(START, answer(7), 0).delayMs).toBeGreaterThanOrEqual(100);
  });

  test('without an index are asked for now and then', () => {
    expect(nextStep({ index: 7, failures: 2 }, answer(), 0)).toEqual({ pace: START, delayMs: 10_000 });
  });
});

describe('failures', () => {
  test('double the delay up to 30 s and forget the index', () => {
    let pace: Pace = { index: 7, failures: 0 };
    const delays: number[] = [];
    for (let i = 0; i < 8; i++) {
      const step = nextStep(pace, { kind: 'failure' }, 0);
      pace = step.pace;
      delays.push(step.delayMs);
    }
    expect(delays).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(pace).toEqual({ index: 0, failures: 8 });
    expect(nextStep(pace, answer(9), 0).pace).toEqual({ index: 9, failures: 0 });
  });

  test('of many browsers come back spread over half the delay', () => {
    expect(nextStep({ index: 0, failures: 3 }, { kind: 'failure' }, 0.5).delayMs).toBe(6000);
    expect(nextStep({ index: 0, failures: 3 }, { kind: 'failure' }, 0.999).delayMs).toBeGreaterThan(4000);
  });

  test('never overflow', () => {
    expect(nextStep({ index: 0, failures: 1e6 }, { kind: 'failure' }, 0).delayMs).toBe(30_000);
  });
});
