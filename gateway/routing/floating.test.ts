import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Gateway } from '../app.ts';
import { eventually, FakePool } from '../testing/fake-pool.ts';
import { openTestApp } from '../testing/harness.ts';

let pool: FakePool;
let gateway: Gateway;

beforeEach(async () => {
  pool = await FakePool.start(['s1'], ['c1', 'c2', 'c3']);
  pool.placements = new Map();
  gateway = await openTestApp(pool, { retryDeadlineMs: 3000 });
});

afterEach(async () => {
  await gateway.stop();
  await pool.stop();
});

const put = (path: string, body?: string, headers: Record<string, string> = {}) =>
  gateway.app.request(path, { method: 'PUT', headers, ...(body === undefined ? {} : { body }) });
const register = (body = '{"ID":"web","Name":"web","Check":{"TTL":"1m"}}') =>
  put('/v1/agent/service/register', body);
const carriers = () => pool.nodes.filter(({ services }) => services.has('web')).map(({ name }) => name);
const asked = (name: string) => pool.node(name).requests.filter((line) => line.startsWith('GET /v1/agent/'));

function carry(name: string): void {
  const service = { ID: 'web', Service: 'web', Port: 0 };
  const check = { Node: name, CheckID: 'service:web', ServiceID: 'web', Status: 'passing', Output: '' };
  pool.node(name).services.set('web', service);
  pool.node(name).checks.set('service:web', check);
  pool.placements?.set('web', name);
}

/** Gossip and the gateway know it. */
async function die(name: string): Promise<void> {
  await pool.kill(name);
  const isKnown = async () =>
    (await (await gateway.app.request('/metrics')).text()).includes('"unusable"} 1');
  let known = false;
  void isKnown();
  await eventually(() => {
    void isKnown().then((now) => {
      known = now;
    });
    return known;
  }, 'the death to be known');
}

test('a registration says that the service floats, and nobody else can say so', async () => {
  await register();
  const [home = ''] = carriers();
  expect(pool.node(home).lastHeaders['x-proconsul-floating']).toBe('1');
  const headers = { 'X-Proconsul-Floating': '1', 'X-Proconsul-Node': 'c1' };
  await put('/v1/agent/service/register', '{"Name":"own"}', headers);
  expect(pool.node('c1').services.has('own')).toBe(true);
  expect(pool.node('c1').lastHeaders['x-proconsul-floating']).toBeUndefined();
});

test('who carries a service is not searched for', async () => {
  carry('c2');
  expect((await put('/v1/agent/check/pass/service:web')).status).toBe(200);
  expect((await gateway.app.request('/v1/agent/service/web')).status).toBe(200);
  expect((await register()).status).toBe(200);
  expect(carriers()).toEqual(['c2']);
  expect([...asked('c1'), ...asked('c3')]).toEqual([]);
});

test('a heartbeat waits until a service has left its dead agent', async () => {
  carry('c2');
  expect((await put('/v1/agent/check/pass/service:web')).status).toBe(200);
  await die('c2');
  const beat = put('/v1/agent/check/pass/service:web?note=later');
  const check = put('/v1/agent/check/register', '{"Name":"more","ServiceID":"web","TTL":"1m"}');
  pool.placements?.set('web', 'c3');
  await eventually(
    () => pool.node('c3').requests.some((line) => line.includes('/check/pass/')),
    'a first try',
  );
  carry('c3');
  expect([(await beat).status, (await check).status]).toEqual([200, 200]);
  expect(pool.node('c3').checks.get('service:web')).toMatchObject({ Status: 'passing', Output: 'later' });
  expect(pool.node('c3').checks.has('more')).toBe(true);
});

test('it gives up waiting, and says what for', async () => {
  carry('c2');
  await die('c2');
  const answer = await put('/v1/agent/check/pass/service:web');
  expect(answer.status).toBe(503);
  expect(await answer.text()).toBe(
    'The agent of check "service:web" is gone, and no other has taken it over yet.',
  );
});

test('registering what a dead agent carries moves it at once', async () => {
  carry('c2');
  await die('c2');
  expect((await register()).status).toBe(200);
  expect(carriers().filter((name) => name !== 'c2')).toHaveLength(1);
});

test('deregistering concerns the placement, wherever it is', async () => {
  carry('c2');
  await die('c2');
  expect((await put('/v1/agent/service/deregister/web')).status).toBe(200);
  const told = pool.nodes.filter(({ requests }) => requests.includes('PUT /v1/agent/service/deregister/web'));
  expect(told).toHaveLength(1);
});

test('a check that no agent has is an agent’s to refuse, whatever floats', async () => {
  carry('c2');
  expect((await put('/v1/agent/check/pass/none')).status).toBe(500);
});

test('a plain Consul is asked for placements once in a while only', async () => {
  pool.placements = undefined;
  for (const id of ['a', 'b', 'c', 'd'])
    expect((await register(`{"ID":"${id}","Name":"web"}`)).status).toBe(200);
  const questions = pool.nodes.flatMap(({ requests }) =>
    requests.filter((line) => line.includes('/floating/')),
  );
  expect(questions).toHaveLength(1);
});
