/**
 * Runs histories of floating services: `node test/sim/floating-run.ts --seeds 1000 [--seed 1] [--bug name] [--trace]`.
 * With `--seed` alone, just that one. Exits 1 at the first violation, whose seed replays it.
 */

import { parseArgs } from 'node:util';
import { type FloatingBug, runFloatingWorld } from './floating-world.ts';

const BUGS: readonly FloatingBug[] = [
  'no-fencing',
  'move-in-two-commands',
  'tidy-anti-entropy',
  'death-before-move',
];

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    bug: { type: 'string' },
    'chaos-ms': { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
});
const first = Number(values.seed ?? 1);
const count = Number(values.seeds ?? (values.seed === undefined ? 100 : 1));
const bug = BUGS.find((known) => known === values.bug);
if (values.bug !== undefined && bug === undefined) throw new Error(`--bug must be one of ${BUGS.join(', ')}`);

const totals = new Map<string, number>();
for (let seed = first; seed < first + count; seed++) {
  try {
    const result = await runFloatingWorld({
      seed,
      bug,
      ...(values['chaos-ms'] === undefined ? {} : { chaosMs: Number(values['chaos-ms']) }),
      trace: values.trace ? (line) => console.log(line) : undefined,
    });
    for (const [name, value] of Object.entries(result)) totals.set(name, (totals.get(name) ?? 0) + value);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
console.log(`${count} seeds from ${first}, no violation:`, Object.fromEntries(totals));
