/** Fresh histories of whole clusters, all that once failed, and proof that the checks would notice a broken product. */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { BUGS } from './bugs.ts';
import { keptSeeds } from './kept-seeds.ts';
import { shrink } from './shrink.ts';
import { runWorld } from './world/world.ts';

/** Other ones each time; `SIM_SEED` repeats a run. A failure names the seed that failed. */
const FIRST_SEED = Number(process.env.SIM_SEED ?? Date.now() % 1_000_000_000);
const FRESH_SEEDS = 12;
const BATCH = 4;

/** Far above what any takes on a machine that has other things to do. */
const TIMEOUT_MS = 120_000;

const run = promisify(execFile);

async function checked(seed: number, chaosMs?: number) {
  return runWorld(chaosMs === undefined ? { seed } : { seed, chaosMs }).catch((error: unknown) => {
    throw new Error(`seed ${seed}: ${String(error)}\n  replay: npm run sim -- --seed ${seed}`, {
      cause: error,
    });
  });
}

describe('a cluster under faults', { timeout: TIMEOUT_MS }, () => {
  const batches = Array.from({ length: FRESH_SEEDS / BATCH }, (_, batch) => FIRST_SEED + batch * BATCH);
  it.each(batches)(`keeps its promises, seeds from %i, ${BATCH} of them`, async (first) => {
    let operations = 0;
    for (let seed = first; seed < first + BATCH; seed++) operations += (await checked(seed)).operations;
    expect(operations).toBeGreaterThan(BATCH * 20);
  });

  it('runs the same history twice for the same seed', async () => {
    const hashes = [];
    for (let i = 0; i < 2; i++) {
      const hash = createHash('sha256');
      let lines = 0;
      const trace = (line: string) => {
        lines++;
        hash.update(line);
      };
      await runWorld({ seed: 7, chaosMs: 2500, trace, withLogs: true });
      expect(lines).toBeGreaterThan(100);
      hashes.push(hash.digest('hex'));
    }
    expect(hashes[0]).toBe(hashes[1]);
  });
});

describe('what once failed', { timeout: TIMEOUT_MS }, () => {
  it.each(keptSeeds())('seed $seed: $why', async ({ chaosMs, seed }) => {
    expect((await checked(seed, chaosMs)).operations).toBeGreaterThan(0);
  });
});

describe('a planted bug', { concurrent: true, timeout: TIMEOUT_MS }, () => {
  it.each(BUGS)(
    '$name is noticed within $within seeds',
    { timeout: 120_000 },
    async ({ caughtBy, name, within }) => {
      // A process of its own, because the bug must not be in the modules that the other tests have loaded.
      const flags = ['--bug', name, '--seed', '1', '--seeds', String(within), '--no-shrink'];
      const failed = await run(process.execPath, [`${import.meta.dirname}/run.ts`, ...flags]).then(
        ({ stdout }) => ({ code: 0, stderr: stdout }),
        (error: { code: number; stderr: string }) => error,
      );
      expect(failed.stderr).toMatch(/^seed \d+: /);
      expect(failed.stderr).toMatch(caughtBy);
      expect(failed.code).toBe(1);
    },
  );
});

describe('shrinking', () => {
  const fault = (atMs: number) => ({ atMs, kind: 'transfer' }) as const;

  it('leaves only what a failure needs', async () => {
    const whole = { faults: Array.from({ length: 20 }, (_, i) => fault(i)), operations: 100 };
    const needs = [3, 11];
    const tried: number[] = [];
    const shrunk = await shrink(
      whole,
      'first',
      async ({ faults, operations }) => {
        tried.push(faults.length);
        const isThere = needs.every((atMs) => faults.some((each) => each.atMs === atMs));
        return isThere && operations >= 10 ? 'again' : undefined;
      },
      () => true,
    );
    expect(shrunk.faults.map(({ atMs }) => atMs)).toEqual(needs);
    expect(shrunk.operations).toBe(12);
    expect(shrunk.failure).toBe('again');
    expect(shrunk.runs).toBe(tried.length);
  });

  it('tries no more histories than it may', async () => {
    let runs = 0;
    const whole = { faults: Array.from({ length: 50 }, (_, i) => fault(i)), operations: 100 };
    const shrunk = await shrink(
      whole,
      'always',
      async () => {
        runs++;
        return undefined;
      },
      (tried) => tried < 7,
    );
    expect(runs).toBe(7);
    expect(shrunk.faults).toEqual(whole.faults);
  });
});
