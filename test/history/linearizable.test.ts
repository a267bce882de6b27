import { expect, test } from 'vitest';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { isLinearizableByBruteForce } from './brute-force.ts';
import { type KvInput, type KvOperation, type KvOutput, kvModel } from './kv-model.ts';
import { checkLinearizable, type Model } from './linearizable.ts';
import { randomHistory, withOneLie } from './random-history.ts';

const model = kvModel();

/** `at` is [start, end]; without an end the outcome is unknown. */
function op(at: readonly [number, number?], input: KvInput, output?: KvOutput, key = 'k'): KvOperation {
  return { client: 1, key, input, output, start: at[0], end: at[1] ?? Number.POSITIVE_INFINITY };
}
const done = (applied: boolean): KvOutput => ({ kind: 'done', applied });
const value = (text: string | null, modifyIndex = 0, session?: string): KvOutput => ({
  kind: 'value',
  value: text,
  modifyIndex,
  ...(session === undefined ? {} : { session }),
});
const put = (text: string): KvInput => ({ kind: 'put', value: text });
const get: KvInput = { kind: 'get' };
const verdictOf = (operations: readonly KvOperation[]) => checkLinearizable(model, operations).verdict;

test('histories of a store that does one thing after another pass, with lost answers and without', () => {
  for (let seed = 0; seed < 400; seed++) {
    const shape = { operations: 60, concurrency: 1 + (seed % 5), lossRate: (seed % 3) / 10 };
    expect([seed, verdictOf(randomHistory(new SeededRandom(seed), shape))]).toEqual([seed, 'linearizable']);
  }
}, 120_000);

test('the verdict is that of trying every order, on small histories, true ones and changed ones', () => {
  const counts = { linearizable: 0, violation: 0, unknown: 0 };
  for (let seed = 0; seed < 6000; seed++) {
    const random = new SeededRandom(seed);
    const shape = { operations: 3 + (seed % 4), concurrency: 1 + (seed % 4), lossRate: (seed % 3) * 0.2 };
    const made = randomHistory(random, shape);
    const history = seed % 4 === 0 ? made : withOneLie(random, made);
    const expected = isLinearizableByBruteForce(model, history) ? 'linearizable' : 'violation';
    expect([seed, verdictOf(history)]).toEqual([seed, expected]);
    counts[expected]++;
    if (history.some(({ output }) => output === undefined)) counts.unknown++;
  }
  // Both verdicts and open outcomes must have been put to the test.
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(1000);
}, 120_000);

test('another model, another brute-force comparison: a register whose write may be of any of two values', () => {
  const register: Model<number, number, number> = {
    initial: () => 0,
    // A positive input writes itself or its double; 0 reads.
    step: (state, input, output) =>
      input === 0 ? (output === undefined || output === state ? [state] : []) : [input, 2 * input],
    stateKey: String,
    describe: ({ input, output }) => `${input} → ${output}`,
  };
  const counts = { linearizable: 0, violation: 0 };
  for (let seed = 0; seed < 2000; seed++) {
    const random = new SeededRandom(seed);
    const below = (bound: number) => Math.floor(random.next() * bound);
    const history = Array.from({ length: 6 }, (_, client) => {
      const input = below(3);
      const start = below(10);
      const output = below(5) === 0 ? undefined : input === 0 ? below(5) : input;
      return { client, key: 'r', input, output, start, end: start + below(5) };
    });
    const expected = isLinearizableByBruteForce(register, history) ? 'linearizable' : 'violation';
    expect([seed, checkLinearizable(register, history).verdict]).toEqual([seed, expected]);
    counts[expected]++;
  }
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(200);
}, 120_000);

test('a stale read, a lost write and a write out of nowhere are violations', () => {
  const wroteTwice = [op([0, 1], put('a'), done(true)), op([2, 3], put('b'), done(true))];
  expect(verdictOf([...wroteTwice, op([4, 5], get, value('b', 7))])).toBe('linearizable');
  expect(verdictOf([...wroteTwice, op([4, 5], get, value('a', 6))])).toBe('violation');
  expect(verdictOf([...wroteTwice, op([4, 5], get, value(null))])).toBe('violation');
  expect(verdictOf([...wroteTwice, op([4, 5], get, value('c', 7))])).toBe('violation');
  // Under way together, either order will do, but not both.
  const during = (text: string, index: number) => op([2.5, 2.8], get, value(text, index));
  expect(verdictOf([...wroteTwice, during('a', 6)])).toBe('linearizable');
  expect(verdictOf([...wroteTwice, op([2.2, 2.4], get, value('b', 7)), during('a', 6)])).toBe('violation');
});

test('a write of unknown outcome may happen late or never, but not twice', () => {
  const written = [op([0, 1], put('a'), done(true)), op([2], put('b'))];
  const readA = op([10, 11], get, value('a', 5));
  const readB = op([20, 21], get, value('b', 6));
  expect(verdictOf([...written, readA])).toBe('linearizable');
  expect(verdictOf([...written, readA, readB])).toBe('linearizable');
  expect(verdictOf([...written, readA, readB, op([30, 31], get, value('a', 5))])).toBe('violation');
  const after = op([30, 31], put('c'), done(true));
  expect(verdictOf([...written, readB, after, op([40, 41], get, value('b', 8))])).toBe('violation');
  expect(verdictOf([op([9], put('b')), op([0, 1], get, value('b', 5))])).toBe('violation');
});

test('keys are judged apart, and a violation names its key, the longest order and what could not follow', () => {
  const verdict = checkLinearizable(model, [
    op([0, 1], put('x'), done(true), 'other'),
    op([0, 1], put('a'), done(true)),
    op([2, 3], get, value('a', 5)),
    op([4, 5], get, value(null)),
  ]);
  expect(verdict).toEqual({
    verdict: 'violation',
    key: 'k',
    text: [
      'key "k": of 3 operations with an answer, at most 2 can be put in order:',
      '  [0 … 1] client 1: put "a" → applied',
      '  [2 … 3] client 1: get → "a" at 5',
      'after which the state is ["a",null,5,5,[]], and none of these can follow:',
      '  [4 … 5] client 1: get → absent',
    ].join('\n'),
  });
});

test('without enough steps the verdict is open, and a violation of another key is still found', () => {
  const stale = [
    op([0, 1], put('a'), done(true), 'other'),
    op([2, 3], get, value(null), 'other'),
    ...randomHistory(new SeededRandom(1), { operations: 50, concurrency: 3, lossRate: 0 }),
  ];
  expect(checkLinearizable(model, stale.slice(2), { maxSteps: 10 })).toEqual({
    verdict: 'undecided',
    key: 'k',
  });
  expect(checkLinearizable(model, stale.toReversed(), { maxSteps: 10 })).toMatchObject({
    verdict: 'violation',
    key: 'other',
  });
});

test('long histories with many lost answers are put in order within a few steps each', () => {
  for (let seed = 0; seed < 3; seed++) {
    const shape = { operations: 2000, concurrency: 6, lossRate: 0.1 };
    const history = randomHistory(new SeededRandom(seed), shape);
    expect(checkLinearizable(model, history, { maxSteps: 500_000 })).toEqual({ verdict: 'linearizable' });
  }
}, 120_000);

test('a lie at the end of a long history is found although any lost answer might explain it', () => {
  const shape = { operations: 1000, concurrency: 1, lossRate: 0.02 };
  const history = randomHistory(new SeededRandom(1), shape);
  const lie = op([2000, 2001], get, value('never written', 1_000_000));
  expect(verdictOf(history)).toBe('linearizable');
  expect(verdictOf([...history, lie])).toBe('violation');
}, 120_000);
