import { expect, test } from 'vitest';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { checkLocks, type Hold } from './locks.ts';

const hold = (session: string, from: number, to: number, key = 'k'): Hold => ({ session, key, from, to });

test('holds one after another, of the same session or of other keys are fine', () => {
  expect(checkLocks([hold('s1', 0, 5), hold('s2', 5, 7), hold('s1', 8, 9)])).toEqual([]);
  expect(checkLocks([hold('s1', 0, 5), hold('s1', 3, 7)])).toEqual([]);
  expect(checkLocks([hold('s1', 0, 5), hold('s2', 3, 7, 'other')])).toEqual([]);
  expect(checkLocks([hold('s1', 0, 5), hold('s2', 4, 4), hold('s3', 4, 2)])).toEqual([]);
});

test('two sessions that hold one lock at a time are named', () => {
  expect(checkLocks([hold('s2', 4, 7), hold('s1', 0, 5)])).toEqual([
    { key: 'k', sessions: ['s1', 's2'], text: 'k: s2 held it from 4 to 7 while s1 held it from 0 to 5' },
  ]);
  expect(checkLocks([hold('s1', 0, 9), hold('s1', 1, 2), hold('s2', 3, 4)])).toHaveLength(1);
});

test('there is a violation exactly when some pair overlaps', () => {
  let overlapping = 0;
  for (let seed = 0; seed < 3000; seed++) {
    const random = new SeededRandom(seed);
    const below = (bound: number) => Math.floor(random.next() * bound);
    const holds = Array.from({ length: 4 }, () => {
      const from = below(16);
      return hold(`s${below(3)}`, from, from + below(5));
    });
    const isReal = ({ from, to }: Hold) => to > from;
    const expected = holds.some((one) =>
      holds.some(
        (two) =>
          one.session !== two.session && isReal(one) && isReal(two) && one.from < two.to && two.from < one.to,
      ),
    );
    expect([seed, checkLocks(holds).length > 0]).toEqual([seed, expected]);
    if (expected) overlapping++;
  }
  expect(overlapping).toBeGreaterThan(500);
  expect(overlapping).toBeLessThan(2500);
});
