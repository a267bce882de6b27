/** What the benchmark of consensus measures, part by part. */

import { closeSync, existsSync, fdatasyncSync, openSync, readdirSync, writeSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { fetchJson } from '../launch/pool.ts';
import { cpuTimeMs, residentMiB } from './cpu-time.ts';
import { httpRequestBytes, runHttpLoad } from './http-load.ts';
import type { BenchPool, BenchServer } from './raft-pool.ts';
import { Probe } from './serving-probe.ts';

export type Report = Map<string, { readonly value: number; readonly unit: string }>;

export interface PartOptions {
  readonly seconds: number;
  readonly connections: number;
  readonly keys: number;
  readonly say: (line: string) => void;
}

const VALUE = Buffer.alloc(128, 'x');
const KEYS = 1000;
/** Operations in one transaction, Consul's limit. */
const TXN_OPS = 64;
const ENTRIES_BEFORE_RESTART = 100_000;
/** Eight connections, so that the processor is not what the leader waits for. */
const QUIET_CONNECTIONS = 8;
/** By then a process has all its threads. */
const STARTED_MS = 200;
/** What both programs log about their own snapshots. */
const SNAPSHOT_BEGUN = 'starting snapshot up to';
const SNAPSHOT_COMPLETE = 'snapshot complete up to';

export async function measurePuts(
  pool: BenchPool,
  dataRoot: string,
  options: PartOptions,
  report: Report,
): Promise<void> {
  const url = new URL((await pool.leader()).url);
  const request = (n: number) => httpRequestBytes('PUT', url, `/v1/kv/bench/${n % KEYS}`, VALUE);
  // Long enough for the compilers of the servers to have done their work.
  await runHttpLoad({
    url,
    connections: options.connections,
    durationMs: 10_000,
    requests: 20_000,
    request,
  });
  const pids = pool.servers.map((server) => server.pid());
  const before = cpuTimeMs(pids);
  const many = await runHttpLoad({
    url,
    connections: options.connections,
    durationMs: options.seconds * 1000,
    request,
  });
  const cpuMs = cpuTimeMs(pids) - before;
  if (many.errors > 0) options.say(`${many.errors} puts failed`);
  report.set('puts', { value: many.perSecond, unit: '/s' });
  report.set('put p50', { value: many.p50, unit: 'ms' });
  report.set('put p99', { value: many.p99, unit: 'ms' });
  report.set('processor time a put, all servers', { value: (cpuMs / many.requests) * 1000, unit: 'µs' });
  const one = await runHttpLoad({ url, connections: 1, durationMs: options.seconds * 1000, request });
  const sync = syncMs(dataRoot);
  report.set('fdatasync of this disk, p50', { value: sync, unit: 'ms' });
  report.set('put p50, one connection', { value: one.p50, unit: 'ms' });
  report.set('put p99, one connection', { value: one.p99, unit: 'ms' });
  report.set('put p50, one connection, less two syncs', { value: one.p50 - 2 * sync, unit: 'ms' });
}

/** What it takes to make one small record durable, the median of a hundred. */
function syncMs(directory: string): number {
  const file = openSync(join(directory, 'sync-probe'), 'a');
  const times: number[] = [];
  for (let i = 0; i < 100; i++) {
    const start = performance.now();
    writeSync(file, VALUE);
    fdatasyncSync(file);
    times.push(performance.now() - start);
  }
  closeSync(file);
  return times.sort((a, b) => a - b)[50] ?? Number.NaN;
}

const KILLS = 5;

/** From the kill of the leader until a write through a survivor succeeds. */
export async function measureFailover(pool: BenchPool, options: PartOptions, report: Report): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < KILLS; i++) {
    const leader = await pool.leader();
    const survivor = pool.servers.find((server) => server !== leader);
    if (survivor === undefined) throw new Error('no follower');
    await put(survivor, 'bench/failover', String(i));
    const start = performance.now();
    await leader.crash();
    while (!(await succeeds(survivor, i))) await new Promise((resolve) => setTimeout(resolve, 5));
    times.push(performance.now() - start);
    options.say(`killed ${leader.name}: ${times.at(-1)?.toFixed(0)} ms`);
    leader.restart();
    // Until it follows again, so that the next kill leaves a quorum.
    await untilApplied(leader, await appliedIndex(survivor));
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
  report.set('killed leader until a write succeeds, median', { value: median(times), unit: 'ms' });
  report.set('killed leader until a write succeeds, longest', { value: Math.max(...times), unit: 'ms' });
}

async function succeeds(server: BenchServer, kill: number): Promise<boolean> {
  try {
    await put(server, 'bench/failover', `after ${kill}`);
    return true;
  } catch {
    // No leader yet, or its outcome is not known.
    return false;
  }
}

export async function measureSnapshot(pool: BenchPool, options: PartOptions, report: Report): Promise<void> {
  const leader = await pool.leader();
  const probe = new Probe(new URL(leader.url));
  const seconds = await fill(leader, options);
  report.set('fill, keys', { value: options.keys / seconds, unit: '/s' });
  report.set('longest pause while filling', { value: probe.takeLongestMs(), unit: 'ms' });
  const taken = countOf(leader, SNAPSHOT_COMPLETE);
  await untilNothingIsWritten(leader);
  probe.takeLongestMs();
  options.say(`${taken} snapshots while filling; now one by number of entries`);
  await putUntilSnapshot(leader);
  report.set('longest pause while it takes a snapshot', { value: probe.takeLongestMs(), unit: 'ms' });
  options.say('now an archive');
  await untilNothingIsWritten(leader);
  probe.takeLongestMs();
  const start = performance.now();
  const response = await fetch(`${leader.url}/v1/snapshot`);
  let bytes = 0;
  for await (const chunk of response.body ?? []) bytes += chunk.length;
  report.set('archive', { value: bytes / 1024 / 1024, unit: 'MiB' });
  report.set('archive, time', { value: (performance.now() - start) / 1000, unit: 's' });
  report.set('longest pause while the archive is made', { value: probe.takeLongestMs(), unit: 'ms' });
  probe.stop();
  report.set('snapshots of its own by the leader meanwhile', { value: taken, unit: '' });
  report.set('memory of the leader', { value: residentMiB(leader.pid()), unit: 'MiB' });
}

/** Writes on a few connections until the server has completed one more snapshot of its own. */
async function putUntilSnapshot(leader: BenchServer): Promise<void> {
  const url = new URL(leader.url);
  const before = countOf(leader, SNAPSHOT_COMPLETE);
  const request = (n: number) => httpRequestBytes('PUT', url, `/v1/kv/bench/${n % KEYS}`, VALUE);
  const until = performance.now() + 300_000;
  while (countOf(leader, SNAPSHOT_COMPLETE) === before) {
    if (performance.now() > until) throw new Error('the leader takes no snapshot');
    await runHttpLoad({ url, connections: QUIET_CONNECTIONS, durationMs: 500, request });
  }
}

/** Until no snapshot that was begun is still being written. */
async function untilNothingIsWritten(leader: BenchServer): Promise<void> {
  const until = performance.now() + 60_000;
  while (countOf(leader, SNAPSHOT_COMPLETE) < countOf(leader, SNAPSHOT_BEGUN)) {
    if (performance.now() > until) throw new Error('a snapshot does not end');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await new Promise((resolve) => setTimeout(resolve, 2000));
}

/** @returns seconds */
async function fill(leader: BenchServer, { keys, say }: PartOptions): Promise<number> {
  const url = new URL(leader.url);
  const start = performance.now();
  const value = VALUE.toString('base64');
  const requests = Math.ceil(keys / TXN_OPS);
  const told = setInterval(() => {
    say(`filling: ${((performance.now() - start) / 1000).toFixed(0)} s`);
  }, 5000);
  const result = await runHttpLoad({
    url,
    connections: 8,
    durationMs: 600_000,
    requests,
    request: (n) => {
      const ops = Array.from({ length: Math.min(TXN_OPS, keys - n * TXN_OPS) }, (_, i) => ({
        KV: { Verb: 'set', Key: `fill/${String(n * TXN_OPS + i).padStart(9, '0')}`, Value: value },
      }));
      return httpRequestBytes('PUT', url, '/v1/txn', Buffer.from(JSON.stringify(ops)));
    },
  });
  clearInterval(told);
  if (result.errors > 0) say(`${result.errors} transactions failed`);
  return (performance.now() - start) / 1000;
}

function countOf(server: BenchServer, text: string): number {
  return server.output().split(text).length - 1;
}

export async function measureRestart(pool: BenchPool, options: PartOptions, report: Report): Promise<void> {
  const leader = await pool.leader();
  const url = new URL(leader.url);
  options.say(`${ENTRIES_BEFORE_RESTART} further entries`);
  await runHttpLoad({
    url,
    connections: options.connections,
    durationMs: 600_000,
    requests: ENTRIES_BEFORE_RESTART,
    request: (n) => httpRequestBytes('PUT', url, `/v1/kv/bench/${n % KEYS}`, Buffer.from(String(n))),
  });
  const server = pool.servers.find((other) => other !== leader);
  if (server === undefined) throw new Error('no follower');
  const index = await appliedIndex(leader);
  await untilApplied(server, index);
  await server.crash();
  const start = performance.now();
  server.restart();
  await untilApplied(server, index);
  report.set('restart, processor time', { value: cpuTimeMs([server.pid()]) / 1000, unit: 's' });
  report.set('restart until it serves all of that', { value: (performance.now() - start) / 1000, unit: 's' });
  report.set('memory after the restart', { value: residentMiB(server.pid()), unit: 'MiB' });
}

async function put(server: BenchServer, key: string, value: string): Promise<void> {
  const response = await fetch(`${server.url}/v1/kv/${key}`, { method: 'PUT', body: value });
  if (!response.ok) throw new Error(`put: ${response.status} ${await response.text()}`);
}

/** How far the server itself has applied the log: a read would be answered by the leader while it has nothing. */
async function appliedIndex(server: BenchServer): Promise<number> {
  const self = await fetchJson<{ Stats: { raft?: { applied_index?: string } } }>(
    `${server.url}/v1/agent/self`,
  );
  return Number(self?.Stats.raft?.applied_index ?? 0);
}

async function untilApplied(server: BenchServer, index: number): Promise<void> {
  const until = performance.now() + 300_000;
  while (performance.now() < until) {
    if ((await appliedIndex(server)) >= index) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${server.name} has not applied ${index}: ${server.output().slice(-2000)}`);
}

export async function measureFollower(pool: BenchPool, options: PartOptions, report: Report): Promise<void> {
  const leader = await pool.leader();
  const url = new URL(leader.url);
  const request = (n: number) => httpRequestBytes('PUT', url, `/v1/kv/bench/${n % KEYS}`, VALUE);
  const load = { url, connections: QUIET_CONNECTIONS, request };
  const calm = await runHttpLoad({ ...load, durationMs: options.seconds * 1000 });
  const index = await appliedIndex(leader);
  options.say('a fourth server joins');
  const start = performance.now();
  const server = await pool.addServer();
  setTimeout(() => leaveCoresToOthers(server.pid()), STARTED_MS);
  let isCaughtUp = false;
  const caughtUp = untilApplied(server, index).then(() => {
    isCaughtUp = true;
    return performance.now();
  });
  const histories: number[] = [];
  // In slices, so that the load ends soon after the follower has caught up.
  while (!isCaughtUp) histories.push((await runHttpLoad({ ...load, durationMs: 1000 })).p99);
  const took = ((await caughtUp) - start) / 1000;
  report.set('new follower caught up, process start included', { value: took, unit: 's' });
  report.set('put p99 before', { value: calm.p99, unit: 'ms' });
  report.set('put p99 while it catches up, median second', { value: median(histories), unit: 'ms' });
  report.set('put p99 while it catches up, worst second', { value: Math.max(...histories), unit: 'ms' });
}

/**
 * Its own start and restore would take the cores from the leader, which they don't where servers have machines of their
 * own: with the least priority, what is left is what the transfer costs the leader.
 */
function leaveCoresToOthers(pid: number): void {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return;
  for (const thread of readdirSync(tasks)) setPriority(Number(thread), constants.priority.PRIORITY_LOW);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
