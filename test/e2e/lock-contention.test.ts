/** Twenty clients want one lock through the gateway; some lose their sessions, some are killed; one at a time is inside. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LocalProcess, startProcess } from '../../launch/process.ts';
import { eventually } from './eventually.ts';
import { LOCK_KEY, type LogLine, writeLog } from './lock-contender.ts';
import { type SmallPool, startSmallPool } from './small-pool.ts';

const PROGRAM = new URL('lock-contender.ts', import.meta.url).pathname;
const PROCESSES = 4;
const CLIENTS_EACH = 5;
const SECTIONS = 3;
const DESTROYED = 6;
const SETTLE_MS = 100;

let pool: SmallPool;
let folder: string;
let log: string;
let processes: LocalProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'proconsul-lock-'));
  log = join(folder, 'log');
  writeFileSync(log, '');
  pool = await startSmallPool();
});
afterAll(async () => {
  await Promise.all(processes.map((each) => each.stop('SIGKILL')));
  await pool?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function readLog(): LogLine[] {
  const lines = readFileSync(log, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as LogLine);
}

/** Session and client that hold the lock now. */
async function holder(): Promise<{ session: string; client: string } | undefined> {
  const response = await fetch(`${pool.gateway}/v1/kv/${LOCK_KEY}`);
  if (response.status !== 200) return undefined;
  const [entry] = (await response.json()) as { Session?: string; Value: string | null }[];
  if (entry?.Session === undefined) return undefined;
  return { session: entry.Session, client: atob(entry.Value ?? '') };
}

/**
 * Kills a process while one of its clients holds the lock: stopped first, so that the client can't leave in between.
 *
 * @returns its name
 */
async function killHoldingProcess(): Promise<string> {
  const victim = await eventually('a process that holds the lock', async () => {
    const name = nameOfProcess(await holder());
    const candidate = processes.find((each) => each.name === name);
    candidate?.kill('SIGSTOP');
    // What it sent before it stopped arrives meanwhile.
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    if (candidate !== undefined && nameOfProcess(await holder()) === name) return candidate;
    candidate?.kill('SIGCONT');
    return undefined;
  });
  victim.kill('SIGKILL');
  await victim.exited;
  writeLog(log, { what: 'kill', name: victim.name });
  return victim.name;
}

function nameOfProcess(found: { readonly client: string } | undefined): string | undefined {
  return found?.client.split('.')[0];
}

test('the lock has one holder at a time, by the clock and by its fencing numbers, and everyone alive gets through', async () => {
  processes = Array.from({ length: PROCESSES }, (_, i) =>
    startProcess({
      name: `p${i}`,
      args: [PROGRAM, pool.gateway, log, `p${i}`, String(CLIENTS_EACH), String(SECTIONS)],
    }),
  );
  const destroyed = new Set<string>();
  while (destroyed.size < DESTROYED) {
    const { session } = await eventually('another client inside', async () => {
      const now = await holder();
      return now === undefined || destroyed.has(now.session) ? undefined : now;
    });
    destroyed.add(session);
    writeLog(log, { what: 'destroy', session });
    await fetch(`${pool.gateway}/v1/session/destroy/${session}`, { method: 'PUT' });
  }
  const killed = await killHoldingProcess();
  const ends = await Promise.all(
    processes.map(async (each) => [each.name, await each.exited, each.output()] as const),
  );

  for (const [name, end, output] of ends)
    expect({ name, end, output }).toEqual({
      name,
      end: name === killed ? { code: null, signal: 'SIGKILL' } : { code: 0, signal: null },
      output: '',
    });
  const lines = readLog();
  expect(overlaps(lines)).toEqual([]);
  expect(turnsOf(lines, killed)).toEqual(
    Array.from({ length: CLIENTS_EACH * (PROCESSES - 1) }, () => expect.any(Number)),
  );
  for (const turns of turnsOf(lines, killed)) expect(turns).toBeGreaterThanOrEqual(SECTIONS);
  const fences = fencesOf(lines);
  // Sorted by when the lock was taken, the lock's own count must rise with each holder and never repeat.
  const counts = fences.toSorted((a, b) => a.modifyIndex - b.modifyIndex).map(({ lockIndex }) => lockIndex);
  expect(counts).toEqual([...new Set(counts)].sort((a, b) => a - b));
  // In the order of the log, too, except for those who may not have known yet that they had lost the lock.
  const kept = fences.filter(({ session }) => !destroyed.has(session)).map(({ lockIndex }) => lockIndex);
  expect(kept).toEqual(kept.toSorted((a, b) => a - b));
}, 120_000);

/** Every `enter` at which someone else was still inside. */
function overlaps(lines: readonly LogLine[]): string[] {
  const lost = new Set<string>();
  const found: string[] = [];
  let inside: { client: string; session: string } | undefined;
  for (const line of lines) {
    if (line.what === 'enter' && !lost.has(line.session)) {
      if (inside !== undefined) found.push(`${line.client} entered while ${inside.client} was inside`);
      inside = line;
    } else if (line.what === 'leave' && inside?.session === line.session) inside = undefined;
    else if (line.what === 'destroy') {
      lost.add(line.session);
      if (inside?.session === line.session) inside = undefined;
    } else if (line.what === 'kill' && inside?.client.startsWith(`${line.name}.`)) inside = undefined;
  }
  return found;
}

/** How often each client outside the killed process left the section. */
function turnsOf(lines: readonly LogLine[], killed: string): number[] {
  const left = lines.flatMap((line) => (line.what === 'leave' ? [line.client] : []));
  const counts = Map.groupBy(left, (client) => client);
  return [...counts].filter(([client]) => !client.startsWith(`${killed}.`)).map(([, turns]) => turns.length);
}

function fencesOf(lines: readonly LogLine[]) {
  return lines.flatMap((line) => (line.what === 'fence' ? [line] : []));
}
