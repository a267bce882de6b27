/** `exec` from the command line to agents that allow it, and to one that doesn't. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fetchJson } from '../../launch/pool.ts';
import { cli, startAgent, type TestAgent, temporaryFolder, untilLed } from './agent-process.ts';
import { eventually } from './eventually.ts';

const folder = temporaryFolder();
const agents: TestAgent[] = [];

afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.process.stop('SIGKILL')));
  folder.remove();
});

test('exec runs on the nodes that allow it and tells their output and exit codes', async () => {
  const allowed = join(folder.path, 'exec.hcl');
  writeFileSync(allowed, 'disable_remote_exec = false\n');
  const server = await startAgent(folder.path, 'server', [
    '-server',
    '-bootstrap',
    `-config-file=${allowed}`,
  ]);
  agents.push(server);
  await untilLed(server);
  const join1 = `-join=127.0.0.1:${server.ports.serfLan}`;
  agents.push(await startAgent(folder.path, 'worker', [join1, `-config-file=${allowed}`]));
  agents.push(await startAgent(folder.path, 'closed', [join1]));
  for (const agent of agents)
    await eventually(`three members at ${agent.name}`, async () => {
      const members = await fetchJson<unknown[]>(`${agent.url}/v1/agent/members`);
      return members?.length === 3 ? members : undefined;
    });

  const all = await cli(server, 'exec', '-wait=1s', 'echo hello from a node');
  expect({ code: all.code, stderr: all.stderr }).toEqual({ code: 0, stderr: '' });
  const lines = all.stdout.split('\n').filter((line) => line !== '');
  expect(lines).toContain('    server: hello from a node');
  expect(lines).toContain('    worker: hello from a node');
  expect(lines.at(-1)).toBe('2 / 2 node(s) completed / acknowledged');
  expect(all.stdout).not.toContain('closed');

  const failing = await cli(server, 'exec', '-wait=1s', '-node=worker', 'exit 7');
  expect(failing).toEqual({
    code: 2,
    stdout: '==> worker: finished with exit code 7\n1 / 1 node(s) completed / acknowledged\n',
    stderr: '',
  });
  expect((await fetch(`${server.url}/v1/kv/_rexec?keys`)).status).toBe(404);
}, 60_000);
