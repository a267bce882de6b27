/** A pool that has lost its majority: what is refused, in which words, and what still answers. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts, type LocalPool, startPool, waitUntilReady } from '../../launch/pool.ts';
import { temporaryFolder } from './agent-process.ts';
import { eventually } from './eventually.ts';

const folder = temporaryFolder();
let pool: LocalPool;

beforeAll(async () => {
  const portsOf = await freePorts(4);
  pool = startPool({
    servers: 3,
    clients: 1,
    dataRoot: folder.path,
    portsOf,
    gatewayPort: undefined,
    extraAgentArgs: ['-hcl=performance { rpc_hold_timeout = "1s" }'],
  });
  await waitUntilReady(pool);
});
afterAll(async () => {
  await pool?.stop();
  folder.remove();
});

async function ask(url: string, method: string, path: string, body?: string) {
  const response = await fetch(`${url}${path}`, { method, ...(body === undefined ? {} : { body }) });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

test.each(['server1', 'client1'])('at %s', async (name) => {
  const url = pool.agents.find((agent) => agent.name === name)?.url ?? '';
  const running = pool.agents.filter((agent) => agent.process.isRunning()).length;
  if (running === 4) {
    for (const agent of pool.agents) {
      for (const mode of ['', '&stale', '&consistent']) {
        await ask(url, 'PUT', '/v1/kv/kept', 'value');
        const read = eventually(`${agent.name}${mode}`, async () => {
          const { text } = await ask(agent.url, 'GET', `/v1/kv/kept?raw${mode}`);
          return text === 'value' ? true : undefined;
        });
        expect(await read).toBe(true);
      }
    }
    await Promise.all([pool.agents[1]?.process.stop('SIGKILL'), pool.agents[2]?.process.stop('SIGKILL')]);
    await eventually('no leader', async () =>
      (await ask(url, 'GET', '/v1/status/leader')).text === '""' ? true : undefined,
    );
  }
  const refusal = { status: 500, text: 'No cluster leader' };
  expect(await ask(url, 'GET', '/v1/kv/kept')).toMatchObject(refusal);
  expect(await ask(url, 'GET', '/v1/kv/kept?consistent')).toMatchObject(refusal);
  expect(await ask(url, 'PUT', '/v1/kv/kept', 'other')).toMatchObject(refusal);
  const stale = await ask(url, 'GET', '/v1/kv/kept?raw&stale');
  expect(stale).toMatchObject({ status: 200, text: 'value' });
  expect(stale.headers.get('x-consul-knownleader')).toBe('false');
  // What an agent has by itself goes on working.
  expect(await ask(url, 'PUT', '/v1/agent/service/register', '{"Name": "local"}')).toMatchObject({
    status: 200,
  });
  expect((await ask(url, 'GET', '/v1/agent/services')).text).toContain('"local"');
});
