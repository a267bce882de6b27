/** Cuts a failing history down: fewer faults and fewer operations that still fail, found with a bounded number of runs. */

import type { Fault } from './world/faults.ts';

export interface Shrinkable {
  readonly faults: readonly Fault[];
  /** Of each client, at most. */
  readonly operations: number;
}

/** @returns what failed, in the words of the violation; undefined when nothing did */
export type TryHistory = (history: Shrinkable) => Promise<string | undefined>;

export interface Shrunk extends Shrinkable {
  readonly failure: string;
  readonly runs: number;
}

/**
 * Leaves out faults, in halves first and one by one in the end (Zeller's ddmin), then operations.
 *
 * Any violation counts, not only the first one found: a shorter way to break anything is a better lead.
 *
 * @param failure what the whole history fails with
 * @param mayTry whether one more history may be tried after so many
 */
export async function shrink(
  whole: Shrinkable,
  failure: string,
  attempt: TryHistory,
  mayTry: (runs: number) => boolean,
): Promise<Shrunk> {
  let best: Shrunk = { ...whole, failure, runs: 0 };
  let runs = 0;
  const isWorse = async (history: Shrinkable): Promise<boolean> => {
    if (!mayTry(runs)) return true;
    runs++;
    const failed = await attempt(history);
    if (failed === undefined) return true;
    best = { ...history, failure: failed, runs };
    return false;
  };

  let pieces = 2;
  while (best.faults.length > 0 && mayTry(runs)) {
    const size = Math.ceil(best.faults.length / pieces);
    let isCut = false;
    for (let start = 0; start < best.faults.length && !isCut; start += size) {
      const faults = best.faults.filter((_, i) => i < start || i >= start + size);
      isCut = !(await isWorse({ faults, operations: best.operations }));
    }
    if (isCut) pieces = Math.max(2, pieces - 1);
    else if (size === 1) break;
    else pieces = Math.min(best.faults.length, 2 * pieces);
  }
  for (let operations = best.operations >> 1; operations > 0; operations >>= 1)
    if (await isWorse({ faults: best.faults, operations })) break;
  return { ...best, runs };
}
