import { expect, test } from 'vitest';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import { NO_RATE_LIMIT, RateLimiter } from './rate-limiter.ts';

const { clock } = simulatedEnv(1);

/** How many calls of many at once are let through. */
const passing = (limiter: RateLimiter) =>
  Array.from({ length: 100 }, () => limiter.allows()).filter(Boolean).length;

test('a burst passes, then as many as the rate allows', () => {
  const limiter = new RateLimiter({ perSecond: 10, burst: 5 }, clock);
  expect(passing(limiter)).toBe(5);
  clock.advance(99);
  expect(passing(limiter)).toBe(0);
  clock.advance(1);
  expect(passing(limiter)).toBe(1);
  clock.advance(60_000);
  expect(passing(limiter)).toBe(5);
});

test('without a limit everything passes', () => {
  expect(passing(new RateLimiter(NO_RATE_LIMIT, clock))).toBe(100);
});

test('another limit holds from then on', () => {
  const limiter = new RateLimiter({ perSecond: 10, burst: 5 }, clock);
  passing(limiter);
  limiter.limit = { perSecond: 1, burst: 2 };
  expect(passing(limiter)).toBe(2);
});
