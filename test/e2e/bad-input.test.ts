/** Garbage from outside and damage on disk: a clear error or silence, never a crash. */

import dgram from 'node:dgram';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { fetchJson } from '../../launch/pool.ts';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { startAgent, type TestAgent, temporaryFolder, untilLed } from './agent-process.ts';

const folder = temporaryFolder();
let agents: TestAgent[] = [];

async function start(name: string, ...flags: string[]): Promise<TestAgent> {
  const agent = await startAgent(folder.path, name, flags);
  agents.push(agent);
  return agent;
}

afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.process.stop('SIGKILL')));
  agents = [];
});
afterAll(() => folder.remove());

/** Sends the bytes and waits until the other side closes, or says nothing for a moment. */
function sendTcp(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.end(bytes));
    socket.setTimeout(500, () => socket.destroy());
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    socket.resume();
  });
}

async function sendUdp(port: number, packets: readonly Uint8Array[]): Promise<void> {
  const socket = dgram.createSocket('udp4');
  for (const packet of packets) {
    await new Promise((resolve) => socket.send(packet, port, '127.0.0.1', resolve));
  }
  socket.close();
}

describe('noise on every port', () => {
  test('leaves the agent answering', async () => {
    const agent = await start('noise', '-server', '-bootstrap');
    await untilLed(agent);
    const random = new SeededRandom(20);
    const noise = Array.from({ length: 60 }, (_, i) => random.bytes(1 + i * 20));
    // First bytes that mean something to each protocol, followed by nonsense.
    const shaped = [0, 3, 4, 6, 7, 8, 9, 10, 12, 0xf4, 0x50].flatMap((first) =>
      noise.slice(0, 20).map((bytes) => Buffer.concat([Buffer.from([first]), bytes])),
    );
    const { ports } = agent;
    for (const port of [ports.serfLan, ports.serfWan, ports.dns]) await sendUdp(port, [...noise, ...shaped]);
    for (const port of [ports.serfLan, ports.serfWan, ports.server, ports.dns, ports.http]) {
      await Promise.all([...noise.slice(0, 10), ...shaped.slice(0, 60)].map((bytes) => sendTcp(port, bytes)));
    }
    expect(agent.process.isRunning()).toBe(true);
    expect(await (await fetch(`${agent.url}/v1/kv/a`, { method: 'PUT', body: 'x' })).text()).toBe('true');
    expect(await fetchJson<unknown[]>(`${agent.url}/v1/agent/members`)).toHaveLength(1);
  });

  test.each([
    ['PUT', '/v1/agent/service/register', '{"Name": "x"', 400, 'Request decode failed: unexpected EOF'],
    [
      'PUT',
      '/v1/agent/service/register',
      '{"Name": "x", "Prt": 1}',
      400,
      'Request decode failed: json: unknown field "Prt"',
    ],
    [
      'PUT',
      '/v1/agent/service/register',
      '{"Name": 5}',
      400,
      'Request decode failed: json: cannot unmarshal number into Go struct field',
    ],
    ['PUT', '/v1/agent/service/register', '{"Name": ""}', 400, 'Missing service name'],
    [
      'PUT',
      '/v1/catalog/register',
      '[]',
      400,
      'Request decode failed: json: cannot unmarshal array into Go value',
    ],
    ['PUT', '/v1/catalog/register', '{"Node": ""}', 500, 'Must provide node'],
    [
      'PUT',
      '/v1/kv/big',
      'x'.repeat(524_289),
      413,
      'Request body(524289 bytes) too large, max size: 524288 bytes.',
    ],
    ['GET', '/v1/kv/a?index=x', undefined, 400, 'Invalid index'],
    ['GET', '/v1/kv/a?index=1&wait=5', undefined, 400, 'Invalid wait time'],
  ])('%s %s is refused with the known words', async (method, path, body, status, text) => {
    const agent = await start('refuser', '-server', '-bootstrap');
    await untilLed(agent);
    const response = await fetch(`${agent.url}${path}`, { method, ...(body === undefined ? {} : { body }) });
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(text);
  });
});

describe('what stops an agent says why', () => {
  test('a damaged log: the file, the offset and what to do', async () => {
    const agent = await start('damaged', '-server', '-bootstrap');
    await untilLed(agent);
    for (let i = 0; i < 20; i++)
      await fetch(`${agent.url}/v1/kv/k${i}`, { method: 'PUT', body: 'v'.repeat(200) });
    await agent.process.stop('SIGKILL');
    const { path, damage } = logFile(agent);
    damage();
    agent.start();
    const { code } = await agent.process.exited;
    expect(code).toBe(1);
    expect(agent.process.output()).toContain(path);
    expect(agent.process.output()).toMatch(/offset \d+/);
  });

  test('a node-id file that holds none', async () => {
    const agent = await start('nameless', '-server', '-bootstrap');
    await untilLed(agent);
    await agent.process.stop('SIGKILL');
    writeFileSync(join(agent.dataDir, 'node-id'), 'not an id');
    agent.start();
    expect((await agent.process.exited).code).toBe(1);
    expect(agent.process.output()).toContain(join(agent.dataDir, 'node-id'));
  });

  test('a port in use', async () => {
    const first = await start('taker', '-server', '-bootstrap');
    await untilLed(first);
    const second = await start('late', '-server', '-bootstrap', `-http-port=${first.ports.http}`);
    expect((await second.process.exited).code).toBe(1);
    expect(second.process.output()).toContain(`127.0.0.1:${first.ports.http}: bind: address already in use`);
  });

  test.each([
    [['-config-file=/nonexistent.json'], 'config: Open failed on /nonexistent.json'],
    [
      ['-bootstrap-expect=-1', '-server'],
      'bootstrap_expect cannot be -1. Must be greater than or equal to zero',
    ],
    [['-bootstrap-expect=3'], "'bootstrap_expect > 0' requires 'server = true'"],
    [['-datacenter=a b'], 'datacenter cannot be "a b". Please use only [a-z0-9-_]'],
    [['-log-level=loud'], 'Invalid log level: loud. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]'],
    [['extra'], 'Unexpected extra arguments: [extra]'],
    [['-nope'], 'flag provided but not defined: -nope'],
  ])('flags %j', async (flags, text) => {
    const agent = await start('refused', ...flags);
    expect((await agent.process.exited).code).toBe(1);
    expect(agent.process.output()).toContain(text);
  });
});

/** The oldest log segment, and how to flip a bit early in it, where no torn write can have been. */
function logFile(agent: TestAgent): { readonly path: string; damage(): void } {
  const raft = join(agent.dataDir, 'raft');
  const candidates = readdirSync(raft, { recursive: true, encoding: 'utf8' })
    .map((name) => join(raft, name))
    .filter((path) => /\.(?:wal|log|seg(?:ment)?)$/.test(path))
    .sort();
  const [path] = candidates;
  if (path === undefined) throw new Error(`no log segment in ${raft}: ${readdirSync(raft).join(' ')}`);
  return {
    path,
    damage() {
      const bytes = readFileSync(path);
      const at = Math.floor(bytes.length / 3);
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      writeFileSync(path, bytes);
    },
  };
}
