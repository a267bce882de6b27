/**
 * The benchmark of consensus: three durable servers as processes on this machine, loaded from this one.
 *
 *   npm run bench:raft -- [--seconds 3] [--connections 64] [--keys 1000000] [--only puts] [--peer consul]
 *
 * Parts, each to be chosen by `--only`: `puts` (rate, latency and processor time a put at the leader, many connections
 * and one), `failover` (how long after the leader is killed a write succeeds), `snapshot` (fills `--keys` keys, then the longest pause in serving while snapshots are taken), `restart`
 * (with that state and 100,000 entries after it), `follower` (a new server catches up while the leader serves).
 * `--peer consul` does the same with three real ones; PROCONSUL_CONSUL names the binary.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  measureFailover,
  measureFollower,
  measurePuts,
  measureRestart,
  measureSnapshot,
  type Report,
} from './raft-parts.ts';
import { type BenchPool, startConsul, startProconsul } from './raft-pool.ts';

const PARTS = ['puts', 'failover', 'snapshot', 'restart', 'follower'];

/** What a ratio says something about. */
const COMPARABLE = /^(?!fdatasync|put p50, one connection, less|snapshots of its own)/;

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    keys: { type: 'string', default: '1000000' },
    only: { type: 'string', multiple: true, default: [] },
    peer: { type: 'string' },
  },
});
const parts = flags.only.length === 0 ? PARTS : flags.only;
const options = {
  seconds: Number(flags.seconds),
  connections: Number(flags.connections),
  keys: Number(flags.keys),
  say: (line: string) => console.error(`  … ${line}`),
};
// The threshold lets the fill be snapshotted by size, and the entries after it stay for the restart.
const SETTINGS = { snapshotThreshold: 150_000, snapshotInterval: '5s', raftMultiplier: 5 };

const own = await run('proconsul', (dataRoot) => startProconsul(dataRoot, SETTINGS));
print(own);
if (flags.peer === 'consul') {
  const program = process.env.PROCONSUL_CONSUL;
  if (program === undefined) throw new Error('set PROCONSUL_CONSUL to the consul binary');
  const peer = await run('consul', (dataRoot) =>
    startConsul(program, dataRoot, { ...SETTINGS, raftMultiplier: 1 }),
  );
  print(peer);
  compare(own, peer);
}

async function run(name: string, start: (dataRoot: string) => Promise<BenchPool>): Promise<Report> {
  const dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-bench-raft-'));
  const report: Report = new Map();
  const pool = await start(dataRoot);
  try {
    console.log(`\n${name}: three durable servers, ${options.connections} connections at the leader`);
    if (parts.includes('puts')) await measurePuts(pool, dataRoot, options, report);
    if (parts.includes('failover')) await measureFailover(pool, options, report);
    if (parts.some((part) => part !== 'puts' && part !== 'failover'))
      await measureSnapshot(pool, options, report);
    if (parts.includes('restart')) await measureRestart(pool, options, report);
    if (parts.includes('follower')) await measureFollower(pool, options, report);
  } finally {
    await pool.stop();
    rmSync(dataRoot, { recursive: true, force: true });
  }
  return report;
}

function print(report: Report): void {
  for (const [name, { value, unit }] of report)
    console.log(`${name.padEnd(52)} ${format(value).padStart(10)} ${unit}`);
}

function compare(ours: Report, theirs: Report): void {
  console.log('\nratio, proconsul to consul');
  for (const [name, { value }] of ours) {
    const other = theirs.get(name)?.value;
    if (COMPARABLE.test(name) && other !== undefined && other > 0)
      console.log(`${name.padEnd(52)} ${(value / other).toFixed(2).padStart(10)} ×`);
  }
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}
