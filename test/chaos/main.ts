/**
 * `npm run chaos`: faults against real servers under a recorded workload, judged at the end. `--help` says how.
 *
 * With cuts the program makes a network of namespaces and runs itself inside it; the one outside cleans up.
 */

import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { FAULT_KINDS, type FaultKind, type FaultStep, randomFaults } from './faults.ts';
import { judge } from './judge.ts';
import { canMakeNamespaces, Network } from './network.ts';
import { progressLine, summary, verdictLines } from './report.ts';
import { runChaos } from './run.ts';
import { readHistory, writeHistory } from './run-history.ts';
import { SCRIPTS } from './scripts.ts';

const HELP = `Starts servers, breaks them while clients work, and judges what the clients saw.

  npm run chaos -- [--servers 3|5] [--minutes M] [--seed S] [--faults kill,pause,cut] [--through gateway|servers]
  npm run chaos -- --check FILE

  --servers   3
  --minutes   2
  --seed      of faults and workload; by the clock if not given
  --faults    all that are permitted here; cut needs the right to make network namespaces (iproute2, root)
  --through   gateway: one in front of the servers; servers: clients ask any of them
  --script    ${Object.keys(SCRIPTS).join(', ')}: fixed faults instead of random ones
  --keep      writes the history to this file even when all is fine
  --logs      writes what servers and gateway print to files in this folder
  --check     judges a history that was written before

Ends with status 1 when there is a violation, its history in a file then; with 2 when the run itself failed.
`;

const { values } = parseArgs({
  options: {
    servers: { type: 'string', default: '3' },
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string' },
    faults: { type: 'string' },
    through: { type: 'string', default: 'gateway' },
    script: { type: 'string' },
    keep: { type: 'string' },
    logs: { type: 'string' },
    check: { type: 'string' },
    inside: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
try {
  if (values.help) process.stdout.write(HELP);
  else if (values.check !== undefined) process.exitCode = check(values.check);
  else process.exitCode = await start();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}

function check(file: string): number {
  const history = readHistory(file);
  const judgements = judge(history);
  console.log(`${summary(history)}\n${verdictLines(judgements)}`);
  return judgements.every(({ isFine }) => isFine) ? 0 : 1;
}

async function start(): Promise<number> {
  const servers = Number(oneOf('servers', values.servers, ['3', '5']));
  const through = oneOf('through', values.through, ['gateway', 'servers'] as const);
  const script = values.script === undefined ? undefined : SCRIPTS[values.script];
  if (values.script !== undefined && script === undefined)
    throw new Error(`there is no script ${values.script}`);
  const faults = script === undefined ? chosenFaults() : kindsIn(script);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const minutes = Number(values.minutes);
  if (!Number.isInteger(seed) || !(minutes > 0)) throw new Error('--seed and --minutes must be numbers');
  if (faults.includes('cut') && values.inside === undefined) return runInside(servers, seed);

  const stop = new AbortController();
  // More than once: a terminal sends it to this process, and the one outside passes it on.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  console.log(`seed ${seed}: ${servers} servers, faults ${faults.join(', ')}, through the ${through}`);
  const { history, crashes, reasons } = await runChaos({
    seed,
    servers,
    through,
    durationMs: script === undefined ? minutes * 60_000 : undefined,
    steps: script ?? randomFaults(new SeededRandom(seed), faults),
    network: values.inside === undefined ? undefined : new Network(values.inside, servers),
    logs: values.logs,
    onProgress: (recorder) => console.log(progressLine(recorder)),
    signal: stop.signal,
  });
  const judgements = judge(history);
  const isFine = crashes.length === 0 && judgements.every((each) => each.isFine);
  console.log(summary(history));
  for (const [reason, count] of [...reasons].sort(([, a], [, b]) => b - a).slice(0, 12)) {
    console.log(`  ${count} × ${reason}`);
  }
  for (const crash of crashes) console.log(`VIOLATION ${crash}`);
  console.log(verdictLines(judgements));
  const file = values.keep ?? (isFine ? undefined : join(tmpdir(), `chaos-${seed}-${process.pid}.json`));
  if (file !== undefined) {
    writeHistory(file, history);
    console.log(`the history is in ${file}; npm run chaos -- --check ${file} judges it again`);
  }
  return isFine ? 0 : 1;
}

/** Runs this program in a new network and removes that, however the run ends. */
async function runInside(servers: number, seed: number): Promise<number> {
  using network = Network.create(servers);
  const args = ['netns', 'exec', network.hub, process.execPath, ...process.argv.slice(1)];
  args.push('--inside', network.hub, '--seed', String(seed));
  const child = spawn('ip', args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void child.kill(signal));
  return await new Promise((resolve) => {
    child.once('error', () => resolve(2));
    child.once('exit', (code) => resolve(code ?? 2));
  });
}

function chosenFaults(): readonly FaultKind[] {
  if (values.faults === undefined) {
    if (values.inside !== undefined || canMakeNamespaces()) return FAULT_KINDS;
    console.log('without cuts: this process may not make network namespaces');
    return FAULT_KINDS.filter((kind) => kind !== 'cut');
  }
  return values.faults.split(',').map((kind) => oneOf('faults', kind, FAULT_KINDS));
}

function kindsIn(script: readonly FaultStep[]): readonly FaultKind[] {
  const used = new Set(script.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
  return FAULT_KINDS.filter((kind) => used.has(kind));
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw new Error(`--${name} must be of ${allowed.join(', ')}, not ${value}`);
  return found;
}
