/** Faults against three real servers behind a gateway: what clients saw must hold together, and a lie about it must not. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type RunHistory, readHistory, writeHistory } from '../chaos/run-history.ts';
import { temporaryFolder } from './agent-process.ts';
import { canCutNetworks } from './tools.ts';

const PROGRAM = new URL('../chaos/main.ts', import.meta.url).pathname;

let folder: ReturnType<typeof temporaryFolder>;
beforeAll(() => {
  folder = temporaryFolder();
});
afterAll(() => folder.remove());

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function chaos(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    // It stops its servers before it ends.
    onTestFinished(() => void child.kill('SIGTERM'));
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.once('exit', (code) => resolve({ code, output }));
  });
}

async function run(script: string): Promise<{ readonly file: string; readonly history: RunHistory }> {
  const file = join(folder.path, `${script}.json`);
  const ended = await chaos('--script', script, '--seed', '1', '--keep', file);
  expect(ended).toEqual({ code: 0, output: expect.not.stringContaining('VIOLATION') });
  const history = readHistory(file);
  const writes = history.operations.filter(({ output }) => output?.kind === 'done' && output.applied);
  // Each script waits for 20 after each of its faults; with hardly anything acknowledged a verdict would say nothing.
  expect(writes.length).toBeGreaterThan(60);
  return { file, history };
}

const faultsOf = (history: RunHistory) => history.faults.map(({ text }) => text.replace(/: .*/, ''));

/** One of the last reads shows a value that was acknowledged, but written over since. */
function withStaleRead(history: RunHistory): RunHistory {
  const reads = history.operations.filter(
    ({ key, input, output }) =>
      key.startsWith('kv/') &&
      input.isConsistent === true &&
      output?.kind === 'value' &&
      output.value !== null,
  );
  for (const last of reads.toReversed()) {
    const older = reads.find(({ key, output }) => key === last.key && !isSame(output, last.output));
    if (older === undefined) continue;
    const operations = history.operations.map((op) => (op === last ? { ...op, output: older.output } : op));
    return { ...history, operations };
  }
  throw new Error('no key was read with two values');
}

const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

test('kill -9, SIGSTOP and the death of all servers; a stale read put into the record is found', async () => {
  const { file, history } = await run('processes');
  expect(faultsOf(history)).toEqual([
    'kill -9 leader',
    'healed',
    'SIGSTOP leader',
    'healed',
    'kill -9 all',
    'healed',
  ]);
  writeHistory(file, withStaleRead(history));
  const ended = await chaos('--check', file);
  expect(ended.code).toBe(1);
  expect(ended.output).toMatch(/^VIOLATION keys: writes and consistent reads: key .*: of \d+ operations/m);
}, 120_000);

test.skipIf(!canCutNetworks())(
  'cuts between the servers’ networks',
  async () => {
    const { history } = await run('network');
    expect(faultsOf(history)).toEqual([
      'cut isolate leader',
      'healed',
      'cut deaf leader',
      'healed',
      'cut apart leader',
      'healed',
    ]);
  },
  120_000,
);
