/**
 * What a request through the gateway costs: a fixed number of requests of each workload against a pool (three servers,
 * two clients, a gateway), and the CPU time that the gateway and the agents spent on them. Unlike a rate it hardly
 * depends on what else the machine does. Linux only: times are read from /proc.
 *
 *   npm run bench:cost -- [--requests 20000] [--connections 64] [--only kv-get] [--gateway-env NAME=VALUE]
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePorts, startPool, waitUntilReady } from '../launch/pool.ts';
import { runHttpLoad } from './http-load.ts';
import { cpuUs } from './process-use.ts';
import { fill, HTTP_WORKLOADS } from './workloads.ts';

const { values: flags } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    connections: { type: 'string', default: '64' },
    only: { type: 'string', multiple: true, default: [] },
    'gateway-env': { type: 'string', multiple: true, default: [] },
  },
});
const requests = Number(flags.requests);
const connections = Number(flags.connections);

const dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-cost-'));
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
try {
  await waitUntilReady(pool);
  const [first] = pool.agents;
  if (first === undefined || pool.gateway === undefined) throw new Error('the pool is incomplete');
  await fill(new URL(first.url));
  const url = new URL(pool.gateway.url);
  const gatewayPid = pool.gateway.process.pid;
  const agentPids = pool.agents.map((agent) => agent.process.pid);
  console.log('workload     gateway µs   agents µs   p50 ms   p99 ms    req/s   errors');
  for (const { name, requests: requestsTo } of HTTP_WORKLOADS) {
    if (flags.only.length > 0 && !flags.only.includes(name)) continue;
    const run = (count: number) =>
      runHttpLoad({ url, connections, requests: count, request: requestsTo(url) });
    await run(requests / 4);
    const before = [cpuUs([gatewayPid]), cpuUs(agentPids)];
    const result = await run(requests);
    const after = [cpuUs([gatewayPid]), cpuUs(agentPids)];
    const perRequest = (i: number) => (((after[i] ?? 0) - (before[i] ?? 0)) / result.requests).toFixed(1);
    const cells = [perRequest(0), perRequest(1), result.p50.toFixed(2), result.p99.toFixed(2)];
    cells.push(result.perSecond.toFixed(0), String(result.errors));
    console.log(name.padEnd(12), cells.map((cell, i) => cell.padStart(i < 2 ? 10 : 8)).join(' '));
  }
} finally {
  await pool.stop();
  rmSync(dataRoot, { recursive: true, force: true });
}
