import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Gateway } from './app.ts';
import { FakePool } from './testing/fake-pool.ts';
import { openTestApp } from './testing/harness.ts';

let pool: FakePool;
let gateway: Gateway;

beforeEach(async () => {
  pool = await FakePool.start(['s1', 's2', 's3'], ['c1', 'c2']);
  gateway = await openTestApp(pool);
});

afterEach(async () => {
  await gateway.stop();
  await pool.stop();
});

const put = (path: string, body: unknown) =>
  gateway.app.request(path, {
    method: 'PUT',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const requestsWith = (part: string) =>
  pool.nodes.flatMap(({ name, requests }) => requests.filter((line) => line.includes(part)).map(() => name));

describe('operations', () => {
  test('/health says that the gateway runs, /ready that a leader is known', async () => {
    expect((await gateway.app.request('/health')).status).toBe(200);
    expect((await gateway.app.request('/ready')).status).toBe(200);
    gateway.drain();
    expect((await gateway.app.request('/ready')).status).toBe(503);
  });

  test('/metrics counts requests and agents', async () => {
    await gateway.app.request('/v1/catalog/nodes');
    const text = await (await gateway.app.request('/metrics')).text();
    expect(text).toContain('proconsul_gateway_requests_total{code="2xx"} 1');
    expect(text).toContain('proconsul_gateway_pool_nodes{state="usable"} 5');
  });
});

describe('passing through', () => {
  test('status, body and headers are the agent’s', async () => {
    const response = await gateway.app.request('/v1/catalog/nodes?pretty');
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(`${JSON.stringify(pool.cluster.catalogNodes, null, 4)}\n`);
    expect(response.headers.get('vary')).toBe('Accept-Encoding');
    expect(response.headers.get('x-consul-index')).toBe('10');
    expect(response.headers.get('connection')).toBeNull();
  });

  test('compressed answers stay compressed', async () => {
    const response = await gateway.app.request('/v1/catalog/nodes', {
      headers: { 'Accept-Encoding': 'gzip' },
    });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    const plain = gunzipSync(await response.arrayBuffer()).toString();
    expect(JSON.parse(plain)).toEqual(pool.cluster.catalogNodes);
  });

  test('writes and consistent reads go to the leader, stale reads do not have to', async () => {
    await put('/v1/kv/a', 'x');
    await gateway.app.request('/v1/kv/a');
    expect(requestsWith('/v1/kv/a')).toEqual(['s1', 's1']);
    // Different keys: a read that repeats is answered from memory.
    for (let i = 0; i < 30; i++) await gateway.app.request(`/v1/kv/${i}?stale`);
    expect(new Set(requestsWith('?stale')).size).toBeGreaterThan(1);
  });

  test('the path and query reach the agent as they were', async () => {
    await gateway.app.request('/v1/kv/a%2Fb//c%20d?separator=%2F&keys');
    expect(pool.node('s1').requests.concat(...pool.nodes.map(({ requests }) => requests))).toContain(
      'GET /v1/kv/a%2Fb//c%20d?separator=%2F&keys',
    );
  });

  test('hop-by-hop headers stay, end-to-end headers travel, the host is the agent’s own', async () => {
    await gateway.app.request('/v1/catalog/nodes', {
      headers: { 'X-Consul-Token': 'secret', 'Proxy-Authorization': 'x', 'X-Forwarded-For': '192.0.2.1' },
    });
    const headers = pool.node('s1').lastHeaders;
    expect(headers['x-consul-token']).toBe('secret');
    expect(headers['proxy-authorization']).toBeUndefined();
    expect(headers['x-forwarded-for']).toBe('192.0.2.1');
    expect(`http://${headers.host}`).toBe(pool.node('s1').url);
  });

  test('a body longer than what is kept is streamed through', async () => {
    await gateway.stop();
    gateway = await openTestApp(pool, { bodyLimitBytes: 1000 });
    const body = 'x'.repeat(300_000);
    expect(await (await put('/v1/kv/big', body)).text()).toBe('true');
    expect(pool.cluster.keys.get('big')?.value).toBe(body);
  });

  test('an answer longer than what is collected is streamed through', async () => {
    await gateway.stop();
    gateway = await openTestApp(pool, { answerLimitBytes: 1000 });
    pool.cluster.put('big', 'y'.repeat(200_000));
    const [entry] = (await (await gateway.app.request('/v1/kv/big')).json()) as { Value: string }[];
    expect(atob(entry?.Value ?? '')).toBe('y'.repeat(200_000));
  });
});

describe('DNS over HTTPS', () => {
  const entry = {
    Node: { ID: '', Node: 'n1', Address: '10.0.0.7', Datacenter: 'dc1', TaggedAddresses: null, Meta: null },
    Service: {
      ID: 'web1',
      Service: 'web',
      Tags: [],
      Address: '10.1.2.3',
      Port: 80,
      Weights: { Passing: 1, Warning: 1 },
    },
    Checks: [],
  };

  beforeEach(() => {
    pool.override = (_node, request, response) => {
      if (!request.url?.startsWith('/v1/health/service/web')) return false;
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify([entry]));
      return true;
    };
  });

  test('answers the wire form by GET and POST', async () => {
    const query = 'AAABAAABAAAAAAAAA3dlYgdzZXJ2aWNlBmNvbnN1bAAAAQAB';
    const get = await gateway.app.request(`/dns-query?dns=${query}`, {
      headers: { 'X-Consul-Token': 'secret' },
    });
    expect([get.status, get.headers.get('content-type')]).toEqual([200, 'application/dns-message']);
    const message = Buffer.from(await get.arrayBuffer());
    expect(message.subarray(-4)).toEqual(Buffer.from([10, 1, 2, 3]));
    expect(pool.nodes.some(({ lastHeaders }) => lastHeaders['x-consul-token'] === 'secret')).toBe(true);
    const post = await gateway.app.request('/dns-query', {
      method: 'POST',
      headers: { 'Content-Type': 'application/dns-message' },
      body: Buffer.from(query, 'base64url'),
    });
    expect(Buffer.from(await post.arrayBuffer())).toEqual(message);
  });

  test('answers the JSON form', async () => {
    const response = await gateway.app.request('/resolve?name=web.service.consul&type=A');
    expect(await response.json()).toMatchObject({ Status: 0, Answer: [{ type: 1, data: '10.1.2.3' }] });
    const missing = await gateway.app.request('/resolve?name=none.service.consul');
    expect(await missing.json()).toMatchObject({ Status: 3 });
  });
});

describe('one virtual agent', () => {
  const owner = (id: string) => pool.nodes.filter(({ services }) => services.has(id)).map(({ name }) => name);

  test('a service lives on one client, and every later call finds it there', async () => {
    await put('/v1/agent/service/register', { Name: 'web', ID: 'web1', Check: { TTL: '10s' } });
    const [home] = owner('web1');
    expect(home).toMatch(/^c[12]$/);
    expect((await put('/v1/agent/check/pass/service:web1?note=fine', '')).status).toBe(200);
    expect(pool.node(home ?? '').checks.get('service:web1')).toMatchObject({
      Status: 'passing',
      Output: 'fine',
    });
    expect((await put('/v1/agent/service/maintenance/web1?enable=true', '')).status).toBe(200);
    expect((await gateway.app.request('/v1/agent/service/web1')).status).toBe(200);
    expect((await put('/v1/agent/service/deregister/web1', '')).status).toBe(200);
    expect(owner('web1')).toEqual([]);
  });

  test('an ID is read as Go reads it: any case of the key, the name when there is none', async () => {
    pool.override = (_node, request, response) => {
      if (request.method === 'PUT') response.end();
      return request.method === 'PUT';
    };
    await put('/v1/agent/service/register', '{"name":"a","NAME":"web","id":""} trailing');
    const registrations = requestsWith('service/register');
    await put('/v1/agent/service/register', { Name: 'web' });
    expect(requestsWith('service/register')).toEqual([registrations[0], registrations[0]]);
  });

  test('a service that lives elsewhere is registered again where it is', async () => {
    for (const name of ['s2', 's3', 'c1', 'c2'])
      pool.node(name).services.set(`on-${name}`, { ID: `on-${name}`, Service: 'x', Port: 1 });
    for (const name of ['s2', 's3', 'c1', 'c2']) {
      await put('/v1/agent/service/register', { Name: 'x', ID: `on-${name}`, Port: 2 });
      expect(owner(`on-${name}`)).toEqual([name]);
    }
  });

  test('deregistering leaves no copy behind', async () => {
    for (const name of ['s1', 'c1', 'c2'])
      pool.node(name).services.set('twin', { ID: 'twin', Service: 'x', Port: 1 });
    expect((await put('/v1/agent/service/deregister/twin', '')).status).toBe(200);
    expect(owner('twin')).toEqual([]);
  });

  test('a memory that went stale is corrected', async () => {
    await put('/v1/agent/service/register', { Name: 'web', ID: 'w', Check: { TTL: '10s' } });
    const [home = ''] = owner('w');
    const other = home === 'c1' ? 'c2' : 'c1';
    for (const kind of ['services', 'checks'] as const) {
      const key = kind === 'services' ? 'w' : 'service:w';
      const moved = pool.node(home)[kind].get(key);
      pool.node(home)[kind].delete(key);
      (pool.node(other)[kind] as Map<string, unknown>).set(key, moved);
    }
    expect((await put('/v1/agent/check/warn/service:w', '')).status).toBe(200);
    expect(pool.node(other).checks.get('service:w')?.Status).toBe('warning');
    expect((await gateway.app.request('/v1/agent/service/w')).status).toBe(200);
  });

  test('a check goes where its service is, or where its ID belongs', async () => {
    pool.node('s3').services.set('db', { ID: 'db', Service: 'db', Port: 1 });
    expect((await put('/v1/agent/check/register', { Name: 'c', ServiceID: 'db', TTL: '5s' })).status).toBe(
      200,
    );
    expect(pool.node('s3').checks.has('c')).toBe(true);
    expect((await put('/v1/agent/check/register', { Name: 'own', TTL: '5s' })).status).toBe(200);
    expect((await put('/v1/agent/check/fail/own', '')).status).toBe(200);
    expect((await put('/v1/agent/check/deregister/own', '')).status).toBe(200);
    expect(pool.nodes.some(({ checks }) => checks.has('own'))).toBe(false);
  });

  test('an agent that cannot filter its checks is understood', async () => {
    pool
      .node('s2')
      .checks.set('k', { Node: 's2', CheckID: 'k', ServiceID: '', Status: 'critical', Output: '' });
    pool.override = (_node, request, response) => {
      if (!request.url?.includes('filter=')) return false;
      response.writeHead(500).end('Failed to create boolean expression evaluator: unsupported');
      return true;
    };
    expect((await put('/v1/agent/check/deregister/k', '')).status).toBe(200);
    expect(pool.node('s2').checks.has('k')).toBe(false);
  });

  test('unknown IDs get an agent’s own error', async () => {
    const unknown = await put('/v1/agent/check/pass/nope', '');
    expect([unknown.status, await unknown.text()]).toEqual([
      500,
      'CheckID "nope" does not have associated TTL',
    ]);
    const missing = await gateway.app.request('/v1/agent/service/nope');
    expect([missing.status, await missing.text()]).toEqual([404, 'unknown service ID: nope']);
  });

  test('lists merge, keys in order, layout kept', async () => {
    pool.node('c2').services.set('b', { ID: 'b', Service: 'b', Port: 2 });
    pool.node('s1').services.set('a<', { ID: 'a<', Service: 'a', Port: 1 });
    const compact = await (await gateway.app.request('/v1/agent/services')).text();
    expect(compact).toBe(
      '{"a\\u003c":{"ID":"a<","Service":"a","Port":1},"b":{"ID":"b","Service":"b","Port":2}}',
    );
    const pretty = await (await gateway.app.request('/v1/agent/services?pretty')).text();
    expect(pretty).toBe(
      '{\n    "a\\u003c": {\n        "ID": "a<",\n        "Service": "a",\n        "Port": 1\n    },\n    "b": {\n        "ID": "b",\n        "Service": "b",\n        "Port": 2\n    }\n}\n',
    );
  });

  test('health by name is the worst of all agents', async () => {
    for (const [name, status] of [
      ['c1', 'passing'],
      ['c2', 'warning'],
    ] as const) {
      pool.node(name).services.set(`w-${name}`, { ID: `w-${name}`, Service: 'w', Port: 1 });
      pool.node(name).checks.set(`k-${name}`, {
        Node: name,
        CheckID: `k-${name}`,
        ServiceID: `w-${name}`,
        Status: status,
        Output: '',
      });
    }
    const response = await gateway.app.request('/v1/agent/health/service/name/w');
    expect(response.status).toBe(429);
    expect(response.headers.get('x-consul-reason')).toBe('warning');
    expect(((await response.json()) as unknown[]).length).toBe(2);
    const words = await gateway.app.request('/v1/agent/health/service/name/w?format=text');
    expect([words.status, await words.text()]).toEqual([429, 'warning']);
    expect((await gateway.app.request('/v1/agent/health/service/name/none')).status).toBe(404);
  });

  test('maintenance concerns every agent, leaving is refused unless one is named', async () => {
    await put('/v1/agent/maintenance?enable=true', '');
    expect(pool.nodes.map(({ isInMaintenance }) => isInMaintenance)).toEqual([true, true, true, true, true]);
    expect((await put('/v1/agent/leave', '')).status).toBe(403);
    const named = await gateway.app.request('/v1/agent/self', { headers: { 'X-Proconsul-Node': 'C2' } });
    expect(await named.json()).toMatchObject({ Config: { NodeName: 'c2' } });
  });

  test('the same agent answers for itself each time', async () => {
    const names = new Set<unknown>();
    for (let i = 0; i < 10; i++)
      names.add(
        ((await (await gateway.app.request('/v1/agent/self')).json()) as { Config: { NodeName: string } })
          .Config.NodeName,
      );
    expect(names.size).toBe(1);
  });
});
