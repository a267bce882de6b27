/**
 * The gateway beside nginx: three durable servers, two client agents, and both in front of the same pool, measured in
 * turn on this machine. nginx (its stream module, round robin over the client agents) is left out where it isn't
 * installed; `--peer` adds any other endpoint. Linux only.
 *
 *   npm run bench:gateway -- [--part requests] [--only kv-get] [--seconds 3] [--rounds 3] [--connections 64]
 *       [--watchers 5000] [--failures 3] [--peer consul=http://127.0.0.1:9500] [--gateway-env NAME=VALUE]
 *
 * Parts: `requests`, `watchers`, `killed` (kill -9 of the leader under writers), `hung` (SIGSTOP of it). Gateway, nginx
 * and watchers each need a file descriptor per watcher (`ulimit -n`), nginx two.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { freePorts, type LocalPool, startPool, waitUntilReady } from '../launch/pool.ts';
import { type Front, measureFailover, measureRequests, measureWatchers } from './gateway-parts.ts';
import { isNginxInstalled, type Nginx, startNginx } from './nginx.ts';
import { fill, parsePeer } from './workloads.ts';

const PARTS = ['requests', 'watchers', 'killed', 'hung'];
const WRITERS = 8;
const PATIENCE_MS = 5000;

const { values: flags } = parseArgs({
  options: {
    part: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '64' },
    watchers: { type: 'string', default: '5000' },
    failures: { type: 'string', default: '3' },
    peer: { type: 'string', multiple: true, default: [] },
    'gateway-env': { type: 'string', multiple: true, default: [] },
  },
});
const parts = flags.part.length === 0 ? PARTS : flags.part;
const unknown = parts.find((part) => !PARTS.includes(part));
if (unknown !== undefined) throw new Error(`no part is called ${unknown}: ${PARTS.join(', ')}`);
const watchers = Number(flags.watchers);
const say = (line: string) => console.error(`  … ${line}`);

const dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-bench-gateway-'));
const portsOf = await freePorts(7);
const gatewayEnv = Object.fromEntries(flags['gateway-env'].map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
say('starting 3 servers, 2 clients and the gateway');
const pool = startPool({
  servers: 3,
  clients: 2,
  dataRoot,
  portsOf,
  gatewayPort: portsOf(5).http,
  // Behind a TCP balancer each watcher is a connection at an agent, all from one address.
  extraAgentArgs: ['-hcl', `limits { http_max_conns_per_client = ${watchers + 1000} }`],
  gatewayEnv,
});
let nginx: Nginx | undefined;
try {
  await waitUntilReady(pool);
  nginx = await startNginxIfInstalled();
  const fronts = [gatewayFront(pool), ...(nginx === undefined ? [] : [nginxFront(nginx)])];
  const peers = flags.peer
    .map(parsePeer)
    .map(({ name, url }) => ({ name, url, pids: () => [], isOurs: false }));
  const [first] = fronts;
  for (const front of [first, ...peers]) {
    if (front === undefined) continue;
    say(`writing what is asked for through ${front.name}`);
    await fill(front.url);
  }
  const requests = {
    only: flags.only,
    connections: Number(flags.connections),
    seconds: Number(flags.seconds),
    rounds: Number(flags.rounds),
  };
  const failover = { writers: WRITERS, patienceMs: PATIENCE_MS, failures: Number(flags.failures), say };
  if (parts.includes('requests')) await measureRequests([...fronts, ...peers], requests);
  if (parts.includes('watchers'))
    await measureWatchers([...fronts, ...peers], pool, { watchers, rounds: requests.rounds, say });
  // Leaders of this pool can be failed, and only who stands before it is told apart by that.
  if (parts.includes('killed')) await measureFailover('killed', fronts, pool, failover);
  if (parts.includes('hung')) await measureFailover('hung', fronts, pool, failover);
} finally {
  await nginx?.stop();
  await pool.stop();
  rmSync(dataRoot, { recursive: true, force: true });
}

async function startNginxIfInstalled(): Promise<Nginx | undefined> {
  if (!isNginxInstalled()) {
    say('nginx is not installed (NGINX names its program): without it');
    return undefined;
  }
  return startNginx({
    port: portsOf(6).http,
    upstreamPorts: pool.agents.filter(({ role }) => role === 'client').map(({ ports }) => ports.http),
    folder: join(dataRoot, 'nginx'),
    maxClients: watchers,
  });
}

function gatewayFront({ gateway }: LocalPool): Front {
  if (gateway === undefined) throw new Error('the pool has no gateway');
  return {
    name: 'gateway',
    url: new URL(gateway.url),
    pids: () => [gateway.process.pid],
    isOurs: true,
  };
}

function nginxFront({ url, pids }: Nginx): Front {
  return { name: 'nginx', url, pids, isOurs: true };
}
