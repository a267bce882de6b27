/** Two gateways with nothing shared but the pool: reads that see what was written through the other, and changes told once. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fetchJson, freePorts, type LocalPool, startPool, waitUntilReady } from '../../launch/pool.ts';
import { type Change, createClient, valueText } from '../../shared/client/client.ts';
import type { HealthEntry, KvEntry } from '../../shared/types/v1.ts';
import { eventually } from './eventually.ts';
import { startTestGateway, type TestGateway } from './gateway-process.ts';

let pool: LocalPool;
let gateways: TestGateway[];
let dataRoot: string;

const nodes = () => pool.agents.map(({ url }) => url).join(',');

beforeAll(async () => {
  dataRoot = mkdtempSync(join(tmpdir(), 'proconsul-two-'));
  const portsOf = await freePorts(4);
  pool = startPool({ servers: 3, clients: 1, dataRoot, portsOf, gatewayPort: undefined });
  await waitUntilReady(pool);
  gateways = await Promise.all([startTestGateway(nodes()), startTestGateway(nodes())]);
});

afterAll(async () => {
  await Promise.all((gateways ?? []).map(({ process }) => process.stop('SIGKILL')));
  await pool?.stop();
  rmSync(dataRoot, { recursive: true, force: true });
});

/** Leader changes take longer on a machine that has other things to do. */
const PATIENTLY = { timeout: 120_000 };

const urlOf = (turn: number) => gateways[turn % gateways.length]?.url ?? '';

test('a client that alternates between them reads what it wrote', PATIENTLY, async () => {
  for (let turn = 0; turn < 60; turn++) {
    const key = `/v1/kv/alternating/${turn % 3}`;
    const put = await fetch(urlOf(turn) + key, { method: 'PUT', body: String(turn) });
    expect(await put.text()).toBe('true');
    expect(await (await fetch(`${urlOf(turn + 1)}${key}?raw`)).text()).toBe(String(turn));
  }
  for (let turn = 0; turn < 20; turn++) {
    const body = JSON.stringify({ ID: `alt-${turn}`, Name: 'alternating', Port: turn });
    expect((await fetch(`${urlOf(turn)}/v1/agent/service/register`, { method: 'PUT', body })).status).toBe(
      200,
    );
    const found = await fetchJson<{ ServiceID: string }[]>(
      `${urlOf(turn + 1)}/v1/catalog/service/alternating`,
    );
    expect(found?.map(({ ServiceID }) => ServiceID)).toContain(`alt-${turn}`);
  }
});

test.each(['stale', 'cached'])(
  'reads with ?%s never fall behind an index that was seen',
  PATIENTLY,
  async (mode) => {
    const path = '/v1/catalog/service/seen';
    let lastCount = 0;
    for (let turn = 0; turn < 40; turn++) {
      const body = JSON.stringify({ ID: `${mode}-${turn}`, Name: 'seen', Port: turn });
      await fetch(`${urlOf(turn)}/v1/agent/service/register`, { method: 'PUT', body });
      const seen = await fetch(urlOf(turn) + path);
      lastCount = ((await seen.json()) as unknown[]).length;
      const index = seen.headers.get('x-consul-index') ?? '';
      // Often enough that the other gateway keeps a view, so that the header is what decides.
      for (let again = 0; again < 3; again++) {
        const read = await fetch(`${urlOf(turn + 1)}${path}?${mode}`, {
          headers: { 'X-Consul-Index': index },
        });
        expect(((await read.json()) as unknown[]).length).toBeGreaterThanOrEqual(lastCount);
        expect(Number(read.headers.get('x-consul-index'))).toBeGreaterThanOrEqual(Number(index));
      }
    }
    const metrics = await Promise.all(
      gateways.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()),
    );
    expect(metrics.join('\n')).toMatch(/proconsul_gateway_views\{state="views"\} [1-9]/);
  },
);

/** Collects what a client is told, through whichever gateway it is sent to. */
function follow() {
  const told: Change[] = [];
  const caller = new AbortController();
  let at = 0;
  const retries: unknown[] = [];
  const client = createClient({
    address: 'http://gateway.invalid',
    fetch: (input, init) => fetch(String(input).replace('http://gateway.invalid', urlOf(at)), init),
  });
  const topics = { keys: ['told/'], health: ['told'], services: ['told'] };
  const over = (async () => {
    const onRetry = (error: unknown) => retries.push(error);
    for await (const change of client.changes(topics, { signal: caller.signal, onRetry })) told.push(change);
  })();
  return {
    told,
    retries,
    /** From now on connections are made to the other gateway. */
    move: () => {
      at++;
    },
    stop: async () => {
      caller.abort();
      await over;
    },
    of: (topic: string) => told.filter((change) => change.topic === topic && change.kind !== 'snapshot'),
  };
}

const textOf = (change: Change) => (change.kind === 'put' ? valueText(change.value as KvEntry) : undefined);

async function leader() {
  const address = await fetchJson<string>(`${urlOf(0)}/v1/status/leader`);
  const found = pool.agents.find(({ ports }) => address?.endsWith(`:${ports.server}`));
  if (found === undefined) throw new Error(`no agent listens on ${address}`);
  return found;
}

test(
  'changes are told in order and once, while the leader dies and a gateway is replaced',
  PATIENTLY,
  async () => {
    const following = follow();
    await eventually('the snapshots', async () => (following.told.length === 3 ? true : undefined));
    const acknowledged: string[] = [];
    let isDone = false;
    const writer = (async () => {
      for (let n = 0; !isDone; n++) {
        const response = await fetch(`${urlOf(1)}/v1/kv/told/${n}`, { method: 'PUT', body: `v${n}` });
        if (response.status === 200) acknowledged.push(`told/${n}`);
        await response.arrayBuffer();
      }
    })();
    const written = async (count: number) => {
      const until = acknowledged.length + count;
      await eventually('writes', async () => (acknowledged.length >= until ? true : undefined));
    };
    await written(30);
    const dying = await leader();
    dying.process.kill('SIGKILL');
    await dying.process.exited;
    await written(30);
    following.move();
    gateways[0]?.process.kill('SIGKILL');
    await gateways[0]?.process.exited;
    await written(30);
    isDone = true;
    await writer;
    await eventually('every write to be told', async () => {
      const keys = new Set(following.of('kv:told/').map((change) => ('key' in change ? change.key : '')));
      return acknowledged.every((key) => keys.has(key)) ? true : undefined;
    });
    const puts = following.of('kv:told/');
    expect(puts.every(({ kind }) => kind === 'put')).toBe(true);
    const keys = puts.map((change) => ('key' in change ? change.key : ''));
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).toEqual(keys.toSorted((a, b) => Number(a.slice(5)) - Number(b.slice(5))));
    expect(puts.map(textOf)).toEqual(keys.map((key) => `v${key.slice(5)}`));
    expect(following.retries.length).toBeGreaterThan(0);

    await fetch(`${urlOf(1)}/v1/kv/told/?recurse`, { method: 'DELETE' });
    await eventually('every key to be told as deleted', async () =>
      following.of('kv:told/').length === 2 * keys.length ? true : undefined,
    );
    const deletes = following.of('kv:told/').slice(keys.length);
    expect(deletes.every(({ kind }) => kind === 'delete')).toBe(true);
    await following.stop();
    dying.restart();
    gateways[0] = await startTestGateway(nodes());
    await waitUntilReady(pool);
  },
);

test('a service is told when it comes, when its health changes and when it goes', PATIENTLY, async () => {
  const following = follow();
  await eventually('the snapshots', async () => (following.told.length === 3 ? true : undefined));
  const put = (path: string, body?: object) =>
    fetch(urlOf(0) + path, { method: 'PUT', ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const statuses = () =>
    following.of('health:told').map((change) => {
      const entry = change.kind === 'put' ? (change.value as HealthEntry) : undefined;
      return entry?.Checks.find(({ ServiceID }) => ServiceID === 'told-1')?.Status ?? change.kind;
    });
  const last = (status: string) =>
    eventually(`${status} to be told`, async () => (statuses().at(-1) === status ? true : undefined));
  await put('/v1/agent/service/register', { ID: 'told-1', Name: 'told', Port: 1, Check: { TTL: '10m' } });
  await last('critical');
  await put('/v1/agent/check/pass/service:told-1');
  await last('passing');
  await put('/v1/agent/service/deregister/told-1');
  await last('delete');
  const kinds = following
    .of('service:told')
    .map((change) => [change.kind, 'key' in change ? change.key : '']);
  expect(kinds).toEqual([
    ['put', 'client1/told-1'],
    ['delete', 'client1/told-1'],
  ]);
  await following.stop();
});
