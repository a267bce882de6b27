/** The Workers build in workerd, Cloudflare's own runtime, in front of real agents. */

import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GATEWAY_PROGRAM } from '../../launch/pool.ts';
import { startAgent, type TestAgent, temporaryFolder, untilLed } from './agent-process.ts';

const WORKER_BUNDLE = GATEWAY_PROGRAM.replace('server.js', 'worker.js');
const WORKERD = new URL('../../node_modules/.bin/workerd', import.meta.url).pathname;

const folder = temporaryFolder();
let agent: TestAgent;
let workerd: ChildProcess;
let url: string;

beforeAll(async () => {
  agent = await startAgent(folder.path, 'behind-workers', ['-server', '-bootstrap']);
  await untilLed(agent);
  copyFileSync(WORKER_BUNDLE, join(folder.path, 'worker.js'));
  writeFileSync(join(folder.path, 'config.capnp'), workerdConfig(agent.url));
  workerd = spawn(WORKERD, ['serve', join(folder.path, 'config.capnp'), '--control-fd=3'], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  url = `http://127.0.0.1:${await listeningPort(workerd.stdio[3] as Readable)}`;
});

afterAll(async () => {
  const exited = new Promise((resolve) => workerd?.once('exit', resolve));
  workerd?.kill('SIGKILL');
  await exited;
  await agent?.process.stop('SIGKILL');
  folder.remove();
});

/** Waits are cut into legs of 300 ms here, so that a short wait crosses several. */
function workerdConfig(nodes: string): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "gateway", worker = .gateway),
    (name = "agents", network = (allow = ["private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "gateway")],
);
const gateway :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-06-01",
  compatibilityFlags = ["enable_request_signal"],
  bindings = [(name = "GATEWAY_NODES", text = "${nodes}"), (name = "GATEWAY_LEG", text = "300ms")],
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

test('a registration, a catalog query and a lookup by DNS over HTTPS', async () => {
  const body = JSON.stringify({ Name: 'web', Port: 80, Address: '10.1.2.3' });
  expect((await fetch(`${url}/v1/agent/service/register`, { method: 'PUT', body })).status).toBe(200);
  const answer = await fetch(`${url}/v1/catalog/service/web`);
  expect(answer.headers.get('x-consul-index')).toMatch(/^\d+$/);
  expect(await answer.json()).toMatchObject([
    { Node: 'behind-workers', ServiceName: 'web', ServicePort: 80 },
  ]);
  const resolved = await fetch(`${url}/resolve?name=web.service.consul&type=A`);
  expect(await resolved.json()).toMatchObject({ Status: 0, Answer: [{ type: 1, data: '10.1.2.3' }] });
});

test('a blocking query over several legs answers when the key changes, and when its time is up', async () => {
  const put = (value: string) => fetch(`${url}/v1/kv/watched`, { method: 'PUT', body: value });
  await put('one');
  const index = (await fetch(`${url}/v1/kv/watched`)).headers.get('x-consul-index') ?? '';
  const waiting = fetch(`${url}/v1/kv/watched?raw&index=${index}&wait=30s`).then((response) =>
    response.text(),
  );
  const untouched = await fetch(`${url}/v1/kv/watched?raw&index=${index}&wait=700ms`);
  expect(await untouched.text()).toBe('one');
  await put('two');
  expect(await waiting).toBe('two');
});

test('changes and targets for Prometheus, each request by itself', async () => {
  const controller = new AbortController();
  const stream = await fetch(`${url}/v1/watch?kv=streamed/`, { signal: controller.signal });
  const reader = (stream.body ?? new ReadableStream<Uint8Array>()).getReader();
  const decoder = new TextDecoder();
  const until = async (part: string) => {
    for (let text = ''; !text.includes(part); ) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`ended before ${part}: ${text}`);
      text += decoder.decode(value, { stream: true });
    }
  };
  await until('event: snapshot');
  await fetch(`${url}/v1/kv/streamed/a`, { method: 'PUT', body: 'x' });
  await until('event: put');
  controller.abort();
  const targets = await fetch(`${url}/v1/prometheus/sd?service=web`);
  expect(await targets.json()).toMatchObject([
    { targets: ['10.1.2.3:80'], labels: { __meta_consul_service: 'web' } },
  ]);
});
