/** A real Consul 1.8 and Proconsul in one gossip pool, and Consul's own command line against our API. */

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AGENT_PROGRAM, type AgentPorts, fetchJson, freePorts } from '../../launch/pool.ts';
import type { HealthCheck, Member } from '../../shared/types/v1.ts';
import { eventually } from './eventually.ts';
import { findConsul } from './tools.ts';

const consul = findConsul();

interface Started {
  readonly url: string;
  readonly ports: AgentPorts;
  stop(): Promise<void>;
}

/** Runs `program … agent`, which Consul and we start with the same flags. */
function startAgent(
  program: readonly string[],
  name: string,
  ports: AgentPorts,
  extra: readonly string[],
): Started {
  const dataDir = mkdtempSync(join(tmpdir(), 'consul-peer-'));
  const [file = '', ...before] = program;
  const child = spawn(
    file,
    [
      ...before,
      'agent',
      `-node=${name}`,
      `-data-dir=${dataDir}`,
      '-bind=127.0.0.1',
      `-http-port=${ports.http}`,
      `-dns-port=${ports.dns}`,
      `-server-port=${ports.server}`,
      `-serf-lan-port=${ports.serfLan}`,
      `-serf-wan-port=${ports.serfWan}`,
      ...extra,
    ],
    { stdio: 'ignore' },
  );
  const exited = new Promise((resolve) => child.once('exit', resolve));
  return {
    url: `http://127.0.0.1:${ports.http}`,
    ports,
    async stop() {
      child.kill('SIGKILL');
      await exited;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const ours = [process.execPath, AGENT_PROGRAM];

async function statusOf(url: string, name: string): Promise<number | undefined> {
  return (await fetchJson<Member[]>(`${url}/v1/agent/members`))?.find((member) => member.Name === name)
    ?.Status;
}

describe.runIf(consul !== undefined)('a pool of our server and a real Consul client', () => {
  let server: Started;
  let client: Started;

  beforeAll(async () => {
    const portsOf = await freePorts(2);
    server = startAgent(ours, 'ours', portsOf(0), ['-server', '-bootstrap']);
    await eventually('our leader', () => fetchJson<unknown[]>(`${server.url}/v1/catalog/nodes`));
    client = startAgent([consul ?? ''], 'theirs', portsOf(1), [
      `-retry-join=127.0.0.1:${server.ports.serfLan}`,
      '-retry-interval=1s',
    ]);
  });
  afterAll(async () => {
    await client?.stop();
    await server?.stop();
  });

  test('both see each other alive, and the leader vouches for the Consul agent', async () => {
    await eventually('theirs at ours', async () =>
      (await statusOf(server.url, 'theirs')) === 1 ? true : undefined,
    );
    await eventually('ours at theirs', async () =>
      (await statusOf(client.url, 'ours')) === 1 ? true : undefined,
    );
    const check = await eventually('serfHealth of theirs', async () => {
      const checks = await fetchJson<HealthCheck[]>(`${server.url}/v1/health/node/theirs`);
      return checks?.find((candidate) => candidate.CheckID === 'serfHealth');
    });
    expect(check).toMatchObject({ Status: 'passing', Output: 'Agent alive and reachable' });
  });

  test("Consul's command line prints our members and our raft peers", () => {
    const run = (...args: string[]) =>
      execFileSync(consul ?? '', args, {
        encoding: 'utf8',
        env: { ...process.env, CONSUL_HTTP_ADDR: server.url },
      });
    const members = run('members')
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    expect(members[0]).toEqual(['Node', 'Address', 'Status', 'Type', 'Build', 'Protocol', 'DC', 'Segment']);
    expect(members[1]).toEqual([
      'ours',
      `127.0.0.1:${server.ports.serfLan}`,
      'alive',
      'server',
      '1.8.5',
      '2',
      'dc1',
      '<all>',
    ]);
    expect(members[2]?.slice(0, 4)).toEqual([
      'theirs',
      `127.0.0.1:${client.ports.serfLan}`,
      'alive',
      'client',
    ]);
    expect(run('operator', 'raft', 'list-peers').split('\n')[1]).toMatch(
      /^ours +[0-9a-f-]{36} +127\.0\.0\.1:\d+ +leader +true +3$/,
    );
    expect(run('kv', 'put', 'a/b', 'hello')).toBe('Success! Data written to: a/b\n');
    expect(run('kv', 'get', 'a/b')).toBe('hello\n');
  });

  test('a Consul agent that leaves is left here, one that is killed is failed', async () => {
    execFileSync(consul ?? '', ['leave'], { env: { ...process.env, CONSUL_HTTP_ADDR: client.url } });
    await eventually('theirs to have left', async () =>
      (await statusOf(server.url, 'theirs')) === 3 ? true : undefined,
    );
    await eventually('its node to be gone', async () => {
      const nodes = await fetchJson<{ Node: string }[]>(`${server.url}/v1/catalog/nodes`);
      return nodes?.some((node) => node.Node === 'theirs') ? undefined : true;
    });
  });
});

describe.runIf(consul !== undefined)('a real Consul server and our client', () => {
  let server: Started;
  let client: Started;

  beforeAll(async () => {
    const portsOf = await freePorts(2);
    server = startAgent([consul ?? ''], 'theirs', portsOf(0), ['-server', '-bootstrap']);
    await eventually('their leader', () => fetchJson<unknown[]>(`${server.url}/v1/catalog/nodes`));
    client = startAgent(ours, 'ours', portsOf(1), [
      `-retry-join=127.0.0.1:${server.ports.serfLan}`,
      '-retry-interval=1s',
    ]);
  });
  afterAll(async () => {
    await client?.stop();
    await server?.stop();
  });

  test('Consul counts our agent as an alive client and, once killed, as failed', async () => {
    await eventually('ours at theirs', async () =>
      (await statusOf(server.url, 'ours')) === 1 ? true : undefined,
    );
    const passing = await eventually('serfHealth of ours', () => healthOf('passing'));
    expect(passing).toBe(true);
    await client.stop();
    await eventually('ours to have failed', () => healthOf('critical'), 60_000);
    expect(await statusOf(server.url, 'ours')).toBe(4);
  }, 90_000);

  async function healthOf(status: string): Promise<true | undefined> {
    const checks = await fetchJson<HealthCheck[]>(`${server.url}/v1/health/node/ours`);
    return checks?.some((check) => check.CheckID === 'serfHealth' && check.Status === status)
      ? true
      : undefined;
  }
});
