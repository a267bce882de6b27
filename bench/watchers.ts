/**
 * Many blocking queries of one service through the gateway, each on a connection of its own, then a change: prints what
 * a watcher costs the gateway in memory, and how long after the change was sent the watchers had the whole answer.
 * Watchers that are woken watch again, for several rounds. Linux only.
 *
 *   npm run bench:watchers -- [--watchers 5000] [--rounds 3] [--gateway-env NAME=VALUE]
 *
 * Gateway and watchers each need a file descriptor per watcher (`ulimit -n`).
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePorts, startPool, waitUntilReady } from '../launch/pool.ts';
import { cpuUs, residentKib } from './process-use.ts';
import { put } from './workloads.ts';

const { values: flags } = parseArgs({
  options: {
    watchers: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '3' },
    'gateway-env': { type: 'string', multiple: true, default: [] },
  },
});
/** For what else a process has open. */
const SPARE_DESCRIPTORS = 100;
const limit = Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
const watchers = Math.min(Number(flags.watchers), limit - SPARE_DESCRIPTORS);
if (watchers < Number(flags.watchers)) console.log(`only ${limit} file descriptors: ${watchers} watchers`);

const PATH = '/v1/health/service/watched';
/** Connections being opened at a time. */
const OPENING = 100;

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
const sockets: net.Socket[] = [];
try {
  await waitUntilReady(pool);
  if (pool.gateway === undefined) throw new Error('the pool has no gateway');
  const gateway = new URL(pool.gateway.url);
  const { pid } = pool.gateway.process;
  await change(gateway, 1);
  const idleKib = residentKib(pid);

  const round = { woken: 0, errors: 0, changedMs: 0, tookMs: new Float64Array(watchers) };
  let index = await currentIndex(gateway);
  const ask = () =>
    Buffer.from(`GET ${PATH}?index=${index}&wait=10m HTTP/1.1\r\nHost: ${gateway.host}\r\n\r\n`, 'latin1');
  for (let opened = 0; opened < watchers; opened += OPENING) {
    const batch = Array.from({ length: Math.min(OPENING, watchers - opened) }, () => open(gateway));
    for (const socket of await Promise.all(batch)) {
      socket.write(ask());
      follow(socket);
      sockets.push(socket);
    }
  }
  await waitingAtGateway(gateway, watchers);
  const waitingKib = residentKib(pid);
  console.log(
    `${watchers} watchers: gateway ${mib(idleKib)} MiB before, ${mib(waitingKib)} MiB while they wait: ${((waitingKib - idleKib) / watchers).toFixed(1)} KiB a watcher`,
  );

  for (let n = 1; n <= Number(flags.rounds); n++) {
    round.woken = 0;
    const spentUs = cpuUs([pid]);
    round.changedMs = performance.now();
    const changed = change(gateway, n + 1);
    while (round.woken + round.errors < watchers && performance.now() - round.changedMs < 30_000)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await changed;
    const wakeUs = (cpuUs([pid]) - spentUs) / Math.max(1, round.woken);
    const took = round.tookMs.slice(0, round.woken).sort();
    const at = (q: number) => (took[Math.ceil(took.length * q) - 1] ?? Number.NaN).toFixed(0);
    console.log(
      `round ${n}: ${round.woken} woken, ${round.errors} errors; ms after the change was sent: p50 ${at(0.5)}, p99 ${at(0.99)}, last ${at(1)}; gateway ${wakeUs.toFixed(0)} µs of CPU a watcher, ${mib(residentKib(pid))} MiB`,
    );
    if (round.errors > 0) break;
    index = await currentIndex(gateway);
    for (const socket of sockets) socket.write(ask());
    await waitingAtGateway(gateway, watchers);
  }

  /** Counts whole answers with news as wake-ups, everything else as an error. */
  function follow(socket: net.Socket): void {
    let head = '';
    let missing = 0;
    socket.on('data', (chunk) => {
      if (missing > 0) missing -= chunk.length;
      else {
        head += chunk.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end === -1) return;
        missing = Number(/content-length: (\d+)/i.exec(head)?.[1]) - (head.length - end - 4);
      }
      if (missing > 0) return;
      const isNews = head.startsWith('HTTP/1.1 200 ') && !head.includes(`X-Consul-Index: ${index}\r\n`);
      if (isNews) round.tookMs[round.woken++] = performance.now() - round.changedMs;
      else round.errors++;
      head = '';
      missing = 0;
    });
    socket.on('close', () => round.errors++);
  }
} finally {
  for (const socket of sockets) {
    socket.removeAllListeners('close');
    socket.destroy();
  }
  await pool.stop();
  rmSync(dataRoot, { recursive: true, force: true });
}

function change(base: URL, port: number): Promise<void> {
  const service = { Service: 'watched', Port: port };
  return put(base, '/v1/catalog/register', { Node: 'watched', Address: '10.0.0.1', Service: service });
}

async function currentIndex(base: URL): Promise<string> {
  const response = await fetch(new URL(PATH, base));
  await response.text();
  return response.headers.get('x-consul-index') ?? '';
}

function open(base: URL): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: base.hostname, port: Number(base.port), noDelay: true });
    socket.once('connect', () => resolve(socket));
    socket.on('error', reject);
  });
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
