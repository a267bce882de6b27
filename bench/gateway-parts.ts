/** What the gateway's benchmark measures through each front: requests, crowds of watchers, writers while a leader fails. */

import type { LocalAgentProcess, LocalPool } from '../launch/pool.ts';
import { fetchJson, waitUntilReady } from '../launch/pool.ts';
import { type LoadResult, runHttpLoad } from './http-load.ts';
import { cpuUs, residentKib } from './process-use.ts';
import { affordableWatchers, quantileOf, WatchCrowd } from './watch-crowd.ts';
import { changeWatched, HTTP_WORKLOADS, type HttpWorkload, tableRow, WATCHED_PATH } from './workloads.ts';
import { startWriters, type WriteGaps } from './write-gaps.ts';

/** What clients connect to: the gateway, nginx, or a peer. */
export interface Front {
  readonly name: string;
  readonly url: URL;
  /** Its processes on this machine; empty for a peer. */
  readonly pids: () => readonly number[];
  /** Whether the pool that this benchmark has started is behind it. */
  readonly isOurs: boolean;
}

export interface RequestOptions {
  readonly only: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
}

const HEAD = ['workload', 'through', 'req/s', 'p50 ms', 'p99 ms', 'errors', 'ratio'];

/** Each workload through all fronts in turn, several times; the median round counts. */
export async function measureRequests(fronts: readonly Front[], options: RequestOptions): Promise<void> {
  console.log(
    `\n${options.connections} connections, ${options.rounds} rounds of ${options.seconds} s through each in turn; the median round`,
  );
  console.log(tableRow(HEAD));
  for (const workload of HTTP_WORKLOADS) {
    if (options.only.length > 0 && !options.only.includes(workload.name)) continue;
    const results = new Map<Front, LoadResult[]>(fronts.map((front) => [front, []]));
    // The first round warms up and doesn't count.
    for (let round = 0; round <= options.rounds; round++) {
      for (const front of fronts) {
        const result = await load(workload, front.url, options);
        if (round > 0) results.get(front)?.push(result);
      }
    }
    printWorkload(workload.name, results);
  }
}

function load(
  { requests }: HttpWorkload,
  url: URL,
  { connections, seconds }: RequestOptions,
): Promise<LoadResult> {
  return runHttpLoad({ url, connections, durationMs: seconds * 1000, request: requests(url) });
}

/** Ratios are the gateway's to each of the others. */
function printWorkload(workload: string, results: ReadonlyMap<Front, readonly LoadResult[]>): void {
  const rows = [...results].map(([front, rounds]) => ({
    front,
    rate: median(rounds.map(({ perSecond }) => perSecond)),
    p50: median(rounds.map(({ p50 }) => p50)),
    p99: median(rounds.map(({ p99 }) => p99)),
    errors: rounds.reduce((sum, { errors }) => sum + errors, 0),
  }));
  const gatewayRate = rows[0]?.rate ?? Number.NaN;
  for (const { front, rate, p50, p99, errors } of rows) {
    const ratio = front === rows[0]?.front ? '' : `${(gatewayRate / rate).toFixed(2)} × ${front.name}`;
    console.log(
      tableRow([
        workload,
        front.name,
        rate.toFixed(0),
        p50.toFixed(2),
        p99.toFixed(2),
        String(errors),
        ratio,
      ]),
    );
  }
}

export interface WatcherOptions {
  readonly watchers: number;
  readonly rounds: number;
  readonly say: (line: string) => void;
}

/** The same crowd through one front after the other. */
export async function measureWatchers(
  fronts: readonly Front[],
  pool: LocalPool,
  options: WatcherOptions,
): Promise<void> {
  const watchers = affordableWatchers(options.watchers);
  if (watchers < options.watchers) options.say(`file descriptors for ${watchers} watchers only`);
  console.log(`\n${watchers} watchers of one service, woken ${options.rounds} times`);
  const agentPids = pool.agents.map((agent) => agent.process.pid);
  let port = 1;
  for (const front of fronts) {
    await changeWatched(front.url, ++port);
    const crowd = new WatchCrowd({ url: front.url, path: WATCHED_PATH, watchers, say: options.say });
    const pids = front.pids();
    const poolPids = front.isOurs ? [...pids, ...agentPids] : [];
    const before = [residentOf(pids), residentOf(poolPids)];
    try {
      await crowd.open();
      await untilQuiet(poolPids);
      const [own = 0, whole = 0] = [residentOf(pids), residentOf(poolPids)].map(
        (kib, i) => (kib - (before[i] ?? 0)) / watchers,
      );
      if (front.isOurs)
        console.log(
          `${front.name.padEnd(14)} ${own.toFixed(1)} KiB a watcher, agents included ${whole.toFixed(1)}`,
        );
      for (let round = 1; round <= options.rounds; round++) {
        const { woken, errors, tookMs } = await crowd.wake(() => changeWatched(front.url, ++port));
        const [p50, p99, last] = [0.5, 0.99, 1].map((q) => quantileOf(tookMs, q).toFixed(0));
        console.log(
          `${front.name.padEnd(14)} round ${round}: ${woken} woken, ${errors} errors; ms after the change was sent: p50 ${p50}, p99 ${p99}, last ${last}`,
        );
        await crowd.watch();
        await untilQuiet(poolPids);
      }
    } finally {
      crowd.close();
    }
    await untilQuiet(poolPids);
  }
}

function residentOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + residentKib(pid), 0);
}

const QUIET_SAMPLE_MS = 500;
const QUIET_SHARE = 0.25;
const QUIET_WITHIN_MS = 60_000;
const PEER_PAUSE_MS = 5000;

/** Until these processes have done what they were asked for; a while where they are not known. */
async function untilQuiet(pids: readonly number[]): Promise<void> {
  if (pids.length === 0) return pause(PEER_PAUSE_MS);
  const until = performance.now() + QUIET_WITHIN_MS;
  for (let share = 1; share > QUIET_SHARE && performance.now() < until; ) {
    const before = cpuUs(pids);
    await pause(QUIET_SAMPLE_MS);
    share = (cpuUs(pids) - before) / (QUIET_SAMPLE_MS * 1000);
  }
}

export interface FailoverOptions {
  readonly writers: number;
  readonly patienceMs: number;
  /** How often the leader fails under each front. */
  readonly failures: number;
  readonly say: (line: string) => void;
}

/** `killed`: kill -9. `hung`: stopped, so that its connections stay and say nothing. */
export type LeaderFault = 'killed' | 'hung';

const BEFORE_FAULT_MS = 2000;
/** Longer than the writers' patience, so that a write that meets the fault has ended. */
const AFTER_FAULT_MS = 8000;
const SETTLE_MS = 3000;

export async function measureFailover(
  fault: LeaderFault,
  fronts: readonly Front[],
  pool: LocalPool,
  options: FailoverOptions,
): Promise<void> {
  const { writers, patienceMs, failures, say } = options;
  console.log(
    `\nleader ${fault} ${failures} times under ${writers} writers that wait ${patienceMs / 1000} s`,
  );
  for (let failure = 1; failure <= failures; failure++) {
    for (const front of fronts) {
      const { acknowledged, errors, longestGapMs, reasons } = await underFault(fault, front, pool, options);
      console.log(
        `${front.name.padEnd(14)} ${acknowledged} acknowledged, ${errors} errors, longest gap ${longestGapMs.toFixed(0)} ms`,
      );
      for (const reason of reasons) say(reason);
    }
  }
}

async function underFault(
  fault: LeaderFault,
  front: Front,
  pool: LocalPool,
  { writers, patienceMs }: FailoverOptions,
): Promise<WriteGaps> {
  const running = startWriters({ url: front.url, writers, patienceMs });
  await pause(BEFORE_FAULT_MS);
  const leader = await leaderOf(pool);
  if (fault === 'killed') await leader.process.stop('SIGKILL');
  else leader.process.kill('SIGSTOP');
  await pause(AFTER_FAULT_MS);
  const gaps = await running.stop();
  if (fault === 'killed') leader.restart();
  else leader.process.kill('SIGCONT');
  await waitUntilReady(pool);
  await pause(SETTLE_MS);
  return gaps;
}

async function leaderOf(pool: LocalPool): Promise<LocalAgentProcess> {
  const address = await fetchJson<string>(`${pool.agents.at(-1)?.url}/v1/status/leader`);
  const leader = pool.agents.find(({ ports }) => address?.endsWith(`:${ports.server}`));
  if (leader === undefined) throw new Error(`nobody listens at ${address}`);
  return leader;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
