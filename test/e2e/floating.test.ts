/** Floating services in real processes: they outlive their agents, are seen once at every moment, and stay gone once deregistered. */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  fetchJson,
  freePorts,
  type LocalAgentProcess,
  type LocalPool,
  startPool,
  waitUntilReady,
} from '../../launch/pool.ts';
import { eventually } from './eventually.ts';

let pool: LocalPool;
let gateway: string;
let dataRoot: string;
let application: Server;

beforeAll(async () => {
  dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-floating-'));
  application = createServer((_request, response) => response.end('well'));
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
  const portsOf = await freePorts(6);
  pool = startPool({ servers: 3, clients: 2, dataRoot, portsOf, gatewayPort: portsOf(5).http });
  gateway = pool.gateway?.url ?? '';
  await waitUntilReady(pool);
});

afterAll(async () => {
  await pool?.stop();
  application.close();
  rmSync(dataRoot, { recursive: true, force: true });
});

interface Entry {
  readonly Node: { readonly Node: string };
  readonly Service: { readonly ID: string };
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string }[];
}

const put = async (path: string, body?: unknown): Promise<number> => {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${gateway}${path}`, { method: 'PUT', ...sent });
  await response.arrayBuffer();
  return response.status;
};
const instances = async (name: string, query = '') =>
  (await fetchJson<Entry[]>(`${gateway}/v1/health/service/${name}${query}`)) ?? [];
const homesOf = async (name: string) => (await instances(name)).map(({ Node }) => Node.Node);
const heartbeat = (id: string) => put(`/v1/agent/check/pass/${id}-ttl`);

function register(name: string): Promise<number> {
  const { port } = application.address() as AddressInfo;
  return put('/v1/agent/service/register', {
    ID: name,
    Name: name,
    Address: '127.0.0.1',
    Port: port,
    Checks: [
      { CheckID: `${name}-ttl`, TTL: '30s' },
      { CheckID: `${name}-http`, HTTP: `http://127.0.0.1:${port}/`, Interval: '1s' },
    ],
  });
}

async function agentOf(name: string): Promise<LocalAgentProcess> {
  const [home] = await homesOf(name);
  const agent = pool.agents.find((candidate) => candidate.name === home);
  if (agent === undefined) throw new Error(`nobody carries ${name}`);
  return agent;
}

async function passing(name: string): Promise<void> {
  expect(await heartbeat(name)).toBe(200);
  await eventually(`${name} passes`, async () =>
    (await instances(name, '?passing')).length === 1 ? true : undefined,
  );
}

/** Follows the passing instances as a client does; every answer is kept, `node` or `node+node` or ''. */
function watch(name: string) {
  const seen: string[] = [];
  const controller = new AbortController();
  const run = async () => {
    for (let index = '0'; !controller.signal.aborted; ) {
      const url = `${gateway}/v1/health/service/${name}?passing&wait=10s&index=${index}`;
      const response = await fetch(url, { signal: controller.signal });
      const entries = (await response.json()) as Entry[];
      const nodes = entries.map(({ Node }) => Node.Node).join('+');
      if (seen.at(-1) !== nodes) seen.push(nodes);
      index = response.headers.get('x-consul-index') ?? '0';
    }
  };
  const done = run().catch((error: unknown) => {
    if (!controller.signal.aborted) seen.push(`failed: ${String(error)}`);
  });
  return {
    seen,
    stop: () => {
      controller.abort();
      return done;
    },
  };
}

async function movedFrom(name: string, home: string): Promise<string> {
  return eventually(`${name} to leave ${home}`, async () =>
    (await homesOf(name)).find((node) => node !== home),
  );
}

const kill = async (agent: LocalAgentProcess) => {
  agent.process.kill('SIGKILL');
  await agent.process.exited;
};

test('a service is in the catalog and at its agent when its registration is answered', async () => {
  expect(await register('api')).toBe(200);
  expect(await homesOf('api')).toHaveLength(1);
  expect(Object.keys((await fetchJson<object>(`${gateway}/v1/agent/services`)) ?? {})).toEqual(['api']);
  await passing('api');
});

test('it outlives its agent, is seen once at every moment, and goes on being checked', async () => {
  const dead = await agentOf('api');
  const watcher = watch('api');
  await eventually('the watcher to begin', async () => (watcher.seen.length > 0 ? true : undefined));
  await kill(dead);
  const beat = heartbeat('api');
  const next = await movedFrom('api', dead.name);
  expect(await beat).toBe(200);
  expect(await put('/v1/agent/service/maintenance/api?enable=false')).toBe(200);
  const carrier = pool.agents.find(({ name }) => name === next);
  await eventually('its checks run at the next agent', async () => {
    const checks = await fetchJson<Record<string, object>>(`${carrier?.url}/v1/agent/checks`);
    return checks !== undefined && 'api-http' in checks && 'api-ttl' in checks ? true : undefined;
  });
  expect(await put('/v1/agent/check/fail/api-ttl')).toBe(200);
  await eventually('the failure to be told', async () =>
    (await instances('api', '?passing')).length === 0 ? true : undefined,
  );
  await watcher.stop();
  expect(watcher.seen.filter((nodes) => nodes !== '')).toEqual([dead.name, next]);
  expect(watcher.seen.indexOf('')).toBe(watcher.seen.indexOf('') === -1 ? -1 : watcher.seen.length - 1);
  await passing('api');
});

test('the agent that comes back takes nothing with it', async () => {
  const [home = ''] = await homesOf('api');
  const back = pool.agents.find(({ role, name }) => role === 'client' && name !== home);
  if (back === undefined) throw new Error('a second client is expected');
  back.restart();
  await waitUntilReady(pool);
  await eventually('it is alive again', async () => {
    const checks = await fetchJson<Entry['Checks']>(`${gateway}/v1/health/node/${back.name}`);
    return checks?.some(({ CheckID, Status }) => CheckID === 'serfHealth' && Status === 'passing')
      ? true
      : undefined;
  });
  expect(await homesOf('api')).toEqual([home]);
  expect(Object.keys((await fetchJson<object>(`${back.url}/v1/agent/services`)) ?? {})).toEqual([]);
});

test('deregistered while its agent is dead, it stays gone when the agent returns', async () => {
  const dead = await agentOf('api');
  await kill(dead);
  expect(await put('/v1/agent/service/deregister/api')).toBe(200);
  expect(await instances('api')).toEqual([]);
  dead.restart();
  await waitUntilReady(pool);
  await eventually('it is alive again', async () => {
    const services = await fetchJson<object>(`${dead.url}/v1/agent/services`);
    return services === undefined ? undefined : true;
  });
  const another = await register('other');
  expect([another, await instances('api')]).toEqual([200, []]);
  expect(Object.keys((await fetchJson<object>(`${gateway}/v1/agent/services`)) ?? {})).toEqual(['other']);
});

test('an agent that leaves hands over what it carries', async () => {
  await passing('other');
  const leaving = await agentOf('other');
  const watcher = watch('other');
  await eventually('the watcher to begin', async () => (watcher.seen.length > 0 ? true : undefined));
  const response = await fetch(`${leaving.url}/v1/agent/leave`, { method: 'PUT' });
  expect(response.status).toBe(200);
  const next = await movedFrom('other', leaving.name);
  expect(await heartbeat('other')).toBe(200);
  await watcher.stop();
  expect(watcher.seen).toEqual([leaving.name, next]);
});
