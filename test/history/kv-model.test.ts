import { expect, test } from 'vitest';
import { type KvInput, type KvModelOptions, type KvOutput, kvModel } from './kv-model.ts';

/** Whether one client's operations, one after another, can have had these answers. */
function isPossible(
  steps: readonly (readonly [KvInput, KvOutput | undefined])[],
  options?: KvModelOptions,
): boolean {
  const model = kvModel(options);
  const initial = [model.initial('k')];
  return (
    steps.reduce(
      (states, [input, output]) => states.flatMap((state) => model.step(state, input, output)),
      initial,
    ).length > 0
  );
}

const yes: KvOutput = { kind: 'done', applied: true };
const no: KvOutput = { kind: 'done', applied: false };
const get: KvInput = { kind: 'get' };
const put = (value: string): KvInput => ({ kind: 'put', value });
const cas = (index: number, value = 'cas'): KvInput => ({ kind: 'cas', value, index });
const remove: KvInput = { kind: 'delete' };
const removeAt = (index: number): KvInput => ({ kind: 'delete-cas', index });
const acquire = (session: string, value = session): KvInput => ({ kind: 'acquire', value, session });
const release = (session: string, value = 'free'): KvInput => ({ kind: 'release', value, session });
const is = (value: string, modifyIndex: number, session?: string): KvOutput => ({
  kind: 'value',
  value,
  modifyIndex,
  ...(session === undefined ? {} : { session }),
});
const absent: KvOutput = { kind: 'value', value: null, modifyIndex: 0 };

test('an index is learned by a read, and rises with each write', () => {
  expect(
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [get, is('a', 7)],
    ]),
  ).toBe(true);
  expect(
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [get, is('a', 8)],
    ]),
  ).toBe(false);
  expect(
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [put('b'), yes],
      [get, is('b', 9)],
    ]),
  ).toBe(true);
  expect(
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [put('b'), yes],
      [get, is('b', 7)],
    ]),
  ).toBe(false);
  expect(
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [put('b'), yes],
      [get, is('b', 5)],
    ]),
  ).toBe(false);
  // Also over a deletion.
  const back = (index: number) =>
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [remove, yes],
      [put('a'), yes],
      [get, is('a', index)],
    ]);
  expect(back(9)).toBe(true);
  expect(back(7)).toBe(false);
});

test('writing what is there already may leave the index, and need not', () => {
  const again = (index: number) =>
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [put('a'), yes],
      [get, is('a', index)],
    ]);
  expect([again(7), again(9), again(6)]).toEqual([true, true, false]);
});

test('a check-and-set succeeds at its index and nowhere else', () => {
  expect(
    isPossible([
      [cas(0, 'a'), yes],
      [get, is('a', 5)],
    ]),
  ).toBe(true);
  expect(isPossible([[cas(0), no]])).toBe(false);
  expect(isPossible([[cas(5), yes]])).toBe(false);
  expect(
    isPossible([
      [cas(5), no],
      [get, absent],
    ]),
  ).toBe(true);
  const at7 = [
    [put('a'), yes],
    [get, is('a', 7)],
  ] as const;
  expect(isPossible([...at7, [cas(7, 'b'), yes], [get, is('b', 8)]])).toBe(true);
  expect(isPossible([...at7, [cas(7, 'b'), yes], [get, is('a', 7)]])).toBe(false);
  expect(isPossible([...at7, [cas(7), no]])).toBe(false);
  expect(isPossible([...at7, [cas(6), yes]])).toBe(false);
  expect(isPossible([...at7, [cas(0), yes]])).toBe(false);
  expect(isPossible([...at7, [cas(6, 'b'), no], [get, is('a', 7)]])).toBe(true);
  // The index of the second write is not known: anything above the first may be it, until ruled out.
  const rewritten = [...at7, [put('b'), yes]] as const;
  expect(isPossible([...rewritten, [cas(7), yes]])).toBe(false);
  expect(isPossible([...rewritten, [cas(9), yes], [get, is('cas', 10)]])).toBe(true);
  expect(isPossible([...rewritten, [cas(9), yes], [get, is('cas', 9)]])).toBe(false);
  expect(isPossible([...rewritten, [cas(9), no], [get, is('b', 9)]])).toBe(false);
  expect(isPossible([...rewritten, [cas(9), no], [get, is('b', 10)]])).toBe(true);
});

test('a deletion by index treats a missing key as deleted', () => {
  expect(isPossible([[removeAt(3), yes]])).toBe(true);
  expect(isPossible([[removeAt(3), no]])).toBe(false);
  expect(
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [removeAt(7), yes],
      [get, absent],
    ]),
  ).toBe(true);
  expect(
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [removeAt(7), no],
    ]),
  ).toBe(false);
  expect(
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [removeAt(6), no],
      [get, is('a', 7)],
    ]),
  ).toBe(true);
  expect(
    isPossible([
      [put('a'), yes],
      [get, is('a', 7)],
      [removeAt(6), yes],
    ]),
  ).toBe(false);
});

test('a lock has one holder until it is released or the key deleted', () => {
  const held = [[acquire('s1'), yes]] as const;
  expect(isPossible([...held, [get, is('s1', 4, 's1')]])).toBe(true);
  expect(isPossible([...held, [get, is('s1', 4)]])).toBe(false);
  expect(isPossible([...held, [acquire('s2'), yes]])).toBe(false);
  expect(isPossible([...held, [acquire('s2'), no], [acquire('s1', 'again'), yes]])).toBe(true);
  expect(isPossible([...held, [acquire('s1'), no]])).toBe(false);
  expect(isPossible([...held, [release('s2'), yes]])).toBe(false);
  expect(isPossible([...held, [release('s2'), no]])).toBe(true);
  expect(isPossible([...held, [release('s1'), yes], [acquire('s2'), yes]])).toBe(true);
  expect(isPossible([...held, [release('s1'), yes], [get, is('free', 5)]])).toBe(true);
  expect(isPossible([...held, [remove, yes], [acquire('s2'), yes]])).toBe(true);
  expect(isPossible([...held, [put('x'), yes], [get, is('x', 5, 's1')]])).toBe(true);
});

test('a session’s end frees the lock and keeps the value', () => {
  const end: KvInput = { kind: 'release', session: 's1' };
  expect(
    isPossible([
      [acquire('s1'), yes],
      [end, undefined],
      [get, is('s1', 5)],
      [acquire('s2'), yes],
    ]),
  ).toBe(true);
});

test('a free key refuses a lock only where there are lock delays', () => {
  const refused = [[acquire('s1'), no]] as const;
  expect(isPossible(refused)).toBe(false);
  expect(isPossible(refused, { hasLockDelays: true })).toBe(true);
  expect(
    isPossible(
      [
        [acquire('s1'), yes],
        [acquire('s1'), no],
      ],
      { hasLockDelays: true },
    ),
  ).toBe(false);
});

test('answers of another kind are impossible', () => {
  expect(isPossible([[get, yes]])).toBe(false);
  expect(isPossible([[put('a'), absent]])).toBe(false);
  expect(isPossible([[put('a'), no]])).toBe(false);
  expect(isPossible([[remove, no]])).toBe(false);
});
