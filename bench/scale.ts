/**
 * Service registration at size, in one server agent: many instances with checks on many nodes, then listing them, then
 * one blocking query each for many watchers on different services, then one change for each. Prints throughput and
 * memory per instance and per watcher.
 *
 *   npm run bench:scale -- [--instances 100000] [--nodes 1000] [--watchers 10000]
 */

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { AGENT_PROGRAM, fetchJson, freePorts } from '../launch/pool.ts';
import { startProcess } from '../launch/process.ts';

const { values: flags } = parseArgs({
  options: {
    instances: { type: 'string', default: '100000' },
    nodes: { type: 'string', default: '1000' },
    watchers: { type: 'string', default: '10000' },
  },
});
const instances = Number(flags.instances);
const nodes = Number(flags.nodes);
const watchers = Number(flags.watchers);
/** Ten instances a service. */
const services = Math.max(1, Math.floor(instances / 10));
const WRITERS = 64;

const ports = (await freePorts(1))(0);
const agent = startProcess({
  name: 'agent',
  args: [
    AGENT_PROGRAM,
    'agent',
    '-dev',
    '-node=scale',
    '-bind=127.0.0.1',
    '-log-level=err',
    `-http-port=${ports.http}`,
    `-dns-port=${ports.dns}`,
    `-server-port=${ports.server}`,
    `-serf-lan-port=${ports.serfLan}`,
    `-serf-wan-port=${ports.serfWan}`,
    '-hcl=limits { http_max_conns_per_client = 100000 }',
  ],
});
const base = `http://127.0.0.1:${ports.http}`;
const writers = new Agent({ connections: WRITERS });
const listeners = new Agent({ connections: watchers, headersTimeout: 0, bodyTimeout: 0 });

try {
  while ((await fetchJson<unknown[]>(`${base}/v1/catalog/nodes`)) === undefined) {
    if (!agent.isRunning()) throw new Error(agent.output());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const empty = residentMib();
  await registerAll();
  const filled = residentMib();
  console.log(
    `memory: ${empty} MiB empty, ${filled} MiB filled: ${kib(filled - empty, instances)} KiB an instance`,
  );
  await listAll();
  await watchAll(filled);
} finally {
  await agent.stop('SIGKILL');
  await writers.destroy();
  await listeners.destroy();
}

async function registerAll(): Promise<void> {
  const started = performance.now();
  let next = 0;
  const writer = async () => {
    for (let i = next++; i < instances; i = next++) {
      await register(i);
      if (i > 0 && i % 10_000 === 0) console.log(`  ${i} registered`);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `registered ${instances} instances with checks on ${nodes} nodes: ${(instances / seconds).toFixed(0)}/s`,
  );
}

async function register(i: number, port = 8000): Promise<void> {
  const id = `s${i % services}-${Math.floor(i / services)}`;
  const body = {
    Node: `node-${i % nodes}`,
    Address: `10.${(i % nodes) >> 8}.${(i % nodes) & 255}.1`,
    SkipNodeUpdate: false,
    Service: { ID: id, Service: `service-${i % services}`, Tags: ['v1'], Port: port },
    Check: { CheckID: `check-${id}`, Name: 'alive', Status: 'passing', ServiceID: id },
  };
  const answer = await request(`${base}/v1/catalog/register`, {
    method: 'PUT',
    body: JSON.stringify(body),
    dispatcher: writers,
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`register ${id}: ${answer.statusCode} ${text}`);
}

async function listAll(): Promise<void> {
  for (const path of [
    '/v1/catalog/services',
    '/v1/catalog/nodes',
    '/v1/health/state/any',
    '/v1/health/service/service-1',
  ]) {
    const started = performance.now();
    const answer = await request(`${base}${path}`, { dispatcher: writers });
    const { byteLength } = await answer.body.arrayBuffer();
    console.log(
      `${path}: ${(byteLength / 1024).toFixed(0)} KiB in ${(performance.now() - started).toFixed(0)} ms`,
    );
  }
}

/** Each watcher waits for its own service; then each service changes once. */
async function watchAll(filledMib: number): Promise<void> {
  const watched = Math.min(watchers, services);
  const woken: number[] = [];
  const waits: Promise<void>[] = [];
  for (let i = 0; i < watched; i++) {
    const path = `${base}/v1/health/service/service-${i}`;
    const first = await request(path, { dispatcher: writers });
    await first.body.dump();
    const index = String(first.headers['x-consul-index']);
    const waiting = request(`${path}?index=${index}&wait=10m`, { dispatcher: listeners });
    waits.push(
      waiting.then(async (answer) => {
        await answer.body.dump();
        woken.push(performance.now());
      }),
    );
  }
  const waitingMib = residentMib();
  console.log(
    `${watched} watchers on different services: ${kib(waitingMib - filledMib, watched)} KiB a watcher`,
  );
  const started = performance.now();
  let next = 0;
  const writer = async () => {
    for (let i = next++; i < watched; i = next++) await register(i, 9000);
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  await Promise.all(waits);
  const seconds = (performance.now() - started) / 1000;
  console.log(
    `one change for each: all ${woken.length} woken, ${(watched / seconds).toFixed(0)} changes and wake-ups/s`,
  );
}

function kib(mib: number, count: number): string {
  return ((mib * 1024) / count).toFixed(2);
}

function residentMib(): number {
  const value = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(value ?? 0) / 1024);
}
