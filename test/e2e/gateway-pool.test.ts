/** All agents as one virtual agent, in real processes: services spread over clients, found again, and moved after a kill -9. */

import { mkdtempSync, rmSync } from 'node:fs';
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

const IDS = Array.from({ length: 20 }, (_, i) => `api-${i}`);

let pool: LocalPool;
let gateway: string;
let dataRoot: string;

beforeAll(async () => {
  dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-pool-'));
  const portsOf = await freePorts(6);
  pool = startPool({ servers: 3, clients: 2, dataRoot, portsOf, gatewayPort: portsOf(5).http });
  gateway = pool.gateway?.url ?? '';
  await waitUntilReady(pool);
});

afterAll(async () => {
  await pool?.stop();
  rmSync(dataRoot, { recursive: true, force: true });
});

interface Instance {
  readonly Node: string;
  readonly ServiceID: string;
}

interface Check {
  readonly CheckID: string;
  readonly Status: string;
  readonly Output: string;
}

async function put(path: string, body?: unknown): Promise<number> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${gateway}${path}`, { method: 'PUT', ...sent });
  await response.arrayBuffer();
  return response.status;
}

const register = (ID: string, Port = 80) =>
  put('/v1/agent/service/register', { ID, Name: 'api', Port, Check: { TTL: '10m' } });
const listed = async (url: string) =>
  Object.keys((await fetchJson<object>(`${url}/v1/agent/services`)) ?? {});
const catalog = async () => (await fetchJson<Instance[]>(`${gateway}/v1/catalog/service/api`)) ?? [];
const homesOf = async (id: string) =>
  (await catalog()).filter(({ ServiceID }) => ServiceID === id).map(({ Node }) => Node);
const clients = () => pool.agents.filter(({ role }) => role === 'client');

async function homeOf(id: string): Promise<LocalAgentProcess> {
  for (const agent of pool.agents) if ((await listed(agent.url)).includes(id)) return agent;
  throw new Error(`no agent has ${id}`);
}

test('services go to client agents, spread over all of them, and are listed as one agent’s', async () => {
  expect(new Set(await Promise.all(IDS.map((id) => register(id))))).toEqual(new Set([200]));
  const shares = await Promise.all(clients().map(({ url }) => listed(url)));
  expect(shares.flat().toSorted()).toEqual(IDS.toSorted());
  for (const share of shares) expect(share.length).toBeGreaterThan(0);
  expect((await listed(gateway)).toSorted()).toEqual(IDS.toSorted());
  await eventually('all in the catalog', async () => ((await catalog()).length === 20 ? true : undefined));
});

test('registering again changes a service where it is', async () => {
  const home = await homeOf('api-0');
  expect(await register('api-0', 81)).toBe(200);
  await eventually('the new port', async () => {
    const service = await fetchJson<{ Port: number }>(`${home.url}/v1/agent/service/api-0`);
    return service?.Port === 81 ? true : undefined;
  });
  expect(await homesOf('api-0')).toEqual([home.name]);
});

test('a heartbeat reaches the agent that has the check', async () => {
  for (const id of IDS) expect(await put(`/v1/agent/check/pass/service:${id}?note=beat-${id}`)).toBe(200);
  for (const { url } of clients()) {
    const checks = Object.values((await fetchJson<Record<string, Check>>(`${url}/v1/agent/checks`)) ?? {});
    expect(checks.map(({ Status, Output }) => `${Status} ${Output}`).toSorted()).toEqual(
      checks.map(({ CheckID }) => `passing beat-${CheckID.slice('service:'.length)}`).toSorted(),
    );
  }
  await eventually('all passing in the catalog', async () =>
    (await fetchJson<unknown[]>(`${gateway}/v1/health/service/api?passing`))?.length === 20
      ? true
      : undefined,
  );
});

test('a deregistered service is gone everywhere', async () => {
  expect(await put('/v1/agent/service/deregister/api-19')).toBe(200);
  await eventually('gone', async () => ((await homesOf('api-19')).length === 0 ? true : undefined));
  expect(await listed(gateway)).not.toContain('api-19');
});

test('a client that dies stalls nothing, and what it had moves to the next', async () => {
  const [dead, survivor] = clients();
  if (dead === undefined || survivor === undefined) throw new Error('two clients are expected');
  const lost = await listed(dead.url);
  const [moved = '', removed = ''] = lost;
  dead.process.kill('SIGKILL');
  await dead.process.exited;
  // Long before gossip has noticed: its connections are refused, and that is enough.
  const response = await fetch(`${gateway}/v1/agent/services`, { signal: AbortSignal.timeout(2000) });
  expect(Object.keys((await response.json()) as object).toSorted()).toEqual(
    (await listed(survivor.url)).toSorted(),
  );
  expect(response.headers.get('x-proconsul-missing-agents') ?? dead.name).toBe(dead.name);
  expect(await register('api-20')).toBe(200);
  expect((await homeOf('api-20')).name).toBe(survivor.name);

  await eventually('everything it had to be on the survivor', async () => {
    const homes = await Promise.all(lost.map(homesOf));
    return homes.every((nodes) => nodes.join() === survivor.name) ? true : undefined;
  });
  expect(await register(moved)).toBe(200);
  expect(await homesOf(moved)).toEqual([survivor.name]);
  expect(await put(`/v1/agent/service/deregister/${removed}`)).toBe(200);
  expect(await homesOf(removed)).toEqual([]);
});

test('an agent that comes back is one of the virtual agent again', async () => {
  const back = clients()[0];
  if (back === undefined) throw new Error('two clients are expected');
  back.restart();
  await waitUntilReady(pool);
  await eventually('it is alive again', async () => {
    const checks = await fetchJson<Check[]>(`${gateway}/v1/health/node/${back.name}`);
    return checks?.some(({ CheckID, Status }) => CheckID === 'serfHealth' && Status === 'passing')
      ? true
      : undefined;
  });
  expect(await listed(back.url)).toEqual([]);
  const before = (await catalog()).length;
  for (let i = 0; i < 8; i++) expect(await register(`late-${i}`)).toBe(200);
  expect((await listed(back.url)).length).toBeGreaterThan(0);
  expect(await catalog()).toHaveLength(before + 8);
});
