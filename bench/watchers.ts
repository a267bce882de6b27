/**
 * Many blocking queries of one service through the gateway, each on a connection of its own, then a change: prints what
 * a watcher costs the gateway in memory, and how long after the change was sent the watchers had the whole answer.
 * Watchers that are woken watch again, for several rounds. Linux only.
 *
 *   npm run bench:watchers -- [--watchers 5000] [--rounds 3] [--gateway-env NAME=VALUE]
 *
 * Gateway and watchers each need a file descriptor per watcher (`ulimit -n`).
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePorts, startPool, waitUntilReady } from '../launch/pool.ts';
import { cpuUs, residentKib } from './process-use.ts';
import { affordableWatchers, quantileOf, WatchCrowd } from './watch-crowd.ts';
import { changeWatched, WATCHED_PATH } from './workloads.ts';

const { values: flags } = parseArgs({
  options: {
    watchers: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '3' },
    'gateway-env': { type: 'string', multiple: true, default: [] },
  },
});
const watchers = affordableWatchers(Number(flags.watchers));
if (watchers < Number(flags.watchers)) console.log(`file descriptors for ${watchers} watchers only`);

const dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-watchers-'));
const portsOf = await freePorts(6);
const gatewayEnv = Object.fromEntries(flags['gateway-env'].map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
const pool = startPool({
  servers: 3,
  clients: 2,
  dataRoot,
  portsOf,
  gatewayPort: portsOf(5).http,
  gatewayEnv,
});
let crowd: WatchCrowd | undefined;
try {
  await waitUntilReady(pool);
  if (pool.gateway === undefined) throw new Error('the pool has no gateway');
  const url = new URL(pool.gateway.url);
  const { pid } = pool.gateway.process;
  await changeWatched(url, 1);
  const idleKib = residentKib(pid);
  crowd = new WatchCrowd({ url, path: WATCHED_PATH, watchers, say: console.log });
  await crowd.open();
  await waitingAtGateway(url, watchers);
  const waitingKib = residentKib(pid);
  console.log(
    `${watchers} watchers: gateway ${mib(idleKib)} MiB before, ${mib(waitingKib)} MiB while they wait: ${((waitingKib - idleKib) / watchers).toFixed(1)} KiB a watcher`,
  );
  for (let n = 1; n <= Number(flags.rounds); n++) {
    const spentUs = cpuUs([pid]);
    const { woken, errors, tookMs } = await crowd.wake(() => changeWatched(url, n + 1));
    const wakeUs = (cpuUs([pid]) - spentUs) / Math.max(1, woken);
    const at = (q: number) => quantileOf(tookMs, q).toFixed(0);
    console.log(
      `round ${n}: ${woken} woken, ${errors} errors; ms after the change was sent: p50 ${at(0.5)}, p99 ${at(0.99)}, last ${at(1)}; gateway ${wakeUs.toFixed(0)} µs of CPU a watcher, ${mib(residentKib(pid))} MiB`,
    );
    if (errors > 0) break;
    await crowd.watch();
    await waitingAtGateway(url, watchers);
  }
} finally {
  crowd?.close();
  await pool.stop();
  rmSync(dataRoot, { recursive: true, force: true });
}

async function waitingAtGateway(base: URL, count: number): Promise<void> {
  const until = performance.now() + 60_000;
  for (let waiting = 0; waiting < count; ) {
    if (performance.now() > until) throw new Error(`only ${waiting} of ${count} are waiting`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const metrics = await (await fetch(new URL('/metrics', base))).text();
    waiting = Number(/proconsul_gateway_in_flight (\d+)/.exec(metrics)?.[1]);
  }
}

function mib(kib: number): string {
  return (kib / 1024).toFixed(0);
}
