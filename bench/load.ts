/**
 * The load benchmark: starts a pool (three servers, two clients, a gateway), fills it, and drives each workload through
 * a server, a client and the gateway in turn, and through any endpoint named with `--peer NAME=URL`. Prints rates and
 * ratios measured side by side in one run.
 *
 *   npm run bench -- [--seconds 3] [--connections 64] [--peer consul=http://127.0.0.1:9500] [--only kv-get]
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePorts, startPool, waitUntilReady } from '../launch/pool.ts';
import { runDnsLoad } from './dns-load.ts';
import { httpRequestBytes, type LoadResult, runHttpLoad } from './http-load.ts';

const INSTANCES = 10;
const KEYS = 1000;
const VALUE = Buffer.alloc(128, 'x');

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    peer: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [] },
  },
});
const durationMs = Number(options.seconds) * 1000;
const connections = Number(options.connections);

interface Target {
  readonly name: string;
  readonly url: URL;
  readonly dnsPort?: number;
}

interface Workload {
  readonly name: string;
  readonly run: (target: Target) => Promise<LoadResult> | undefined;
}

const http = (request: (url: URL, n: number) => Buffer) => (target: Target) =>
  runHttpLoad({ url: target.url, connections, durationMs, request: (n) => request(target.url, n) });
const dns = (type: number) => (target: Target) =>
  target.dnsPort === undefined
    ? undefined
    : runDnsLoad({
        host: '127.0.0.1',
        port: target.dnsPort,
        name: 'bench.service.consul',
        type,
        inFlight: connections,
        durationMs,
      });

const WORKLOADS: readonly Workload[] = [
  { name: 'catalog', run: http((url) => httpRequestBytes('GET', url, '/v1/catalog/service/bench')) },
  { name: 'health', run: http((url) => httpRequestBytes('GET', url, '/v1/health/service/bench?passing')) },
  {
    name: 'kv-get',
    run: http((url, n) => httpRequestBytes('GET', url, `/v1/kv/bench/${(n * 7919) % KEYS}`)),
  },
  { name: 'kv-put', run: http((url, n) => httpRequestBytes('PUT', url, `/v1/kv/bench/${n % KEYS}`, VALUE)) },
  { name: 'dns-a', run: dns(1) },
  { name: 'dns-srv', run: dns(33) },
];

const dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-bench-'));
const portsOf = await freePorts(6);
const pool = startPool({ servers: 3, clients: 2, dataRoot, portsOf, gatewayPort: portsOf(5).http });
try {
  await waitUntilReady(pool);
  const targets = await chooseTargets();
  for (const target of [targets[0], ...targets.filter((t) => t.name.startsWith('peer:'))])
    if (target) await fill(target.url);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  console.log(
    `pool: 3 durable servers, 2 clients, gateway; ${connections} connections, ${options.seconds} s each\n`,
  );
  console.log(row(['workload', 'through', 'req/s', 'p50 ms', 'p99 ms', 'errors', 'ratio']));
  for (const workload of WORKLOADS) {
    if (options.only.length === 0 || options.only.includes(workload.name)) await compare(workload, targets);
  }
} finally {
  await pool.stop();
  rmSync(dataRoot, { recursive: true, force: true });
}

/** The leader, a client, the gateway, then the peers. */
async function chooseTargets(): Promise<Target[]> {
  const leader = (await (await fetch(`${pool.agents[0]?.url}/v1/status/leader`)).json()) as string;
  const server = pool.agents.find((agent) => leader.endsWith(`:${agent.ports.server}`)) ?? pool.agents[0];
  const client = pool.agents.find((agent) => agent.role === 'client');
  if (server === undefined || client === undefined || pool.gateway === undefined)
    throw new Error('the pool is incomplete');
  return [
    { name: 'server', url: new URL(server.url), dnsPort: server.ports.dns },
    { name: 'client', url: new URL(client.url), dnsPort: client.ports.dns },
    { name: 'gateway', url: new URL(pool.gateway.url) },
    ...options.peer.map((peer) => {
      const [name = 'peer', url = ''] = peer.split(/=(.*)/s);
      return { name: `peer:${name}`, url: new URL(url) };
    }),
  ];
}

async function fill(base: URL): Promise<void> {
  for (let i = 0; i < INSTANCES; i++) {
    await put(base, '/v1/catalog/register', {
      Node: `bench-${i}`,
      Address: `10.0.0.${i + 1}`,
      Service: { Service: 'bench', Tags: ['a', 'b'], Port: 8000 + i },
      Checks: [{ Name: 'alive', CheckID: 'alive', Status: 'passing', ServiceID: 'bench' }],
    });
  }
  for (let i = 0; i < KEYS; i++)
    await fetch(new URL(`/v1/kv/bench/${i}`, base), { method: 'PUT', body: VALUE });
}

async function put(base: URL, path: string, body: unknown): Promise<void> {
  const response = await fetch(new URL(path, base), { method: 'PUT', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

/** Ratios are against the first peer when there is one, else against the first row. */
async function compare(workload: Workload, targets: readonly Target[]): Promise<void> {
  const results: { target: Target; result: LoadResult }[] = [];
  for (const target of targets) {
    const result = await workload.run(target);
    if (result !== undefined) results.push({ target, result });
  }
  const base = results.find(({ target }) => target.name.startsWith('peer:')) ?? results[0];
  for (const { target, result } of results) {
    const ratio = base === undefined ? 1 : result.perSecond / base.result.perSecond;
    const cells = [
      workload.name,
      target.name,
      result.perSecond.toFixed(0),
      result.p50.toFixed(2),
      result.p99.toFixed(2),
      String(result.errors),
      `${ratio.toFixed(2)} × ${base?.target.name}`,
    ];
    console.log(row(cells));
  }
}

function row(cells: readonly string[]): string {
  const widths = [10, 14, 9, 8, 8, 7, 16];
  return cells
    .map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
    .join(' ');
}
