import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { judge } from './judge.ts';
import type { ChaosOperation, RunHistory } from './run-history.ts';
import { readHistory, writeHistory } from './run-history.ts';

const folder = mkdtempSync(join(tmpdir(), 'proconsul-judge-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function op(
  key: string,
  at: readonly [number, number?],
  input: ChaosOperation['input'],
  output?: ChaosOperation['output'],
): ChaosOperation {
  return { client: 0, key, input, output, start: at[0], end: at[1] ?? Number.POSITIVE_INFINITY };
}

const read = { kind: 'get', isConsistent: true } as const;
const lazyRead = { kind: 'get' } as const;
const done = { kind: 'done', applied: true } as const;
const is = (value: string, modifyIndex: number) => ({ kind: 'value', value, modifyIndex }) as const;

const TRUE_HISTORY: RunHistory = {
  seed: 1,
  servers: 3,
  through: 'servers',
  operations: [
    op('kv/a', [0, 1], { kind: 'put', value: 'a1' }, done),
    op('kv/a', [2, 3], read, is('a1', 5)),
    op('kv/a', [4, 5], { kind: 'cas', value: 'a2', index: 5 }, done),
    op('kv/a', [6], { kind: 'put', value: 'a3' }),
    op('kv/a', [7, 8], lazyRead, is('a2', 6)),
    op('service/web', [0, 1], { kind: 'put', value: 'w1' }, done),
    op('service/web', [2, 3], read, is('w1', 9)),
    op('lock/l', [0, 1], { kind: 'acquire', value: 'x', session: 's1' }, done),
    op('lock/l', [2, 3], { kind: 'acquire', value: 'y', session: 's2' }, { kind: 'done', applied: false }),
  ],
  holds: [
    { session: 's1', key: 'lock/l', from: 1, to: 4 },
    { session: 's2', key: 'lock/l', from: 5, to: 6 },
  ],
  watches: [
    {
      target: '/v1/kv/a',
      watchers: {
        w: [
          { index: 5, view: { a: { modifyIndex: 5, value: 'a1' } } },
          { index: 6, view: { a: { modifyIndex: 6, value: 'a2' } } },
        ],
      },
      final: { a: { modifyIndex: 6, value: 'a2' } },
    },
  ],
  agentServices: [{ id: 'one', allowed: [80, 81], found: [81] }],
  faults: [],
  failed: 0,
};

/** Names of what is wrong. */
const wrong = (history: RunHistory) => judge(history).flatMap(({ name, isFine }) => (isFine ? [] : [name]));
const withOperation = (...more: ChaosOperation[]): RunHistory => ({
  ...TRUE_HISTORY,
  operations: [...TRUE_HISTORY.operations, ...more],
});

test('a true history is fine, and stays so through a file', () => {
  expect(wrong(TRUE_HISTORY)).toEqual([]);
  const file = join(folder, 'history.json');
  writeHistory(file, TRUE_HISTORY);
  expect(readHistory(file)).toEqual(TRUE_HISTORY);
  writeFileSync(file, '{"operations": 3}');
  expect(() => readHistory(file)).toThrow('holds no history of a run');
});

test('a stale consistent read, a lost write and a lost registration are found', () => {
  expect(wrong(withOperation(op('kv/a', [20, 21], read, is('a1', 5))))).toEqual([
    'keys: writes and consistent reads',
    'keys: default reads too',
  ]);
  expect(
    wrong(withOperation(op('kv/a', [20, 21], read, { kind: 'value', value: null, modifyIndex: 0 }))),
  ).toContain('keys: writes and consistent reads');
  expect(
    wrong(withOperation(op('service/web', [20, 21], read, { kind: 'value', value: null, modifyIndex: 0 }))),
  ).toContain('catalog: writes and consistent reads');
});

test('a stale default read is told apart', () => {
  expect(wrong(withOperation(op('kv/a', [20, 21], lazyRead, is('a1', 5))))).toEqual([
    'keys: default reads too',
  ]);
});

test('a lock granted twice is found in the answers and in the holds', () => {
  const twice = op('lock/l', [2, 3], { kind: 'acquire', value: 'z', session: 's3' }, done);
  expect(wrong(withOperation(twice))).toEqual(['locks: acquire, release, consistent reads']);
  const holds = [...TRUE_HISTORY.holds, { session: 's3', key: 'lock/l', from: 3, to: 4 }];
  expect(wrong({ ...TRUE_HISTORY, holds })).toEqual(['locks: one holder at a time']);
});

test('a watcher that missed the end, and a service that is not as told, are found', () => {
  const watches = TRUE_HISTORY.watches.map((watch) => ({ ...watch, final: {} }));
  expect(wrong({ ...TRUE_HISTORY, watches })).toEqual(['watch /v1/kv/a']);
  for (const found of [[], [82], [80, 81]]) {
    const agentServices = [{ id: 'one', allowed: [80, 81], found }];
    expect(wrong({ ...TRUE_HISTORY, agentServices })).toEqual(['services of agents']);
  }
  const gone = [{ id: 'one', allowed: [null], found: [] }];
  expect(wrong({ ...TRUE_HISTORY, agentServices: gone })).toEqual([]);
});
