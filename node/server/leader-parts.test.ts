import { beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../shared/log.ts';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import { DEFAULT_AUTOPILOT } from '../../shared/types/autopilot.ts';
import type { LogIndex, NodeId, Term } from '../raft/types.ts';
import type { ServerMember } from '../rpc/server-members.ts';
import { serverMember } from '../rpc/server-members.ts';
import { ExpectBootstrap } from './bootstrap.ts';
import { Leadership } from './leadership.ts';
import { RaftMembership } from './raft-membership.ts';
import { lifetimeMs, SessionTimers } from './session-timers.ts';
import { FakeLan, fakeMember, serverTags } from './testing/fake-gossip.ts';
import { FakeRaft } from './testing/fake-raft.ts';
import { TombstoneReaper } from './tombstone-reaper.ts';
import { missingInWan } from './wan-flood.ts';

let env: SimulatedEnv;
let raft: FakeRaft;
beforeEach(() => {
  env = simulatedEnv(1);
  raft = new FakeRaft();
});

function server(name: string, port: number, expectTag = 0, extra: Record<string, string> = {}): ServerMember {
  const member = serverMember(fakeMember(name, { ...serverTags(`id-${name}`, port, expectTag), ...extra }));
  if (member === undefined) throw new Error('tags do not parse');
  return member;
}

describe('SessionTimers', () => {
  let destroyed: string[];
  let failures: number;
  let timers: SessionTimers;
  const living = new Set<string>();
  beforeEach(() => {
    destroyed = [];
    failures = 0;
    living.clear();
    timers = new SessionTimers({
      env,
      log: silentLogger,
      ttlMinMs: 10_000,
      exists: (id) => living.has(id),
      destroy: async (id) => {
        if (failures-- > 0) throw new Error('no quorum');
        destroyed.push(id);
      },
    });
  });

  test('a lifetime is twice the TTL, never below twice the minimum, endless without one', () => {
    expect(lifetimeMs('15s', 10_000)).toBe(30_000);
    expect(lifetimeMs('1s', 10_000)).toBe(20_000);
    expect(['', '0s', 'nonsense'].map((ttl) => lifetimeMs(ttl, 10_000))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('ends a session at twice its TTL, counted from the last renewal', async () => {
    living.add('s');
    timers.restart({ ID: 's', TTL: '10s' });
    await env.clock.advanceAsync(15_000);
    timers.restart({ ID: 's', TTL: '10s' });
    await env.clock.advanceAsync(19_999);
    expect(destroyed).toEqual([]);
    await env.clock.advanceAsync(1);
    expect([destroyed, timers.size]).toEqual([['s'], 0]);
  });

  test('tries again after failures, ten seconds and doubling', async () => {
    living.add('s');
    failures = 2;
    timers.restart({ ID: 's', TTL: '10s' });
    await env.clock.advanceAsync(20_000 + 10_000 + 19_999);
    expect(destroyed).toEqual([]);
    await env.clock.advanceAsync(1);
    expect(destroyed).toEqual(['s']);
  });

  test('gives up after six attempts', async () => {
    living.add('s');
    failures = 1000;
    timers.restart({ ID: 's', TTL: '10s' });
    await env.clock.advanceAsync(10 * 3600_000);
    expect(1000 - failures).toBe(6);
  });

  test('leaves alone what has ended otherwise, was forgotten, or outlived the leader', async () => {
    timers.restart({ ID: 'gone', TTL: '10s' });
    living.add('forgotten').add('late');
    timers.restart({ ID: 'forgotten', TTL: '10s' });
    timers.forget('forgotten');
    await env.clock.advanceAsync(60_000);
    timers.restart({ ID: 'late', TTL: '10s' });
    timers.stop();
    timers.restart({ ID: 'late', TTL: '10s' });
    await env.clock.advanceAsync(60_000);
    expect(destroyed).toEqual([]);
  });
});

describe('TombstoneReaper', () => {
  test('forgets what was deleted a quarter of an hour ago, and logs nothing when nothing was', async () => {
    let index = 100;
    const reaped: number[] = [];
    const reaper = new TombstoneReaper({
      env,
      appliedIndex: () => index,
      reap: async (upTo) => void reaped.push(upTo),
    });
    reaper.start();
    await env.clock.advanceAsync(30_000);
    index = 200;
    await env.clock.advanceAsync(30_000);
    index = 300;
    reaper.noteDeletion();
    await env.clock.advanceAsync(15 * 60_000 - 30_000);
    expect(reaped).toEqual([100]);
    await env.clock.advanceAsync(60_000);
    expect(reaped).toEqual([100, 300]);
    await env.clock.advanceAsync(3600_000);
    expect(reaped).toEqual([100, 300]);
    reaper.stop();
    reaper.noteDeletion();
    await env.clock.advanceAsync(3600_000);
    expect(reaped).toEqual([100, 300]);
  });
});

describe('RaftMembership', () => {
  let servers: ServerMember[];
  let membership: RaftMembership;
  beforeEach(() => {
    servers = [server('n1', 1), server('n2', 2)];
    raft.peers = [{ id: 'id-n1' as NodeId, address: '127.0.0.1:1', isVoter: true }];
    membership = new RaftMembership({
      raft,
      ownId: 'id-n1',
      env,
      log: silentLogger,
      settings: () => DEFAULT_AUTOPILOT,
      servers: () => servers,
      isLeaving: (id) => id === 'id-leaving',
    });
  });

  test('a server that has begun to leave is not taken in, though gossip still shows it alive', async () => {
    servers.push(server('leaving', 3));
    await membership.add(server('leaving', 3));
    expect(raft.calls).toEqual([]);
  });

  test('a new server joins as a learner and is promoted once it was caught up for long enough', async () => {
    await membership.add(server('n2', 2));
    expect(raft.calls).toEqual(['add id-n2@127.0.0.1:2 learner']);
    membership.start();
    raft.lastLogIndex = 1000;
    raft.progress.set('id-n2' as NodeId, { matchIndex: 10 as LogIndex, lastContactMs: 1 });
    await env.clock.advanceAsync(60_000);
    raft.progress.set('id-n2' as NodeId, { matchIndex: 800 as LogIndex, lastContactMs: 1 });
    await env.clock.advanceAsync(9000);
    raft.progress.set('id-n2' as NodeId, { matchIndex: 1000 as LogIndex, lastContactMs: 5000 });
    await env.clock.advanceAsync(2000);
    raft.progress.set('id-n2' as NodeId, { matchIndex: 1000 as LogIndex, lastContactMs: 1 });
    await env.clock.advanceAsync(10_000);
    expect(raft.calls).toHaveLength(1);
    await env.clock.advanceAsync(2000);
    expect(raft.calls.slice(1)).toEqual(['add id-n2@127.0.0.1:2 voter']);
    membership.stop();
  });

  test('known servers change nothing, a moved one keeps its vote, a successor replaces its address', async () => {
    raft.peers.push({ id: 'id-n2' as NodeId, address: '127.0.0.1:2', isVoter: true });
    await membership.add(server('n2', 2));
    expect(raft.calls).toEqual([]);
    await membership.add(server('n2', 22));
    servers = [server('n1', 1), server('n3', 22)];
    await membership.add(server('n3', 22));
    expect(raft.calls).toEqual([
      'add id-n2@127.0.0.1:22 voter',
      'remove id-n2',
      'add id-n3@127.0.0.1:22 learner',
    ]);
  });

  test('the leader keeps its own address up to date', async () => {
    await membership.add(server('n1', 1));
    expect(raft.calls).toEqual([]);
    await membership.add(server('n1', 11));
    expect(raft.calls).toEqual(['add id-n1@127.0.0.1:11 voter']);
  });

  test('servers that moved into the places of others keep their votes as far as there is a free place', async () => {
    raft.peers.push({ id: 'id-n2' as NodeId, address: '127.0.0.1:2', isVoter: true });
    raft.peers.push({ id: 'id-n3' as NodeId, address: '127.0.0.1:3', isVoter: true });
    servers = [server('n1', 2), server('n2', 3), server('n3', 33)];
    for (const moved of servers) await membership.add(moved);
    expect(raft.calls).toEqual([
      'remove id-n2',
      'add id-n1@127.0.0.1:2 voter',
      'add id-n3@127.0.0.1:33 voter',
      'add id-n2@127.0.0.1:3 learner',
    ]);
  });

  test('servers that swapped addresses with the leader: the leader is never taken out', async () => {
    raft.peers.push({ id: 'id-n2' as NodeId, address: '127.0.0.1:2', isVoter: true });
    servers = [server('n1', 2), server('n2', 1)];
    for (const moved of [...servers].reverse()) await membership.add(moved);
    expect(raft.calls).toEqual([
      'remove id-n2',
      'add id-n1@127.0.0.1:2 voter',
      'add id-n2@127.0.0.1:1 learner',
    ]);
  });

  test('a server that claims the address of the leader is not added', async () => {
    await expect(membership.add(server('n2', 1))).rejects.toThrow("address 127.0.0.1:1 is the leader's own");
    expect(raft.calls).toEqual([]);
  });

  test('removal: never itself, never a stranger, never one that lives under another name', async () => {
    raft.peers.push({ id: 'id-n2' as NodeId, address: '127.0.0.1:2', isVoter: true });
    await membership.remove('id-n1');
    await membership.remove('id-x');
    await membership.remove('id-n2');
    expect(raft.calls).toEqual([]);
    servers = [server('n1', 1)];
    await membership.remove('id-n2');
    expect(raft.calls).toEqual(['remove id-n2']);
  });

  test('a second server in bootstrap mode is not added', async () => {
    servers = [server('n1', 1, 0, { bootstrap: '1' }), server('n2', 2, 0, { bootstrap: '1' })];
    await membership.add(server('n2', 2, 0, { bootstrap: '1' }));
    expect(raft.calls).toEqual([]);
  });
});

describe('ExpectBootstrap', () => {
  let servers: ServerMember[];
  let peers: Record<string, readonly string[] | Error>;
  let bootstrap: ExpectBootstrap;
  beforeEach(() => {
    servers = [server('n1', 1, 3)];
    peers = {};
    bootstrap = new ExpectBootstrap({
      ownId: 'id-n1',
      expect: 3,
      raft,
      env,
      log: silentLogger,
      servers: () => [...servers],
      peersOf: async (address) => {
        const found = peers[address] ?? [];
        if (found instanceof Error) throw found;
        return found;
      },
    });
    bootstrap.start();
  });

  test('waits for all, then writes one configuration in one order', async () => {
    servers.push(server('n3', 3, 3));
    await env.clock.advanceAsync(5000);
    expect(raft.calls).toEqual([]);
    servers.push(server('n2', 2, 3));
    await bootstrap.check();
    expect(raft.calls).toEqual(['bootstrap id-n1@127.0.0.1:1 id-n2@127.0.0.1:2 id-n3@127.0.0.1:3']);
    await env.clock.advanceAsync(60_000);
    expect(raft.calls).toHaveLength(1);
  });

  test('a server that cannot be asked is asked again', async () => {
    servers.push(server('n2', 2, 3), server('n3', 3, 3));
    peers['127.0.0.1:3'] = new Error('refused');
    await env.clock.advanceAsync(3000);
    expect(raft.calls).toEqual([]);
    peers = {};
    await env.clock.advanceAsync(1000);
    expect(raft.calls).toHaveLength(1);
  });

  test('an existing cluster disables it for good', async () => {
    servers.push(server('n2', 2, 3), server('n3', 3, 3));
    peers['127.0.0.1:2'] = ['127.0.0.1:2'];
    await env.clock.advanceAsync(2000);
    peers = {};
    await env.clock.advanceAsync(60_000);
    expect(raft.calls).toEqual([]);
  });

  test.each([
    ['another number', { expect: '5' }],
    ['bootstrap mode', { expect: '3', bootstrap: '1' }],
  ])('a member with %s holds it up', async (_name, tags) => {
    servers.push(server('n2', 2, 3, tags), server('n3', 3, 3));
    await env.clock.advanceAsync(5000);
    expect(raft.calls).toEqual([]);
  });

  test('non-voters and failed servers do not count', async () => {
    servers.push(server('n2', 2, 3, { nonvoter: '1' }), { ...server('n3', 3, 3), status: 'failed' });
    await env.clock.advanceAsync(5000);
    expect(raft.calls).toEqual([]);
  });

  test('state that came from a leader ends it', async () => {
    raft.peers = [{ id: 'x' as NodeId, address: 'y', isVoter: true }];
    servers.push(server('n2', 2, 3), server('n3', 3, 3));
    await env.clock.advanceAsync(5000);
    expect(raft.calls).toEqual([]);
  });
});

describe('Leadership', () => {
  const leader = { id: 'id-n2' as NodeId, address: '127.0.0.1:2' };
  const event = (role: 'leader' | 'follower', known?: typeof leader) =>
    ({ kind: 'leadership', role, term: 1 as Term, leader: known }) as const;

  test('reads need readiness and the lease', () => {
    const leadership = new Leadership(raft, env);
    leadership.markReady();
    expect(leadership.isReady).toBe(false);
    expect(leadership.update(event('leader', leader))).toBe(false);
    expect(leadership.canReadUnderLease()).toBe(false);
    leadership.markReady();
    expect(leadership.canReadUnderLease()).toBe(true);
    raft.lease = false;
    expect(leadership.canReadUnderLease()).toBe(false);
    expect(leadership.update(event('follower'))).toBe(true);
    expect([leadership.isReady, leadership.leaderAddress]).toEqual([false, '']);
  });

  test('a server that has heard its leader but got nothing yet has nothing to show', () => {
    const leadership = new Leadership(raft, env);
    raft.lastContactMs = 5;
    raft.appliedIndex = 0;
    expect(leadership.contact().ms).toBeUndefined();
    raft.appliedIndex = 1;
    env.clock.advance(11);
    expect(leadership.contact().ms).toBe(5);
  });

  test('the last contact ages between looks at Raft', () => {
    const leadership = new Leadership(raft, env);
    expect(leadership.contact()).toEqual({ ms: undefined, knownLeader: false });
    leadership.update(event('follower', leader));
    raft.leader = leader;
    raft.lastContactMs = 50;
    expect(leadership.contact()).toEqual({ ms: 50, knownLeader: true });
    env.clock.advance(7);
    expect(leadership.contact().ms).toBe(57);
    raft.lastContactMs = 1;
    env.clock.advance(7);
    expect(leadership.contact().ms).toBe(1);
    leadership.update(event('leader', leader));
    expect(leadership.contact()).toEqual({ ms: 0, knownLeader: true });
  });

  test('waits end by a change, by time, by the signal and at the end', async () => {
    const leadership = new Leadership(raft, env);
    const changed = leadership.changed(1000);
    leadership.update(event('follower', leader));
    await changed;
    const timed = leadership.changed(1000);
    await env.clock.advanceAsync(1001);
    await timed;
    const controller = new AbortController();
    const aborted = leadership.changed(1000, controller.signal);
    controller.abort(new Error('left'));
    await expect(aborted).rejects.toThrow('left');
    const closed = leadership.changed(1000);
    leadership.close();
    await expect(closed).rejects.toMatchObject({ code: 'shutting-down' });
    await expect(leadership.changed(1000)).rejects.toMatchObject({ code: 'shutting-down' });
    expect(env.clock.nextDueMs()).toBeUndefined();
  });
});

test('missingInWan names the live LAN servers that the WAN pool lacks', () => {
  const [lan, wan] = [new FakeLan(), new FakeLan()];
  const tags = { ...serverTags('a', 8300), wan_join_port: '8302' };
  for (const name of ['n1', 'n2', 'n3']) lan.set(fakeMember(name, tags));
  lan.set(fakeMember('no-wan', serverTags('b', 8300)));
  lan.set(fakeMember('client', { role: 'node', dc: 'dc1' }));
  lan.setStatus('n3', 'failed');
  wan.set(fakeMember('n1.dc1', tags));
  expect(missingInWan({ datacenter: 'dc1', lan: lan.pool('n1'), wan: wan.pool('n1.dc1') })).toEqual([
    'n2.dc1/127.0.0.1:8302',
  ]);
});
