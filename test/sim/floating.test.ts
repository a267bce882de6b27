/** Many short histories of floating services under faults; and proof that the checks would notice a broken design. */

import { describe, expect, it } from 'vitest';
import { type FloatingBug, runFloatingWorld } from './floating-world.ts';

const SEEDS = 200;
const BATCH = 25;

describe('floating services under faults', () => {
  it.each(Array.from({ length: SEEDS / BATCH }, (_, batch) => 1 + batch * BATCH))(
    `keep their promises, seeds from %i, ${BATCH} of them`,
    async (first) => {
      let [registered, deregistered, moved] = [0, 0, 0];
      for (let seed = first; seed < first + BATCH; seed++) {
        const result = await runFloatingWorld({ seed });
        registered += result.registered;
        deregistered += result.deregistered;
        moved += result.moved;
      }
      expect(registered).toBeGreaterThan(BATCH * 5);
      expect(deregistered).toBeGreaterThan(BATCH * 2);
      expect(moved).toBeGreaterThan(BATCH);
    },
    60_000,
  );

  it('runs the same history twice for the same seed', async () => {
    const lines: string[][] = [[], []];
    for (const trace of lines)
      await runFloatingWorld({ seed: 7, chaosMs: 5000, trace: (line) => trace.push(line) });
    expect(lines[0]?.length).toBeGreaterThan(10);
    expect(lines[0]).toEqual(lines[1]);
  });
});

/** How many seeds, from 1 on, it takes at most until the fault shows. */
const PLANTED: readonly { readonly bug: FloatingBug; readonly within: number; readonly shows: RegExp }[] = [
  { bug: 'no-fencing', within: 20, shows: /placed at undefined|doubled|is at/ },
  { bug: 'move-in-two-commands', within: 20, shows: /lost|back from the dead/ },
  { bug: 'tidy-anti-entropy', within: 40, shows: /lost/ },
  { bug: 'death-before-move', within: 20, shows: /critical .* by serfHealth|is at undefined/ },
];

describe('a planted bug', () => {
  it.each(PLANTED)('$bug is noticed within $within seeds', async ({ bug, within, shows }) => {
    let caught: unknown;
    for (let seed = 1; seed <= within && caught === undefined; seed++)
      caught = await runFloatingWorld({ seed, bug }).then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(String(caught)).toMatch(/seed \d+: /);
    expect(String(caught)).toMatch(shows);
  });
});
