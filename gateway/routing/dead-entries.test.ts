import { afterEach, beforeEach, expect, test } from 'vitest';
import { realEnv, sleep } from '../../shared/env.ts';
import type { Gateway } from '../app.ts';
import { FakePool } from '../testing/fake-pool.ts';
import { openTestApp } from '../testing/harness.ts';

let pool: FakePool;
let gateway: Gateway;

beforeEach(async () => {
  pool = await FakePool.start(['s1'], ['c1', 'c2']);
  gateway = await openTestApp(pool);
});

afterEach(async () => {
  await gateway.stop();
  await pool.stop();
});

const put = (path: string, body: unknown = '') =>
  gateway.app.request(path, {
    method: 'PUT',
    body: JSON.stringify(body),
    headers: { 'X-Consul-Token': 't' },
  });
const homesOf = (id: string) => pool.nodes.filter(({ services }) => services.has(id)).map(({ name }) => name);

/** Kills the agent that has the service and waits until the gateway has heard of it. */
async function killHome(id: string): Promise<string> {
  const [home = ''] = homesOf(id);
  await pool.kill(home);
  const isKnown = async () =>
    (await (await gateway.app.request('/metrics')).text()).includes('state="unusable"} 1');
  while (!(await isKnown())) await sleep(realEnv.clock, 10);
  return home;
}

test('a service whose agent died is deregistered from the catalog, with the caller’s token', async () => {
  await put('/v1/agent/service/register', { Name: 'web', ID: 'w' });
  const home = await killHome('w');
  expect(homesOf('w')).toEqual([home]);
  const response = await put('/v1/agent/service/deregister/w?token=q');
  expect([response.status, await response.text()]).toEqual([200, '']);
  expect(homesOf('w')).toEqual([]);
  const leader = pool.node('s1');
  expect(leader.requests).toContain('PUT /v1/catalog/deregister?token=q');
  expect(leader.lastHeaders['x-consul-token']).toBe('t');
});

test('a check of a dead agent is deregistered from the catalog', async () => {
  await put('/v1/agent/service/register', { Name: 'web', ID: 'w', Check: { TTL: '10s' } });
  const home = await killHome('w');
  expect((await put('/v1/agent/check/deregister/service:w')).status).toBe(200);
  expect(pool.node(home).checks.size).toBe(0);
  expect(homesOf('w')).toEqual([home]);
});

test('a refusal of the catalog is the answer', async () => {
  await put('/v1/agent/service/register', { Name: 'web', ID: 'w' });
  await killHome('w');
  pool.override = (_node, request, response) => {
    if (!request.url?.startsWith('/v1/catalog/deregister')) return false;
    response.writeHead(403).end('Permission denied');
    return true;
  };
  const response = await put('/v1/agent/service/deregister/w');
  expect([response.status, await response.text()]).toEqual([403, 'Permission denied']);
});

test('registering again leaves one entry, on a live agent', async () => {
  await put('/v1/agent/service/register', { Name: 'web', ID: 'w' });
  const home = await killHome('w');
  expect((await put('/v1/agent/service/register', { Name: 'web', ID: 'w' })).status).toBe(200);
  expect(homesOf('w')).toEqual([home === 'c1' ? 'c2' : 'c1']);
});

test('what dead agents don’t have changes nothing', async () => {
  await put('/v1/agent/service/register', { Name: 'web', ID: 'w' });
  await killHome('w');
  expect((await put('/v1/agent/service/deregister/other')).status).toBe(200);
  expect(pool.nodes.flatMap(({ requests }) => requests).join()).not.toContain('catalog/deregister');
});
