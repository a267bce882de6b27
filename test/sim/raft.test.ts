/** Many short histories of a cluster under faults; and proof that the checks would notice a broken Raft. */

import { describe, expect, it } from 'vitest';
import type { PlantedBug } from '../../node/raft/core/options.ts';
import { runWorld } from './raft-world.ts';

const SEEDS = 200;
const BATCH = 25;

describe('raft under faults', () => {
  it.each(Array.from({ length: SEEDS / BATCH }, (_, batch) => 1 + batch * BATCH))(
    `keeps its promises, seeds from %i, ${BATCH} of them`,
    async (first) => {
      let acknowledged = 0;
      for (let seed = first; seed < first + BATCH; seed++)
        acknowledged += (await runWorld({ seed })).acknowledged;
      expect(acknowledged).toBeGreaterThan(BATCH * 10);
    },
  );

  it('runs the same history twice for the same seed', async () => {
    const lines: string[][] = [[], []];
    for (const trace of lines) await runWorld({ seed: 7, chaosMs: 1500, trace: (line) => trace.push(line) });
    expect(lines[0]?.length).toBeGreaterThan(10);
    expect(lines[0]).toEqual(lines[1]);
  });
});

/** Histories that once failed: two snapshots of one index written at once, one removed while it was written, … */
const REGRESSIONS = [
  { seed: 13845, chaosMs: 8000 },
  { seed: 6, chaosMs: 10_000 },
  { seed: 16, chaosMs: 10_000 },
  { seed: 64, chaosMs: 10_000 },
];

describe('what once failed', () => {
  it.each(REGRESSIONS)('seed $seed over $chaosMs ms', async (options) => {
    expect((await runWorld(options)).committed).toBeGreaterThan(0);
  });
});

/** How many seeds, from `from` on, it takes at most until the fault shows. */
const PLANTED: readonly { readonly bug: PlantedBug; readonly from: number; readonly within: number }[] = [
  { bug: 'vote-not-persisted', from: 1, within: 20 },
  { bug: 'acknowledge-before-sync', from: 2, within: 50 },
  { bug: 'commit-of-old-term', from: 200, within: 100 },
];

describe('a planted bug', () => {
  it.each(PLANTED)('$bug is noticed within $within seeds', async ({ bug, from, within }) => {
    let caught: unknown;
    for (let seed = from; seed < from + within && caught === undefined; seed++)
      caught = await runWorld({ seed, chaosMs: 8000, plantedBug: bug }).then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(String(caught)).toMatch(
      /seed \d+: (election safety|log matching|leader completeness|state-machine safety|durability)/,
    );
  });
});
