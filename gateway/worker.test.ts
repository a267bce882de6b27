/** Builds the worker as `npm run build` does and runs it in workerd, Cloudflare's own runtime, against a fake pool. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { build } from 'tsup';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, FakePool } from './testing/fake-pool.ts';

const root = join(import.meta.dirname, '..');
let pool: FakePool;
let folder: string;
let workerd: ChildProcess;
let url: string;

beforeAll(async () => {
  pool = await FakePool.start(['s1', 's2'], ['c1']);
  folder = await mkdtemp(join(tmpdir(), 'gateway-worker-'));
  await build({
    entry: { worker: join(root, 'gateway/worker.ts') },
    outDir: folder,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    noExternal: [/.*/],
    config: false,
    silent: true,
  });
  await copyFile(join(folder, 'worker.js'), join(folder, 'main.js'));
  await writeFile(join(folder, 'config.capnp'), configuration(pool.node('s1').url));
  const args = ['serve', join(folder, 'config.capnp'), '--control-fd=3'];
  workerd = spawn(join(root, 'node_modules/.bin/workerd'), args, {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  url = `http://127.0.0.1:${await listeningPort(workerd.stdio[3] as Readable)}`;
});

afterAll(async () => {
  workerd.kill();
  await once(workerd, 'exit');
  await pool.stop();
  await rm(folder, { recursive: true });
});

function configuration(nodes: string): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "gateway", worker = .gateway),
    (name = "agents", network = (allow = ["private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "gateway")],
);
const gateway :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "main.js")],
  compatibilityDate = "2026-06-01",
  compatibilityFlags = ["enable_request_signal"],
  bindings = [(name = "GATEWAY_NODES", text = "${nodes}"), (name = "GATEWAY_LEG", text = "100ms")],
  globalOutbound = "agents",
);
`;
}

/** workerd tells its ports as lines of JSON on the control descriptor. */
async function listeningPort(control: Readable): Promise<number> {
  for await (const chunk of control) {
    const port = /"port":(\d+)/.exec(String(chunk))?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error('workerd ended before it listened');
}

test('needs nothing of Node', async () => {
  const code = await readFile(join(folder, 'main.js'), 'utf8');
  expect(code).not.toMatch(/(?:from|import|require\()\s*\(?["']node:/);
});

test('answers a catalog query through the pool', async () => {
  const response = await fetch(`${url}/v1/catalog/nodes`);
  expect(response.status).toBe(200);
  expect(response.headers.get('x-consul-index')).toBe('10');
  expect(await response.json()).toEqual(pool.cluster.catalogNodes);
  expect((await fetch(`${url}/ready`)).status).toBe(200);
});

test('writes, and answers concurrent requests each by itself', async () => {
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const put = await fetch(`${url}/v1/kv/k${i}`, { method: 'PUT', body: `v${i}` });
      return [put.status, (await fetch(`${url}/v1/kv/k${i}`)).status];
    }),
  );
  expect(new Set(statuses.flat())).toEqual(new Set([200]));
  expect(pool.cluster.keys.get('k7')?.value).toBe('v7');
});

test('waits in legs that the client does not see', async () => {
  pool.cluster.put('k', 'old');
  const seen = pool.cluster.index;
  const waiting = fetch(`${url}/v1/kv/k?index=${seen}&wait=20s`);
  const legs = () =>
    pool.nodes.flatMap(({ requests }) => requests.filter((line) => line.includes('wait=100ms')));
  await eventually(() => legs().length >= 3, 'three legs have begun');
  pool.cluster.put('k', 'new');
  expect((await waiting).headers.get('x-consul-index')).toBe(String(seen + 1));
});

test('registers a service with its owner', async () => {
  const body = JSON.stringify({ Name: 'web' });
  expect((await fetch(`${url}/v1/agent/service/register`, { method: 'PUT', body })).status).toBe(200);
  expect(pool.node('c1').services.has('web')).toBe(true);
  expect(Object.keys((await (await fetch(`${url}/v1/agent/services`)).json()) as object)).toEqual(['web']);
});

test('finds the new leader after the old one died', async () => {
  await pool.kill('s1');
  pool.cluster.setLeader('s2');
  expect((await fetch(`${url}/v1/catalog/nodes`)).status).toBe(200);
});
