/** How agents start, stop, come back and leave, by the commands and signals that people use. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { fetchJson } from '../../launch/pool.ts';
import { cli, startAgent, type TestAgent, temporaryFolder, untilLed } from './agent-process.ts';
import { eventually } from './eventually.ts';
import { dig, hasTool } from './tools.ts';

const folder = temporaryFolder();
let agents: TestAgent[] = [];

async function start(name: string, ...flags: string[]): Promise<TestAgent> {
  const agent = await startAgent(folder.path, name, flags);
  agents.push(agent);
  return agent;
}

async function raw(agent: TestAgent, method: string, path: string, body?: string): Promise<string> {
  const response = await fetch(`${agent.url}${path}`, { method, ...(body === undefined ? {} : { body }) });
  return response.text();
}

/** Member names with their status as `members` prints them. */
async function members(agent: TestAgent): Promise<Record<string, string>> {
  const { stdout } = await cli(agent, 'members');
  const rows = stdout.trim().split('\n').slice(1);
  return Object.fromEntries(
    rows.map((row) => row.split(/ +/)).map(([name = '', , status = '']) => [name, status]),
  );
}

afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.process.stop('SIGKILL')));
  agents = [];
});
afterAll(() => folder.remove());

describe('one server with a config directory', () => {
  test('serves the definitions of its files by DNS and HTTP, and reads them again on SIGHUP', async () => {
    const configDir = join(folder.path, 'consul.d');
    mkdirSync(configDir);
    writeFileSync(join(configDir, 'web.json'), '{"service": {"name": "web", "tags": ["rails"], "port": 80}}');
    const server = await start('solo', '-server', '-bootstrap-expect', '1', '-config-dir', configDir);
    const web = await eventually('web in the catalog', async () => {
      const list = await fetchJson<{ ServicePort: number; ServiceTags: string[] }[]>(
        `${server.url}/v1/catalog/service/web`,
      );
      return list?.[0];
    });
    expect(web).toMatchObject({ ServicePort: 80, ServiceTags: ['rails'] });
    if (hasTool('dig')) {
      const answer = dig('@127.0.0.1', '-p', String(server.ports.dns), '+short', 'web.service.consul', 'SRV');
      expect(answer).toBe('1 1 80 solo.node.dc1.consul.');
    }

    writeFileSync(
      join(configDir, 'web.json'),
      '{"service": {"name": "web", "tags": ["rails"], "port": 8080}}',
    );
    server.process.kill('SIGHUP');
    await eventually('the new port', async () => {
      const list = await fetchJson<{ ServicePort: number }[]>(`${server.url}/v1/catalog/service/web`);
      return list?.[0]?.ServicePort === 8080 ? true : undefined;
    });

    writeFileSync(join(configDir, 'web.json'), '{"service": {"name": "web", ');
    expect(await cli(server, 'reload')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('web.json'),
    });
    expect(await raw(server, 'GET', '/v1/catalog/service/web')).toContain('8080');
  });

  test('prints the banner and log lines in the known form', async () => {
    const server = await start('banner', '-server', '-bootstrap');
    await untilLed(server);
    await eventually('the end of the start', async () =>
      server.process.output().includes('==> Consul agent running!') ? true : undefined,
    );
    const output = server.process.output();
    const { ports } = server;
    expect(output).toMatch(
      new RegExp(
        [
          '^==> Starting Consul agent\\.\\.\\.',
          " {11}Version: '1\\.8\\.5'",
          " {11}Node ID: '[0-9a-f-]{36}'",
          " {9}Node name: 'banner'",
          " {8}Datacenter: 'dc1' \\(Segment: '<all>'\\)",
          ' {12}Server: true \\(Bootstrap: true\\)',
          ` {7}Client Addr: \\[127\\.0\\.0\\.1\\] \\(HTTP: ${ports.http}, HTTPS: -1, gRPC: -1, DNS: ${ports.dns}\\)`,
          ` {6}Cluster Addr: 127\\.0\\.0\\.1 \\(LAN: ${ports.serfLan}, WAN: ${ports.serfWan}\\)`,
          ' {11}Encrypt: Gossip: false, TLS-Outgoing: false, TLS-Incoming: false, Auto-Encrypt-TLS: false',
          '',
          '==> Log data will now stream in as it occurs:',
          '',
          '    \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}\\S+ \\[',
        ].join('\\n'),
      ),
    );
    expect(output).toMatch(/\[INFO\] {2}agent: Started HTTP server: address=127\.0\.0\.1:\d+ network=tcp/);
    expect(output).toMatch(/\[INFO\] {2}agent\.server: cluster leadership acquired/);
  });

  test('writes its log to log_file, keeps data over SIGTERM, and exits 1 as a server does', async () => {
    const logs = join(folder.path, 'logs');
    mkdirSync(logs);
    const file = join(folder.path, 'server.json');
    const settings = {
      log_file: join(logs, 'consul.log'),
      log_level: 'INFO',
      log_rotate_duration: '24h',
      server: true,
      bootstrap: true,
    };
    writeFileSync(file, JSON.stringify(settings));
    const server = await start('keeper', `-config-file=${file}`);
    await untilLed(server);
    expect(await raw(server, 'PUT', '/v1/kv/kept', 'value')).toBe('true');
    const before = await raw(server, 'GET', '/v1/kv/kept');
    server.process.kill('SIGTERM');
    expect(await server.process.exited).toEqual({ code: 1, signal: null });
    expect(server.process.output()).toContain('Graceful shutdown disabled. Exiting');

    server.start();
    await untilLed(server);
    expect(await raw(server, 'GET', '/v1/kv/kept')).toBe(before);
    const { readdirSync } = await import('node:fs');
    const written = readdirSync(logs);
    expect(written).toHaveLength(2);
    expect(readFileSync(join(logs, written[0] ?? ''), 'utf8')).toMatch(/^\d{4}-.* \[INFO\] {2}agent: /);
  });
});

describe('growing a cluster by hand', () => {
  test('a bootstrap server takes in others that join, goes on without -bootstrap, and elects anew when one dies', async () => {
    const first = await start('web', '-server', '-bootstrap');
    await untilLed(first);
    const others = [await start('web1', '-server'), await start('web2', '-server')];
    for (const other of others) {
      await eventually(`${other.name} to listen`, () => fetchJson<unknown>(`${other.url}/v1/agent/self`));
      expect(await raw(other, 'GET', '/v1/status/leader')).toBe('""');
      const joined = await cli(other, 'join', `127.0.0.1:${first.ports.serfLan}`);
      expect(joined).toEqual({
        code: 0,
        stdout: 'Successfully joined cluster by contacting 1 nodes.\n',
        stderr: '',
      });
    }
    const voters = async (agent: TestAgent) =>
      (await cli(agent, 'operator', 'raft', 'list-peers')).stdout.match(/ true /g)?.length;
    await eventually('three voters', async () => ((await voters(first)) === 3 ? true : undefined), 60_000);

    first.process.kill('SIGINT');
    await first.process.exited;
    first.start(['-server']);
    await eventually('web to be back', () => fetchJson<unknown>(`${first.url}/v1/agent/self`));
    await cli(first, 'join', `127.0.0.1:${others[0]?.ports.serfLan}`);
    await untilLed(first);
    expect(await members(first)).toEqual({ web: 'alive', web1: 'alive', web2: 'alive' });

    const leader = await raw(first, 'GET', '/v1/status/leader');
    const dying = [first, ...others].find((agent) => leader.includes(`:${agent.ports.server}"`));
    const staying = [first, ...others].filter((agent) => agent !== dying);
    await dying?.process.stop('SIGKILL');
    const [survivor] = staying;
    if (survivor === undefined) throw new Error('no survivor');
    await eventually('another leader', async () => {
      const now = await raw(survivor, 'GET', '/v1/status/leader');
      return now !== '""' && now !== leader ? true : undefined;
    });
    expect((await cli(survivor, 'info')).stdout).toMatch(/leader = (true|false)/);
    expect(await raw(survivor, 'PUT', '/v1/kv/still', 'here')).toBe('true');
  }, 120_000);

  test('a client that is stopped leaves; all servers may restart at once; peers.json names who is left', async () => {
    const servers = [
      await start('s1', '-server', '-bootstrap-expect=3'),
      await start('s2', '-server', '-bootstrap-expect=3'),
      await start('s3', '-server', '-bootstrap-expect=3'),
    ];
    const [s1, s2, s3] = servers;
    if (s1 === undefined || s2 === undefined || s3 === undefined)
      throw new Error('three servers were started');
    await eventually('s1 to listen', () => fetchJson<unknown>(`${s1.url}/v1/agent/self`));
    expect(await raw(s1, 'GET', '/v1/agent/members')).toContain('"expect":"3"');
    for (const other of [s2, s3]) {
      await eventually(`${other.name} to listen`, () => fetchJson<unknown>(`${other.url}/v1/agent/self`));
      await cli(other, 'join', `127.0.0.1:${s1.ports.serfLan}`);
    }
    await untilLed(s1);
    const client = await start('c1', `-retry-join=127.0.0.1:${s1.ports.serfLan}`);
    await untilLed(client);
    expect(await raw(client, 'PUT', '/v1/kv/a', '1')).toBe('true');
    client.process.kill('SIGTERM');
    expect(await client.process.exited).toEqual({ code: 0, signal: null });
    expect((await members(s1)).c1).toBe('left');

    for (const server of servers) server.process.kill('SIGKILL');
    await Promise.all(servers.map((server) => server.process.exited));
    for (const server of servers) server.start();
    await untilLed(s1);
    expect(await raw(s2, 'GET', '/v1/kv/a?raw')).toBe('1');

    const { id } = await nodeId(s1);
    for (const server of servers) server.process.kill('SIGKILL');
    await Promise.all(servers.map((server) => server.process.exited));
    const peers = [{ id, address: `127.0.0.1:${s1.ports.server}`, non_voter: false }];
    writeFileSync(join(s1.dataDir, 'raft', 'peers.json'), JSON.stringify(peers));
    s1.start();
    await untilLed(s1);
    expect(await raw(s1, 'GET', '/v1/kv/a?raw')).toBe('1');
    expect(s1.process.output()).toContain('found peers.json file, recovering Raft configuration...');
  }, 120_000);
});

async function nodeId(agent: TestAgent): Promise<{ id: string }> {
  const self = await fetchJson<{ Config: { NodeID: string } }>(`${agent.url}/v1/agent/self`);
  return { id: self?.Config.NodeID ?? '' };
}
