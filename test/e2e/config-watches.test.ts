/** Watches of the configuration: handlers run at the start and for every change, and a reload takes others up. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { cli, startAgent, type TestAgent, temporaryFolder, untilLed } from './agent-process.ts';
import { eventually } from './eventually.ts';

const folder = temporaryFolder();
let agent: TestAgent | undefined;
const posts: { index: string | undefined; extra: string | undefined; body: unknown }[] = [];
const hook = createServer(async (request, response) => {
  let text = '';
  for await (const chunk of request) text += chunk;
  const { 'x-consul-index': index, 'x-a': extra } = request.headers;
  posts.push({ index: String(index), extra: String(extra), body: JSON.parse(text) });
  response.end();
});

afterAll(async () => {
  await agent?.process.stop('SIGKILL');
  hook.close();
  folder.remove();
});

test('a program and a URL are told of changes; a reload replaces the watches', async () => {
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
  const { port } = hook.address() as AddressInfo;
  const seen = join(folder.path, 'seen');
  const config = join(folder.path, 'watches.hcl');
  const keyWatch = (key: string, file: string) =>
    `{ type = "key" key = "${key}" args = ["/bin/sh", "-c", "echo $CONSUL_INDEX >>${file}.index; cat >>${file}"] }`;
  const hookWatch = `{ type = "services" handler_type = "http"
    http_handler_config { path = "http://127.0.0.1:${port}/hook" header = { X-A = ["b"] } } }`;
  writeFileSync(config, `watches = [${keyWatch('app/a', seen)}, ${hookWatch}]\n`);
  agent = await startAgent(folder.path, 'watcher', ['-server', '-bootstrap', `-config-file=${config}`]);
  const { url } = agent;
  await untilLed(agent);
  await fetch(`${url}/v1/kv/app/a`, { method: 'PUT', body: 'one' });
  await eventually('the value in the file', async () =>
    existsSync(seen) && readFileSync(seen, 'utf8').includes(btoa('one')) ? true : undefined,
  );
  const lines = readFileSync(seen, 'utf8').trimEnd().split('\n');
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ Key: 'app/a', Value: btoa('one'), Flags: 0 });
  expect(readFileSync(`${seen}.index`, 'utf8')).toMatch(/^\d+\n/);

  await fetch(`${url}/v1/agent/service/register`, { method: 'PUT', body: '{"Name": "web"}' });
  const post = await eventually('web at the hook', async () =>
    posts.find(({ body }) => typeof body === 'object' && body !== null && 'web' in body),
  );
  expect(post).toMatchObject({ index: expect.stringMatching(/^\d+$/), extra: 'b' });

  writeFileSync(config, `watches = [${keyWatch('app/b', `${seen}-b`)}]\n`);
  expect(await cli(agent, 'reload')).toMatchObject({ code: 0 });
  await fetch(`${url}/v1/kv/app/b`, { method: 'PUT', body: 'two' });
  await eventually('the other key', async () =>
    existsSync(`${seen}-b`) && readFileSync(`${seen}-b`, 'utf8').includes(btoa('two')) ? true : undefined,
  );

  writeFileSync(config, 'watches = [{ type = "key" key = "x" }]\n');
  const refused = await cli(agent, 'reload');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('Must define a watch handler');
}, 60_000);

test('a reload takes up DNS settings', async () => {
  if (agent === undefined) throw new Error('the agent was not started');
  const config = join(folder.path, 'watches.hcl');
  writeFileSync(config, 'dns_config { node_ttl = "33s" }\n');
  expect(await cli(agent, 'reload')).toMatchObject({ code: 0 });
  const { Resolver } = await import('node:dns/promises');
  const resolver = new Resolver();
  resolver.setServers([`127.0.0.1:${agent.ports.dns}`]);
  const [found] = await resolver.resolve4('watcher.node.consul', { ttl: true });
  expect(found).toEqual({ address: '127.0.0.1', ttl: 33 });
});
