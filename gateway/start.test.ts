import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { realEnv, sleep } from '../shared/env.ts';
import type { GatewaySettings } from './settings/settings.ts';
import type { RunningGateway } from './start.ts';
import { eventually, FakePool } from './testing/fake-pool.ts';
import { startTestGateway } from './testing/harness.ts';

let pool: FakePool;
let gateway: RunningGateway;

beforeEach(async () => {
  pool = await FakePool.start(['s1', 's2', 's3'], ['c1', 'c2']);
  gateway = await startTestGateway(pool);
});

afterEach(async () => {
  await gateway.stop();
  await pool.stop();
});

async function restart(changes: Partial<GatewaySettings>): Promise<void> {
  await gateway.stop();
  gateway = await startTestGateway(pool, changes);
}

const get = (path: string, init: RequestInit = {}) => fetch(gateway.url + path, init);
const put = (path: string, body: string) => fetch(gateway.url + path, { method: 'PUT', body });
const clock = realEnv.clock;

/** Sends bytes as they are and returns everything that comes back until the gateway closes. */
async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  const chunks: Uint8Array[] = [];
  socket.on('data', (chunk) => chunks.push(Buffer.from(chunk)));
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString('latin1');
}

describe('on the wire', () => {
  test('odd targets reach the agent byte for byte', async () => {
    const targets = [
      '/v1/kv/a/../b?x',
      '/v1/kv//a/./b',
      '/v1/kv/a%2F%2e%2e',
      '/v1/kv/a\\b',
      '/v1/kv/%zz?%zz',
    ];
    pool.override = (_node, _request, response) => {
      response.end('seen');
      return true;
    };
    for (const target of targets)
      expect(await raw(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)).toContain('seen');
    const seen = pool.nodes.flatMap(({ requests }) => requests);
    for (const target of targets) expect(seen).toContain(`GET ${target}`);
  });

  test('a client without Host, an odd method and a HEAD are the agent’s to answer', async () => {
    expect(await raw('GET /v1/kv/none HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 404 /);
    expect(await raw('PATCH /v1/agent/self HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1.1 200 /,
    );
    expect(await raw('HEAD /v1/catalog/nodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(
      /\r\n\r\n$/,
    );
  });

  test('header names keep their case, the client’s address is appended', async () => {
    const answer = await raw(
      'GET /v1/kv/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n',
    );
    expect(answer).toContain('X-Consul-KnownLeader: true');
    expect(pool.node('s1').lastHeaders['x-forwarded-for']).toBe('192.0.2.1, 127.0.0.1');
  });

  test('a header block over the limit is refused', async () => {
    await restart({ maxHeaderBytes: 2048 });
    expect((await get('/v1/kv/a', { headers: { 'X-Long': 'x'.repeat(5000) } })).status).toBe(431);
  });

  test('a chunked body goes on chunked, one with a length with its length', async () => {
    await raw(
      'PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    expect(pool.node('s1').lastHeaders['transfer-encoding']).toBe('chunked');
    await put('/v1/kv/b', 'abc');
    expect(pool.node('s1').lastHeaders['content-length']).toBe('3');
    expect([pool.cluster.keys.get('a')?.value, pool.cluster.keys.get('b')?.value]).toEqual(['abc', 'abc']);
  });

  test('a stream arrives as it is written and ends with its client', async () => {
    let closed = false;
    pool.override = (_node, request, response) => {
      if (!request.url?.startsWith('/v1/agent/monitor')) return false;
      response.writeHead(200).write('first line\n');
      response.on('close', () => {
        closed = true;
      });
      return true;
    };
    const abort = new AbortController();
    const response = await get('/v1/agent/monitor?loglevel=debug', { signal: abort.signal });
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('first line\n');
    abort.abort();
    await eventually(() => closed, 'the stream upstream ends');
  });
});

describe('blocking queries', () => {
  test('wait through the gateway and end with the change', async () => {
    pool.cluster.put('k', 'old');
    const waiting = get(`/v1/kv/k?index=${pool.cluster.index}&wait=30s`);
    await eventually(
      () => pool.node('s1').requests.some((line) => line.includes('index=')),
      'the wait is upstream',
    );
    pool.cluster.put('k', 'new');
    const [entry] = (await (await waiting).json()) as { Value: string }[];
    expect(atob(entry?.Value ?? '')).toBe('new');
  });

  test('go on elsewhere for the rest of the wait when their agent dies', async () => {
    pool.cluster.put('k', 'old');
    const waiting = get(`/v1/kv/k?index=${pool.cluster.index}&wait=20s`);
    await eventually(() => pool.node('s1').requests.length > 0, 'the wait is at the leader');
    await pool.kill('s1');
    pool.cluster.setLeader('s2');
    const others = () => pool.nodes.flatMap(({ name, requests }) => (name === 's1' ? [] : requests));
    await eventually(() => others().length > 0, 'the wait is somewhere else');
    const leftMs = Number(/wait=(\d+)ms/.exec(others()[0] ?? '')?.[1]);
    expect(leftMs).toBeGreaterThan(10_000);
    expect(leftMs).toBeLessThan(20_000);
    pool.cluster.put('k', 'new');
    expect((await waiting).status).toBe(200);
  });

  test('leave an agent that hangs once the others report it dead', async () => {
    pool.cluster.put('k', 'old');
    const waiting = get(`/v1/kv/k?index=${pool.cluster.index}&wait=20s`);
    await eventually(() => pool.node('s1').requests.length > 0, 'the wait is at the leader');
    pool.node('s1').state = 'frozen';
    pool.node('s1').status = 'failed';
    pool.cluster.setLeader('s2');
    await eventually(() => pool.node('s2').requests.length > 0, 'the wait is at the new leader');
    pool.cluster.put('k', 'new');
    expect((await waiting).status).toBe(200);
  });

  test('end upstream when their client goes away', async () => {
    pool.cluster.put('k', 'old');
    let closed = false;
    pool.override = (_node, _request, response) => {
      response.on('close', () => {
        closed = true;
      });
      return false;
    };
    const abort = new AbortController();
    const waiting = get(`/v1/kv/k?index=${pool.cluster.index}`, { signal: abort.signal }).catch(() => 'gone');
    await eventually(() => pool.node('s1').requests.length > 0, 'the wait is upstream');
    abort.abort();
    expect(await waiting).toBe('gone');
    await eventually(() => closed, 'the wait upstream ends');
  });

  test('many watchers of one thing are two requests upstream', async () => {
    pool.cluster.put('k', 'old');
    const target = `/v1/kv/k?index=${pool.cluster.index}&wait=30s`;
    const waiting = Array.from({ length: 40 }, () => get(target));
    for (let inFlight = 0; inFlight < 40; ) {
      const metrics = await (await get('/metrics')).text();
      inFlight = Number(/^proconsul_gateway_in_flight (\d+)$/m.exec(metrics)?.[1]);
    }
    await eventually(() => pool.node('s1').requests.length > 0, 'the wait is upstream');
    pool.cluster.put('k', 'new');
    const answers = await Promise.all(waiting);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(pool.node('s1').requests.length).toBe(2);
  });

  test('a wait that is cut into legs looks like one', async () => {
    await restart({ legMs: 60, collapse: false });
    pool.cluster.put('k', 'old');
    const startMs = clock.monotonicMs();
    const response = await get(`/v1/kv/k?index=${pool.cluster.index}&wait=300ms`);
    expect(clock.monotonicMs() - startMs).toBeGreaterThan(280);
    expect(response.headers.get('x-consul-index')).toBe(String(pool.cluster.index));
    expect(pool.node('s1').requests.length).toBeGreaterThan(3);
  });
});

describe('failures', () => {
  test('a leader change shows as latency, and nothing is written twice', async () => {
    await restart({ retryDeadlineMs: 5000 });
    const keys = Array.from({ length: 60 }, (_, i) => `w${i}`);
    const writes = keys.map(async (key, i) => {
      await sleep(clock, i * 10);
      return (await put(`/v1/kv/${key}`, 'v')).status;
    });
    await sleep(clock, 100);
    pool.cluster.setLeader(undefined);
    await sleep(clock, 700);
    pool.cluster.setLeader('s2');
    expect(new Set(await Promise.all(writes))).toEqual(new Set([200]));
    expect(pool.cluster.applied.toSorted()).toEqual(keys.toSorted());
  });

  test('writes find the new leader after the old one was killed', async () => {
    const next = after(300, () => pool.cluster.setLeader('s3'));
    await pool.kill('s1');
    const statuses = await Promise.all(Array.from({ length: 20 }, (_, i) => put(`/v1/kv/k${i}`, 'v')));
    expect(new Set(statuses.map(({ status }) => status))).toEqual(new Set([200]));
    expect(pool.cluster.applied.length).toBe(20);
    await next;
  });

  test('a write whose answer was lost is not sent again', async () => {
    pool.override = (_node, request) => {
      if (request.method !== 'PUT') return false;
      request.on('data', () => request.socket.destroy());
      return true;
    };
    const response = await put('/v1/kv/k', 'v');
    expect(response.status).toBe(502);
    expect(await response.text()).toContain('may or may not have been made');
    expect(pool.nodes.flatMap(({ requests }) => requests).length).toBe(1);
  });

  test('a read whose agent breaks off is answered by another', async () => {
    pool.override = (node, request) => {
      if (node.name === 's1') request.socket.destroy();
      return node.name === 's1';
    };
    expect((await get('/v1/catalog/nodes')).status).toBe(200);
  });

  test('the registration of a service survives its owner’s death', async () => {
    const body = JSON.stringify({ Name: 'web', ID: 'web1' });
    await put('/v1/agent/service/register', body);
    const home = pool.nodes.find(({ services }) => services.has('web1'))?.name ?? '';
    await pool.kill(home);
    expect((await put('/v1/agent/service/register', body)).status).toBe(200);
    expect(pool.nodes.filter(({ services }) => services.has('web1')).map(({ name }) => name)).not.toEqual([
      home,
    ]);
    const lists = await get('/v1/agent/services');
    expect(Object.keys((await lists.json()) as object)).toEqual(['web1']);
  });

  test('with nobody left: 503 says what to do, stale reads get the last known answer', async () => {
    await restart({ retryDeadlineMs: 100 });
    await (await get('/v1/catalog/nodes?stale')).text();
    for (const { name } of pool.nodes) await pool.kill(name);
    const write = await put('/v1/kv/k', 'v');
    expect(write.status).toBe(503);
    expect(await write.text()).toContain('GATEWAY_NODES');
    const known = await get('/v1/catalog/nodes?stale');
    expect(known.status).toBe(200);
    expect(known.headers.get('x-proconsul-stale')).toBe('true');
    expect(known.headers.get('x-consul-knownleader')).toBe('false');
    expect(await known.json()).toEqual(pool.cluster.catalogNodes);
    expect((await get('/v1/catalog/nodes')).status).toBe(503);
    expect((await get('/v1/catalog/nodes?max_stale=1ns')).status).toBe(503);
    expect((await get('/ready')).status).toBe(503);
  });

  test('agents that join are used, agents that leave are forgotten', async () => {
    const joined = await pool.add('c3', 'client');
    await eventually(() => joined.requests.length > 0 || askMetrics(6), 'six agents are usable');
    expect(await (await get('/metrics')).text()).toContain('pool_nodes{state="usable"} 6');
    pool.nodes.splice(pool.nodes.indexOf(joined), 1);
    await sleep(clock, 200);
    expect(await (await get('/metrics')).text()).toContain('pool_nodes{state="usable"} 5');
  });

  test('a plain Consul without the pool route is served too', async () => {
    pool.hasPoolRoute = false;
    await restart({});
    expect((await put('/v1/kv/k', 'v')).status).toBe(200);
    expect((await put('/v1/agent/service/register', '{"Name":"web"}')).status).toBe(200);
  });
});

test('a stop waits for what is in progress', async () => {
  await restart({ drainMs: 3000 });
  pool.cluster.put('k', 'old');
  const waiting = get(`/v1/kv/k?index=${pool.cluster.index}&wait=30s`);
  await eventually(() => pool.node('s1').requests.length > 0, 'the wait is upstream');
  const stopped = gateway.stop();
  await sleep(clock, 50);
  pool.cluster.put('k', 'new');
  expect((await waiting).status).toBe(200);
  await stopped;
  await expect(get('/health')).rejects.toThrow();
});

let usable = 0;
/** Asks in the background; true once that many agents were usable. */
function askMetrics(wanted: number): boolean {
  void get('/metrics')
    .then((response) => response.text())
    .then((text) => {
      usable = Number(/state="usable"} (\d+)/.exec(text)?.[1]);
    });
  return usable === wanted;
}

async function after(delayMs: number, act: () => void): Promise<void> {
  await sleep(clock, delayMs);
  act();
}
