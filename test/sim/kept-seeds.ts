/** The histories that once failed: `kept-seeds.txt`. */

import { readFileSync } from 'node:fs';

export interface KeptSeed {
  readonly seed: number;
  readonly chaosMs: number;
  readonly why: string;
}

/** @throws Error that names a line that is not `seed milliseconds why` */
export function keptSeeds(): readonly KeptSeed[] {
  const text = readFileSync(new URL('kept-seeds.txt', import.meta.url), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, seed, chaosMs, why] = /^(\d+) (\d+) (.+)$/.exec(line) ?? [];
    if (why === undefined) throw new Error(`kept-seeds.txt: "${line}" is not "seed milliseconds why"`);
    return { seed: Number(seed), chaosMs: Number(chaosMs), why };
  });
}
