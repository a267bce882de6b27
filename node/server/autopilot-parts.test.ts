import { beforeEach, describe, expect, test } from 'vitest';
import { createLogger, formatLogLine, silentLogger } from '../../shared/log.ts';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import { type AutopilotSettings, DEFAULT_AUTOPILOT } from '../../shared/types/autopilot.ts';
import type { LogIndex, NodeId } from '../raft/types.ts';
import { serverMember } from '../rpc/server-members.ts';
import { DeadServers, removalRefusal } from './dead-servers.ts';
import { ServerHealthMonitor } from './server-health.ts';
import { clientTags, FakeLan, fakeMember, serverTags } from './testing/fake-gossip.ts';
import { FakeRaft } from './testing/fake-raft.ts';

let env: SimulatedEnv;
let raft: FakeRaft;
let lan: FakeLan;
let settings: AutopilotSettings;
beforeEach(() => {
  env = simulatedEnv(1);
  raft = new FakeRaft();
  lan = new FakeLan();
  settings = DEFAULT_AUTOPILOT;
});

/** Servers n1 … in gossip and in Raft; n1 leads. */
function startServers(count: number, voters = count): void {
  for (let i = 1; i <= count; i++) {
    lan.set(fakeMember(`n${i}`, serverTags(`id-n${i}`, i)));
    raft.peers.push({ id: `id-n${i}` as NodeId, address: `127.0.0.1:${i}`, isVoter: i <= voters });
    if (i > 1) hear(`n${i}`, 100, 5);
  }
  raft.lastLogIndex = 100;
  raft.leader = { id: 'id-n1' as NodeId, address: '127.0.0.1:1' };
}

function lastLogIs(index: number): void {
  raft.lastLogIndex = index;
}

function hear(name: string, matchIndex: number, lastContactMs: number): void {
  raft.progress.set(`id-${name}` as NodeId, { matchIndex: matchIndex as LogIndex, lastContactMs });
}

describe('removalRefusal', () => {
  test.each<[peers: number, removals: number, minQuorum: number, isAllowed: boolean]>([
    [1, 1, 0, false],
    [2, 1, 0, false],
    [3, 1, 0, true],
    [3, 2, 0, false],
    [4, 2, 0, false],
    [5, 2, 0, true],
    [5, 2, 3, true],
    [5, 2, 4, false],
    [3, 1, 3, false],
  ])('%i voters, %i dead, at least %i: allowed %s', (peers, removals, minQuorum, isAllowed) => {
    expect(removalRefusal(peers, removals, minQuorum) === undefined).toBe(isAllowed);
  });

  test('speaks in Consul’s words', () => {
    expect(removalRefusal(3, 2, 0)).toBe('denied, because removing the majority of servers 2/3 is not safe');
    expect(removalRefusal(3, 1, 3)).toBe(
      'denied, because removing 1/3 servers would leave less then minimal allowed quorum of 3 servers',
    );
  });
});

describe('DeadServers', () => {
  let lines: string[];
  let removed: string[];
  let deadServers: DeadServers;
  beforeEach(() => {
    lines = [];
    removed = [];
    const sink = {
      wants: () => true,
      write: (record: Parameters<typeof formatLogLine>[0]) =>
        void lines.push(formatLogLine(record).slice(25)),
    };
    deadServers = new DeadServers({
      raft,
      ownId: 'id-n1',
      datacenter: 'dc1',
      env,
      log: createLogger('agent.server.autopilot', [sink], () => 0),
      settings: () => settings,
      members: () => lan.members(),
      forceLeave: async (name) => {
        removed.push(name);
        lan.setStatus(name, 'left');
      },
      removePeer: async (id) => {
        removed.push(id);
        raft.peers = raft.peers.filter((peer) => peer.id !== id);
      },
    });
    deadServers.start();
  });

  test('a failed voter leaves within ten seconds', async () => {
    startServers(3);
    lan.setStatus('n2', 'failed');
    await env.clock.advanceAsync(10_000);
    expect(removed).toEqual(['n2']);
    expect(lines).toEqual([
      '[INFO]  agent.server.autopilot: Attempting removal of failed server node: name=n2',
    ]);
  });

  test('never a majority: two of three stay, and then neither goes by itself', async () => {
    startServers(3);
    lan.setStatus('n2', 'failed');
    lan.setStatus('n3', 'failed');
    await env.clock.advanceAsync(60_000);
    expect(removed).toEqual([]);
    expect(lines[0]).toContain('denied, because removing the majority of servers 2/3 is not safe');
    lan.setStatus('n3', 'alive');
    await env.clock.advanceAsync(10_000);
    expect(removed).toEqual(['n2']);
  });

  test('never below the least number that was asked for, and not at all when switched off', async () => {
    startServers(5);
    settings = { ...DEFAULT_AUTOPILOT, MinQuorum: 5 };
    lan.setStatus('n2', 'failed');
    await env.clock.advanceAsync(20_000);
    settings = { ...DEFAULT_AUTOPILOT, CleanupDeadServers: false };
    await env.clock.advanceAsync(20_000);
    expect(removed).toEqual([]);
    settings = DEFAULT_AUTOPILOT;
    await deadServers.check();
    expect(removed).toEqual(['n2']);
  });

  test('servers without a vote go at once, whatever else has failed; clients are no business of it', async () => {
    startServers(4, 2);
    lan.set(fakeMember('c1', clientTags('id-c1')));
    for (const name of ['n2', 'n3', 'n4', 'c1']) lan.setStatus(name, 'failed');
    await env.clock.advanceAsync(10_000);
    expect(removed).toEqual(['n3', 'n4']);
  });

  test('a peer that gossip does not know goes only when Raft has not heard of it either', async () => {
    startServers(3);
    lan.reap('n3');
    await env.clock.advanceAsync(10_000);
    expect(removed).toEqual([]);
    hear('n3', 100, 15_000);
    await env.clock.advanceAsync(10_000);
    expect(removed).toEqual(['id-n3']);
  });

  test('the end of leadership ends it', async () => {
    startServers(3);
    lan.setStatus('n2', 'failed');
    deadServers.stop();
    await env.clock.advanceAsync(60_000);
    await deadServers.check();
    expect(removed).toEqual([]);
  });

  test('a failure is logged and tried again', async () => {
    startServers(3);
    lan.setStatus('n2', 'failed');
    let failures = 1;
    const again = new DeadServers({
      raft,
      ownId: 'id-n1',
      datacenter: 'dc1',
      env,
      log: silentLogger,
      settings: () => settings,
      members: () => lan.members(),
      forceLeave: async (name) => {
        if (failures-- > 0) throw new Error('timed out');
        removed.push(name);
      },
      removePeer: async () => {},
    });
    await again.check();
    expect(removed).toEqual([]);
    await again.check();
    expect(removed).toEqual(['n2']);
  });
});

describe('ServerHealthMonitor', () => {
  function monitor(): ServerHealthMonitor {
    return new ServerHealthMonitor({
      raft,
      ownId: 'id-n1',
      env,
      settings: () => settings,
      servers: () => lan.members().flatMap((member) => serverMember(member) ?? []),
      heartbeatMs: 100,
    });
  }

  test('reports every server of the configuration, the leader as itself', () => {
    startServers(3, 2);
    const report = monitor().report();
    expect(report).toMatchObject({ Healthy: true, FailureTolerance: 0 });
    expect(report.Servers[0]).toEqual({
      ID: 'id-n1',
      Name: 'n1',
      Address: '127.0.0.1:1',
      SerfStatus: 'alive',
      Version: '1.8.5',
      Leader: true,
      LastContactMs: 0,
      LastTerm: 1,
      LastIndex: 100,
      Healthy: true,
      Voter: true,
      StableSinceMs: env.clock.nowMs(),
    });
    expect(report.Servers[2]).toMatchObject({ Name: 'n3', Voter: false, LastContactMs: 5, LastIndex: 100 });
  });

  test.each<[string, () => void, boolean]>([
    ['silent for longer than threshold and heartbeat', () => hear('n2', 100, 301), false],
    ['silent for just as long', () => hear('n2', 100, 300), true],
    ['a log behind by more than allowed', () => lastLogIs(351), false],
    ['a log behind by just as much', () => lastLogIs(350), true],
    ['failed in gossip', () => lan.setStatus('n2', 'failed'), false],
    ['unknown to gossip', () => lan.reap('n2'), false],
    ['never heard of', () => raft.progress.clear(), false],
  ])('%s', (_, change, isHealthy) => {
    startServers(2);
    change();
    const report = monitor().report();
    expect([report.Healthy, report.Servers[1]?.Healthy]).toEqual([isHealthy, isHealthy]);
  });

  test.each([
    [1, 0, 0],
    [3, 0, 1],
    [3, 1, 0],
    [3, 2, 0],
    [5, 0, 2],
    [5, 1, 1],
  ])('%i voters of which %i are ill tolerate %i more', (voters, ill, tolerance) => {
    startServers(voters);
    for (let i = 0; i < ill; i++) lan.setStatus(`n${voters - i}`, 'failed');
    expect(monitor().report().FailureTolerance).toBe(tolerance);
  });

  test('remembers since when a server is well or ill', async () => {
    startServers(2);
    const health = monitor();
    health.start();
    const startedMs = env.clock.nowMs();
    await env.clock.advanceAsync(60_000);
    expect(health.report().Servers[1]?.StableSinceMs).toBe(startedMs);
    lan.setStatus('n2', 'failed');
    await env.clock.advanceAsync(2000);
    const failedMs = env.clock.nowMs();
    await env.clock.advanceAsync(30_000);
    const since = health.report().Servers[1]?.StableSinceMs ?? 0;
    expect(since).toBeGreaterThan(startedMs);
    expect(since).toBeLessThanOrEqual(failedMs);
    health.stop();
  });

  test('without any server nobody is well', () => {
    expect(monitor().report()).toEqual({ Healthy: false, FailureTolerance: 0, Servers: [] });
  });
});
