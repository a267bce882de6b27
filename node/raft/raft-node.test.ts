/** The driver on a simulated clock, network and disk. */

import { describe, expect, it } from 'vitest';
import { ConsulError } from '../../shared/errors.ts';
import { formatLogLine, type LogRecord } from '../../shared/log.ts';
import { asNodeId } from './core/entry.ts';
import { coreOf, createRaftNode, raftTiming } from './raft-node.ts';
import { Cluster, type ClusterOptions, RAFT_DIRECTORY } from './testing/cluster.ts';
import type { RaftNode } from './types.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

async function cluster(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const made = new Cluster({ seed: 1, size: 3, ...options });
  await made.bootstrap();
  return made;
}

const commandsOf = (server: { readonly recorder: { readonly journal: readonly { command: string }[] } }) =>
  server.recorder.journal.map((applied) => applied.command);

async function failureOf(promise: Promise<unknown>): Promise<ConsulError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof ConsulError) return error;
  throw new Error(`not a ConsulError: ${String(error)}`);
}

it('replication to each peer is observed: entries, and answers with their time', async () => {
  const entries = new Map<string, number>();
  const answers = new Set<string>();
  const replication = {
    sent: (peer: string, count: number) => void entries.set(peer, (entries.get(peer) ?? 0) + count),
    answered(answer: string, peer: string, elapsedMs: number) {
      expect(elapsedMs).toBeGreaterThanOrEqual(0);
      answers.add(`${answer} ${peer}`);
    },
  };
  const three = await cluster({ node: { replication } });
  const { server, node } = await three.elected();
  await three.propose(node, 'a');
  await three.advance(1000);
  const others = three.servers.filter((each) => each !== server).map(({ peer }) => peer.id);
  expect([...entries.keys()].sort()).toEqual([...others].sort());
  for (const count of entries.values()) expect(count).toBeGreaterThanOrEqual(2);
  expect([...answers].sort()).toEqual(others.flatMap((id) => [`append ${id}`, `heartbeat ${id}`]).sort());
});

describe('a single server', () => {
  it('elects itself at once and keeps what it acknowledged over a crash', async () => {
    const one = await cluster({ size: 1 });
    const [server] = one.servers;
    if (server === undefined) throw new Error('no server');
    await one.advance(5);
    expect(server.node?.status().role).toBe('leader');
    const { node } = await one.elected();
    expect(await one.propose(node, 'a')).toEqual({ index: 3, result: 'done a' });
    expect(node.hasLease()).toBe(true);
    expect(await one.settled(node.readBarrier())).toBe(3);

    one.crash(server);
    await one.start(server);
    await one.advance(5);
    expect(server.node?.status().role).toBe('leader');
    await one.until('replayed', () => commandsOf(server).length === 1);
    expect(commandsOf(server)).toEqual(['a']);
  });

  it('keeps nothing without a directory', async () => {
    const one = await cluster({ size: 1, inMemory: true });
    const { server, node } = await one.elected();
    await one.propose(node, 'a');
    expect(server.disk.paths()).toEqual([]);
    expect(await one.settled(node.takeSnapshot())).toEqual({ index: 3, term: 2 });
    expect(server.disk.paths()).toEqual([]);
    expect(server.recorder.openViews).toBe(0);
  });

  it('logs in the words of Consul', async () => {
    const lines: string[] = [];
    const one = new Cluster({
      seed: 1,
      size: 1,
      onLog: (_server, record: LogRecord) => lines.push(formatLogLine(record).slice(25)),
    });
    const [server] = one.servers;
    if (server === undefined) throw new Error('no server');
    await one.start(server);
    await one.advance(600);
    await one.settled(server.node?.bootstrap([server.peer]) ?? Promise.reject(new Error('down')));
    await one.elected();
    expect(lines).toEqual([
      '[INFO]  agent.server.raft: initial configuration: index=0 servers=[]',
      '[INFO]  agent.server.raft: entering follower state: follower="Node at 10.0.0.1:8300 [Follower]" leader=',
      '[WARN]  agent.server.raft: no known peers, aborting election',
      '[WARN]  agent.server.raft: heartbeat timeout reached, starting election: last-leader=',
      '[INFO]  agent.server.raft: entering candidate state: node="Node at 10.0.0.1:8300 [Candidate]" term=2',
      '[INFO]  agent.server.raft: election won: tally=1',
      '[INFO]  agent.server.raft: entering leader state: leader="Node at 10.0.0.1:8300 [Leader]"',
    ]);
  });

  it('turns many proposals of a turn into one batch and one run', async () => {
    const one = await cluster({ size: 1 });
    const { server, node } = await one.elected();
    const runs = server.recorder.runs.length;
    const results = Promise.all(Array.from({ length: 1000 }, (_, i) => node.propose(bytes(`c${i}`))));
    expect((await one.settled(results)).map((done) => done.result)).toEqual(
      Array.from({ length: 1000 }, (_, i) => `done c${i}`),
    );
    expect(server.recorder.runs.length - runs).toBe(1);
  });

  it('refuses what is too large, a second bootstrap, and anything after the end', async () => {
    const one = await cluster({ size: 1, node: { maxCommandBytes: 10 } });
    const { server, node } = await one.elected();
    expect((await failureOf(node.propose(bytes('12345678901')))).code).toBe('too-large');
    expect((await failureOf(node.bootstrap([server.peer]))).message).toBe(
      'bootstrap only works on new clusters',
    );
    await one.stop(server);
    expect((await failureOf(node.propose(bytes('a')))).code).toBe('shutting-down');
    expect((await failureOf(node.readBarrier())).code).toBe('shutting-down');
    await node.stop();
  });

  it('ends with a fatal event when a sync fails, and promises nothing', async () => {
    const one = await cluster({ size: 1 });
    const { server, node } = await one.elected();
    server.disk.failSyncAfter(0);
    const error = await failureOf(one.propose(node, 'a'));
    expect(error.code).toBe('outcome-unknown');
    expect(server.events.at(-1)).toMatchObject({ kind: 'fatal' });
    expect((await failureOf(node.propose(bytes('b')))).code).toBe('shutting-down');
  });
});

describe('three servers', () => {
  it('replicate, and serve reads only once a quorum confirms', async () => {
    const three = await cluster();
    const { server, node } = await three.elected();
    expect((await three.propose(node, 'a')).result).toBe('done a');
    await three.until('all applied', () => three.servers.every((each) => commandsOf(each).length === 1));
    expect(await three.settled(node.readBarrier())).toBeGreaterThan(1);
    expect(node.hasLease()).toBe(true);
    const follower = three.servers.find((each) => each !== server)?.node as RaftNode;
    expect((await failureOf(follower.propose(bytes('b')))).code).toBe('not-leader');
    expect(await three.settled(follower.readBarrier())).toBeGreaterThan(1);
    expect(follower.status().leader).toEqual({ id: server.peer.id, address: server.peer.address });
    expect(follower.status().lastContactMs).toBeLessThan(100);
  });

  it('let followers serve reads that see all that was committed before, whoever asked', async () => {
    const three = await cluster();
    const { node } = await three.elected();
    for (let i = 0; i < 10; i++) {
      const { index } = await three.propose(node, `c${i}`);
      const reads = three.servers.map((each) => (each.node as RaftNode).readBarrier());
      for (const read of await three.settled(Promise.all(reads))) expect(read).toBeGreaterThanOrEqual(index);
    }
  });

  it('replace a dead leader within twice the election time', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const three = await cluster({ seed });
      const { server } = await three.elected();
      await three.advance(300);
      const died = three.clock.monotonicMs();
      three.crash(server);
      await three.elected();
      expect(three.clock.monotonicMs() - died).toBeLessThan(500);
    }
  });

  it('let a cut-off leader step down, tell its callers, and follow the new one', async () => {
    const three = await cluster();
    const { server, node } = await three.elected();
    for (const other of three.servers) {
      if (other === server) continue;
      three.network.cut(server.peer.address, other.peer.address);
      three.network.cut(other.peer.address, server.peer.address);
    }
    const lost = failureOf(node.propose(bytes('lost')));
    const unread = failureOf(node.readBarrier());
    await three.until('stepped down', () => node.status().role !== 'leader');
    expect(await lost).toMatchObject({
      code: 'outcome-unknown',
      message: 'leadership lost while committing log',
    });
    expect((await unread).code).toBe('not-leader');
    expect(node.hasLease()).toBe(false);
    // It heard from a leader until now, from itself: stale reads go on.
    expect(node.status().lastContactMs).toBeLessThan(1000);
    const next = await three.elected();
    expect(next.server).not.toBe(server);
    await three.propose(next.node, 'kept');
    three.network.heal();
    await three.until('joined', () => commandsOf(server).length === 1);
    expect(commandsOf(server)).toEqual(['kept']);
    expect(next.node.status().term).toBe(three.leader()?.node?.status().term);
  });

  it('never lets two servers hold a lease at once', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const three = await cluster({ seed, clockError: 0.05 });
      const { server } = await three.elected();
      for (const other of three.servers) {
        if (other === server) continue;
        three.network.cut(other.peer.address, server.peer.address);
        three.network.cut(server.peer.address, other.peer.address);
      }
      for (let i = 0; i < 600; i++) {
        await three.advance(1);
        expect(three.servers.filter((each) => each.node?.hasLease()).length).toBeLessThan(2);
      }
    }
  });

  it('hand over leadership on request', async () => {
    const three = await cluster();
    const { server, node } = await three.elected();
    const target = three.servers.find((each) => each !== server);
    if (target === undefined) throw new Error('no target');
    await three.settled(node.transferLeadership(target.peer.id));
    expect(node.status().role).toBe('follower');
    expect((await three.elected()).server).toBe(target);
    expect((await failureOf(node.transferLeadership())).code).toBe('not-leader');
  });

  it('give up a transfer to a server that does not answer, and lead on', async () => {
    const three = await cluster();
    const { server, node } = await three.elected();
    const target = three.servers.find((each) => each !== server);
    if (target === undefined) throw new Error('no target');
    three.crash(target);
    const failed = failureOf(node.transferLeadership(target.peer.id));
    await three.advance(400);
    expect((await failed).message).toBe('leadership transfer timeout');
    expect((await three.propose(node, 'a')).result).toBe('done a');
  });
});

describe('membership', () => {
  it('brings a new server in as a learner by a snapshot, promotes it, and lets the leader remove itself', async () => {
    const three = await cluster({ node: { trailingLogs: 0 } });
    const { server, node } = await three.elected();
    for (let i = 0; i < 30; i++) await three.propose(node, `c${i} ${'x'.repeat(100)}`);
    await three.settled(node.takeSnapshot());

    const fourth = three.add();
    await three.start(fourth);
    await three.settled(node.changeMembership({ kind: 'add', peer: { ...fourth.peer, isVoter: false } }));
    await three.until('caught up', () => commandsOf(fourth).length === 30);
    expect(fourth.node?.status().lastSnapshotIndex).toBeGreaterThan(0);
    expect(node.status().peers.find((peer) => peer.id === fourth.peer.id)?.isVoter).toBe(false);
    await three.settled(node.changeMembership({ kind: 'add', peer: fourth.peer }));
    expect(fourth.node?.status().peers.filter((peer) => peer.isVoter).length).toBe(4);

    await three.settled(node.changeMembership({ kind: 'remove', id: server.peer.id }));
    await three.until('another leads', () => three.leader() !== undefined && three.leader() !== server);
    await three.until('it knows', () => node.status().peers.length === 3);
    const next = await three.elected();
    expect(next.node.status().peers.map((peer) => peer.id)).not.toContain(server.peer.id);
    expect((await three.propose(next.node, 'after')).result).toBe('done after');
  });

  it('tells a removed follower, queues changes, and refuses impossible ones', async () => {
    const three = await cluster();
    const { server, node } = await three.elected();
    const [first, second] = three.servers.filter((each) => each !== server);
    if (first === undefined || second === undefined) throw new Error('too few servers');
    const both = Promise.all([
      node.changeMembership({ kind: 'remove', id: first.peer.id }),
      node.changeMembership({ kind: 'remove', id: second.peer.id }),
    ]);
    await three.settled(both);
    for (const gone of [first, second]) {
      const knows = () => gone.node?.status().peers.every((peer) => peer.id !== gone.peer.id) === true;
      await three.until('the removed one knows', knows);
    }
    expect(node.status().peers.map((peer) => peer.id)).toEqual([server.peer.id]);
    const last = failureOf(node.changeMembership({ kind: 'remove', id: server.peer.id }));
    await three.advance(10);
    expect((await last).message).toBe('need at least one voter in configuration');
    const unknown = failureOf(node.changeMembership({ kind: 'remove', id: asNodeId('x') }));
    await three.advance(10);
    expect((await unknown).message).toBe('id "x" was not found in the Raft configuration');
  });
});

describe('files', () => {
  it('restores snapshot and log after a crash of all', async () => {
    const three = await cluster({ node: { trailingLogs: 5, segmentBytes: 2000 }, maxDiskDelayMs: 2 });
    const { node } = await three.elected();
    for (let i = 0; i < 50; i++) await three.propose(node, `c${i}`);
    await three.settled(node.takeSnapshot());
    for (let i = 50; i < 60; i++) await three.propose(node, `c${i}`);
    for (const server of three.servers) three.crash(server);
    for (const server of three.servers) await three.start(server);
    await three.elected();
    const all = Array.from({ length: 60 }, (_, i) => `c${i}`);
    await three.until('all restored', () => three.servers.every((each) => commandsOf(each).length === 60));
    for (const server of three.servers) expect(commandsOf(server)).toEqual(all);
  });

  it('recovers from peers.json in either form, once', async () => {
    for (const form of ['objects', 'addresses'] as const) {
      const three = await cluster();
      const { node } = await three.elected();
      await three.propose(node, 'before');
      await three.advance(100);
      for (const server of three.servers) await three.stop(server);
      const [survivor] = three.servers;
      if (survivor === undefined) throw new Error('no server');
      const { id, address } = survivor.peer;
      const text = JSON.stringify(form === 'objects' ? [{ id, address, non_voter: false }] : [address]);
      survivor.disk.plant(`${RAFT_DIRECTORY}/peers.json`, bytes(text));
      await three.start(survivor);
      const next = await three.elected();
      expect(next.server).toBe(survivor);
      expect(next.node.status().peers).toEqual([survivor.peer]);
      expect(commandsOf(survivor)).toEqual(['before']);
      expect(survivor.disk.paths()).toContain(`${RAFT_DIRECTORY}/peers.info`);
      expect(survivor.disk.paths()).not.toContain(`${RAFT_DIRECTORY}/peers.json`);
      await three.propose(next.node, 'after');
      three.crash(survivor);
      await three.start(survivor);
      await three.until('leads again', () => commandsOf(survivor).length === 2);
      expect(survivor.node?.status().peers).toEqual([survivor.peer]);
    }
  });

  it('does not start on a recovery file that it cannot use, and leaves it there', async () => {
    const one = await cluster({ size: 1 });
    const { server } = await one.elected();
    await one.stop(server);
    const path = `${RAFT_DIRECTORY}/peers.json`;
    for (const [text, message] of [
      ['{', 'recovery failed to parse peers.json: '],
      ['{}', 'recovery failed to parse peers.json: it must be a list'],
      ['[]', 'recovery failed to parse peers.json: it names no voter'],
      ['["1.2.3.4:8300"]', 'no server with address "1.2.3.4:8300" was known'],
    ] as const) {
      server.disk.plant(path, bytes(text));
      await expect(one.start(server)).rejects.toThrow(message);
      expect(server.disk.contents(path)).toBeDefined();
    }
  });
});

describe('over time', () => {
  it('bounds the log in memory and on disk, whatever the interval', async () => {
    const three = await cluster({ node: { snapshotThresholdBytes: 4000, segmentBytes: 2000 } });
    const { server, node } = await three.elected();
    for (let i = 0; i < 100; i++) await three.propose(node, `c${i} ${'x'.repeat(200)}`);
    await three.until('compacted', () => node.status().lastSnapshotIndex > 50);
    expect(coreOf(node)?.state.log.bytes).toBeLessThan(8000);
    const logs = server.disk.paths().filter((path) => path.endsWith('.wal'));
    expect(logs.length).toBeLessThan(8);
    const snapshots = server.disk.paths().filter((path) => path.endsWith('meta.json'));
    expect(snapshots.length).toBeLessThanOrEqual(2);
    expect(server.recorder.openViews).toBe(0);
  });

  it('finds a server again that came back under another address', async () => {
    const three = await cluster();
    const { server, node } = await three.elected();
    const moved = three.servers.find((each) => each !== server);
    if (moved === undefined) throw new Error('no follower');
    three.crash(moved);
    moved.peer = { ...moved.peer, address: '10.0.7.7:8300' };
    await three.start(moved);
    await three.propose(node, 'a');
    await three.until('caught up', () => commandsOf(moved).length === 1);
    expect(node.status().role).toBe('leader');
  });

  it('tells subscribers of leadership and membership, until they leave', async () => {
    const three = await cluster();
    const { server, node } = await three.elected();
    const term = node.status().term;
    const leader = { id: server.peer.id, address: server.peer.address };
    for (const each of three.servers)
      expect(each.events.filter((event) => event.kind === 'leadership').at(-1)).toEqual({
        kind: 'leadership',
        role: each === server ? 'leader' : 'follower',
        term,
        leader,
      });
    expect(server.events[0]).toMatchObject({ kind: 'configuration' });
    let heard = 0;
    const leave = node.subscribe(() => heard++);
    leave();
    await three.settled(node.transferLeadership());
    expect(heard).toBe(0);
    expect(server.events.filter((event) => event.kind === 'leadership').length).toBeGreaterThan(1);
  });
});

describe('strangers', () => {
  it('closes a stream that carries garbage, and lives on', async () => {
    const three = await cluster();
    const { server, node } = await three.elected();
    const stranger = three.network.join('10.9.9.9:1');
    const stream = await three.settled(stranger.dial(server.peer));
    let isClosed = false;
    stream.onClose(() => {
      isClosed = true;
    });
    stream.write(three.random.bytes(100));
    await three.until('closed', () => isClosed);
    expect((await three.propose(node, 'a')).result).toBe('done a');
  });
});

describe('options', () => {
  it('refuses a lease that the election time does not cover', () => {
    const timing = { ...raftTiming(1), leaseMs: 240 };
    const make = () => createRaftNode({ timing } as Parameters<typeof createRaftNode>[0]);
    expect(make).toThrow('raft: leaseMs must be between 0 and 225, is 240');
  });
});
