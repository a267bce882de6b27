/**
 * The simulators from the command line. `npm run sim -- --help` says how.
 *
 * What is to be simulated is loaded only after a bug was planted, so that the bug is in it.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { BUGS, type Bug, bugNamed, plant } from './bugs.ts';
import { keptSeeds } from './kept-seeds.ts';
import type { Shrunk } from './shrink.ts';
import type { WorldOptions, WorldResult } from './world/world.ts';

const HELP = `Simulates whole clusters: servers, client agents and gateways in one process, over simulated time.

  npm run sim -- --seeds N [--minutes M]   N histories (or as many as M minutes hold), from a fresh seed on
  npm run sim -- --seed S [--seeds N]      from this seed on; one unless --seeds says more
  npm run sim -- --kept                    every history that once failed
  npm run sim -- --bug NAME [...]          with a bug planted
  npm run sim -- --bugs                    every bug, each until it is caught, as a table

  --trace      what happens, line by line        --logs     the same with the agents' logs
  --chaos-ms   time with faults (8000)           --no-shrink

Raft alone, many times as fast: node test/sim/raft-run.ts --seeds N
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    kept: { type: 'boolean', default: false },
    bug: { type: 'string' },
    bugs: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    logs: { type: 'boolean', default: false },
    'chaos-ms': { type: 'string' },
    'no-shrink': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const MAX_SHRINK_RUNS = 120;
const MAX_SHRINK_MS = 60_000;
const RAFT_CHAOS_MS = 8000;
const PROGRESS_MS = 5000;
const TRACE_LINES = 400;

if (values.help) console.log(HELP);
else if (values.bugs) await hunt(BUGS);
else await simulate();

async function simulate(): Promise<void> {
  const bug = values.bug === undefined ? undefined : bugNamed(values.bug);
  if (bug !== undefined) plant(bug);
  if (bug?.simulator === 'raft') {
    await simulateRaft(bug);
    return;
  }
  const { runWorld } = await import('./world/world.ts');
  const options: Partial<WorldOptions> = {
    plantedBug: bug?.raft,
    ...(values['chaos-ms'] === undefined ? {} : { chaosMs: Number(values['chaos-ms']) }),
    ...(values.trace || values.logs ? { trace: (line: string) => console.log(line) } : {}),
    withLogs: values.logs,
  };
  const endMs = performance.now() + Number(values.minutes ?? 'Infinity') * 60_000;
  const totals = new Map<string, number>();
  let count = 0;
  let toldMs = performance.now();
  for (const history of histories()) {
    if (performance.now() > endMs) break;
    const world = { ...options, ...history };
    const result = await runWorld(world).catch((error: unknown) => error as Error);
    if (result instanceof Error) {
      console.error(`seed ${world.seed}: ${result.message}`);
      if (!values['no-shrink'] && !values.trace && !values.logs) await explain(world, result.message);
      process.exit(1);
    }
    count++;
    for (const name of Object.keys(result) as (keyof WorldResult)[])
      totals.set(name, (totals.get(name) ?? 0) + result[name]);
    if (performance.now() - toldMs < PROGRESS_MS) continue;
    toldMs = performance.now();
    console.log(`${count} histories, seed ${world.seed}: ${show(totals)}`);
  }
  console.log(`${count} histories, no violation: ${show(totals)}`);
}

/** Raft alone. */
async function simulateRaft(bug: Bug): Promise<void> {
  const { runWorld } = await import('./raft-world.ts');
  const trace = values.trace ? (line: string) => console.log(line) : undefined;
  let count = 0;
  for (const { seed } of histories()) {
    const failure = await runWorld({ seed, chaosMs: RAFT_CHAOS_MS, plantedBug: bug.raft, trace }).then(
      () => undefined,
      (error: unknown) => (error as Error).message,
    );
    if (failure !== undefined) {
      console.error(failure);
      process.exit(1);
    }
    count++;
  }
  console.log(`${count} histories of Raft alone, no violation`);
}

function* histories(): Generator<Pick<WorldOptions, 'seed' | 'chaosMs'>> {
  if (values.kept) {
    yield* keptSeeds();
    return;
  }
  const isOne = values.seed !== undefined && values.seeds === undefined;
  const first = Number(values.seed ?? freshSeed());
  const isOpen = values.seeds === undefined && values.minutes !== undefined;
  const count = isOpen ? Number.POSITIVE_INFINITY : Number(values.seeds ?? (isOne ? 1 : 100));
  for (let i = 0; i < count; i++) yield { seed: first + i };
}

function freshSeed(): number {
  return values.bug === undefined ? Date.now() % 1_000_000_000 : 1;
}

/** Prints the shortest history that could be found, and how to run it again. */
async function explain(world: WorldOptions, message: string): Promise<void> {
  const { DEFAULT_OPERATIONS, faultsOf, runWorld } = await import('./world/world.ts');
  const { shrink } = await import('./shrink.ts');
  const { describeFault } = await import('./world/faults.ts');
  console.error('looking for a shorter history …');
  const endMs = performance.now() + MAX_SHRINK_MS;
  const whole = { faults: faultsOf(world), operations: DEFAULT_OPERATIONS };
  const shrunk: Shrunk = await shrink(
    whole,
    message,
    ({ faults, operations }) =>
      runWorld({ ...world, faults, operations }).then(
        () => undefined,
        (error: unknown) => (error as Error).message,
      ),
    (runs) => runs < MAX_SHRINK_RUNS && performance.now() < endMs,
  );
  const lines: string[] = [];
  const { faults, operations } = shrunk;
  await runWorld({ ...world, faults, operations, trace: (line) => lines.push(line) }).catch(() => undefined);
  const left = Math.max(0, lines.length - TRACE_LINES);
  console.error(
    `\nshortest history found in ${shrunk.runs} runs, ${faults.length} of ${whole.faults.length} faults, at most ${operations} operations a client:`,
  );
  for (const fault of faults) console.error(describeFault(fault));
  console.error(`\nits trace${left > 0 ? ` (without the first ${left} lines)` : ''}:`);
  for (const line of lines.slice(left)) console.error(line);
  console.error(`\nfails with: ${shrunk.failure}`);
  const flags = [
    `--seed ${world.seed}`,
    ...(world.chaosMs === undefined ? [] : [`--chaos-ms ${world.chaosMs}`]),
    ...(values.bug === undefined ? [] : [`--bug ${values.bug}`]),
  ];
  console.error(`replay: npm run sim -- ${flags.join(' ')}`);
}

/** Each bug in a process of its own: it must not be in the modules that others load. */
async function hunt(bugs: readonly Bug[]): Promise<void> {
  let isMissed = false;
  for (const bug of bugs) {
    const flags = ['--bug', bug.name, '--seed', '1', '--seeds', String(bug.within), '--no-shrink'];
    const child = spawn(process.execPath, [new URL(import.meta.url).pathname, ...flags]);
    let output = '';
    child.stderr.on('data', (chunk) => {
      output += String(chunk);
    });
    child.stdout.resume();
    await once(child, 'close');
    const [, seed, text] = /^seed (\d+): (.*)/m.exec(output) ?? [];
    const isCaught = text !== undefined && bug.caughtBy.test(text);
    isMissed ||= !isCaught;
    const found =
      text === undefined ? output.slice(0, 300) || 'nothing' : `at seed ${seed}: ${text.slice(0, 110)}`;
    console.log(`${isCaught ? 'caught' : 'MISSED'} ${bug.name} within ${bug.within}, ${found}`);
  }
  if (isMissed) process.exit(1);
}

function show(totals: ReadonlyMap<string, number>): string {
  return [...totals].map(([name, total]) => `${name} ${total}`).join(', ');
}
