/**
 * The load benchmark: starts a pool (three servers, two clients, a gateway), fills it, and drives each workload through
 * a server, a client and the gateway in turn, and through any endpoint named with `--peer NAME=URL`. Prints rates and
 * ratios measured side by side in one run.
 *
 *   npm run bench -- [--seconds 3] [--connections 64] [--peer consul=http://127.0.0.1:9500,9600] [--only kv-get]
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePorts, startPool, waitUntilReady } from '../launch/pool.ts';
import { compare, fill, parsePeer, TABLE_HEAD, type Target, tableRow, WORKLOADS } from './workloads.ts';

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    peer: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [] },
  },
});
const options = { connections: Number(flags.connections), durationMs: Number(flags.seconds) * 1000 };

const dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-bench-'));
const portsOf = await freePorts(6);
const pool = startPool({ servers: 3, clients: 2, dataRoot, portsOf, gatewayPort: portsOf(5).http });
try {
  await waitUntilReady(pool);
  const targets = await chooseTargets();
  const [first] = targets;
  for (const target of targets)
    if (target === first || target.name.startsWith('peer:')) await fill(target.url);
  // What was just written reaches the followers.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  console.log(
    `pool: 3 durable servers, 2 clients, gateway; ${options.connections} connections, ${flags.seconds} s each\n`,
  );
  console.log(tableRow(TABLE_HEAD));
  for (const workload of WORKLOADS) {
    if (flags.only.length === 0 || flags.only.includes(workload.name))
      await compare(workload, targets, options);
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
    ...flags.peer.map(parsePeer),
  ];
}
