/** What three servers do when the disk of one is full or takes forever: nobody waits for it, and it loses nothing. */

import { describe, expect, it } from 'vitest';
import type { LogRecord } from '../../shared/log.ts';
import { raftTiming } from './raft-node.ts';
import { Cluster, type Server, TEST_TIMING } from './testing/cluster.ts';

async function cluster(onLog?: (server: Server, record: LogRecord) => void, size = 3): Promise<Cluster> {
  const made = new Cluster({ seed: 3, size, ...(onLog === undefined ? {} : { onLog }) });
  await made.bootstrap();
  return made;
}

const commandsOf = (server: Server) => server.recorder.journal.map((applied) => applied.command);

/** The first other server, and the leader. */
async function leaderAndFollower(three: Cluster): Promise<{ leader: Server; follower: Server }> {
  const { server: leader } = await three.elected();
  const follower = three.servers.find((each) => each !== leader);
  if (follower === undefined) throw new Error('no follower');
  return { leader, follower };
}

describe('a leader', () => {
  it('whose disk is full hands over at once, and follows when there is room again', async () => {
    const lines: string[] = [];
    const three = await cluster((server, record) => lines.push(`${server.peer.id} ${record.message}`));
    const { leader } = await leaderAndFollower(three);
    await three.propose((await three.elected()).node, 'a');
    leader.disk.fillUpAfter(0);
    const sentAt = three.clock.monotonicMs();
    leader.node?.propose(new TextEncoder().encode('b')).catch(() => {
      // Whether it was committed is for the next leader to say.
    });
    await three.until('another leads', () => {
      const next = three.leader();
      return next !== undefined && next !== leader;
    });
    expect(three.clock.monotonicMs() - sentAt).toBeLessThan(TEST_TIMING.electionMs);
    expect(leader.events.some((event) => event.kind === 'fatal')).toBe(false);
    expect(lines).toContain(
      `${leader.peer.id} disk is full: nothing more is logged or acknowledged until there is room`,
    );
    const { node } = await three.elected();
    await three.propose(node, 'c');
    expect(leader.node?.status().role).toBe('follower');
    leader.disk.freeSpace();
    await three.until('it has all', () => commandsOf(leader).at(-1) === 'c');
    await three.until('it has it on disk', () => lines.includes(`${leader.peer.id} disk has room again`));
    three.crash(leader);
    await three.start(leader);
    await three.until('it still has all', () => commandsOf(leader).at(-1) === 'c');
  });

  it('whose sync does not return gives up soon after a second', async () => {
    const three = await cluster();
    const { leader } = await leaderAndFollower(three);
    leader.disk.stick();
    const pending = leader.node?.propose(new TextEncoder().encode('a'));
    // The others have it on disk, so the caller is answered all the same.
    await three.settled(pending ?? Promise.reject(new Error('down')), TEST_TIMING.electionMs);
    const stuckAt = three.clock.monotonicMs();
    await three.until('another leads', () => three.leader() !== leader);
    expect(three.clock.monotonicMs() - stuckAt).toBeGreaterThan(900);
    expect(three.clock.monotonicMs() - stuckAt).toBeLessThan(1500);
    await three.advance(5000);
    expect(three.leader()).not.toBe(leader);
    leader.disk.unstick();
    await three.propose((await three.elected()).node, 'b');
    await three.until('it has all', () => commandsOf(leader).join() === 'a,b');
  });

  it('whose syncs return late, but do, keeps the lead', async () => {
    const three = await cluster();
    const { leader } = await leaderAndFollower(three);
    for (let i = 0; i < 5; i++) {
      leader.disk.stick();
      await three.propose((await three.elected()).node, `c${i}`);
      await three.advance(700);
      leader.disk.unstick();
      await three.advance(100);
    }
    expect(three.leader()).toBe(leader);
  });

  it('that is alone waits for room', async () => {
    const one = await cluster(undefined, 1);
    const { server, node } = await one.elected();
    server.disk.fillUpAfter(0);
    let isDone = false;
    const pending = node.propose(new TextEncoder().encode('a')).then(() => {
      isDone = true;
    });
    await one.advance(60_000);
    await expect(one.propose(node, 'b')).rejects.toThrow('disk full or stuck');
    expect([isDone, node.status().role]).toEqual([false, 'leader']);
    server.disk.freeSpace();
    await one.settled(pending);
    expect((await one.propose(node, 'c')).result).toBe('done c');
  });
});

describe('a follower', () => {
  it('whose disk is full acknowledges nothing, does not vote, and keeps nobody waiting', async () => {
    const three = await cluster();
    const { leader, follower } = await leaderAndFollower(three);
    follower.disk.fillUpAfter(0);
    const { node } = await three.elected();
    const { index } = await three.propose(node, 'a');
    await three.advance(1000);
    expect(leader.node?.status().progress.get(follower.peer.id)?.matchIndex).toBeLessThan(index);
    expect(commandsOf(follower)).toEqual(['a']);
    // With the leader gone, two are left, of which one cannot store a vote.
    three.crash(leader);
    await three.advance(10_000);
    expect(three.leader()).toBeUndefined();
    follower.disk.freeSpace();
    await three.propose((await three.elected()).node, 'b');
    await three.until('both have it', () => commandsOf(follower).join() === 'a,b');
  });

  it('may be told to stop while its disk is full', async () => {
    const three = await cluster();
    const { follower } = await leaderAndFollower(three);
    follower.disk.fillUpAfter(0);
    await three.propose((await three.elected()).node, 'a');
    let isStopped = false;
    follower.node?.stop().then(() => {
      isStopped = true;
    });
    await three.advance(1000);
    expect(isStopped).toBe(true);
  });
});

describe('at the default timing', () => {
  const node = { timing: raftTiming(5) };

  it('a leader that is killed is replaced in under a second', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const three = new Cluster({ seed, size: 3, node, maxDiskDelayMs: 10 });
      await three.bootstrap();
      const { server } = await three.elected();
      await three.advance(700 + seed * 13);
      const diedAt = three.clock.monotonicMs();
      three.crash(server);
      await three.elected();
      expect(three.clock.monotonicMs() - diedAt).toBeLessThan(1000);
    }
  });

  it('a leader that is cut off, with its connections open, is replaced within its election time', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const three = new Cluster({ seed, size: 3, node });
      await three.bootstrap();
      const { server } = await three.elected();
      for (const other of three.servers) {
        three.network.cut(server.peer.address, other.peer.address);
        three.network.cut(other.peer.address, server.peer.address);
      }
      const cutAt = three.clock.monotonicMs();
      await three.until('another leads', () => three.leader() !== server);
      expect(three.clock.monotonicMs() - cutAt).toBeLessThan(2000);
    }
  });

  it('pauses of 400 ms of any server depose nobody', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const three = new Cluster({ seed, size: 3, node });
      await three.bootstrap();
      const { server, node: leader } = await three.elected();
      const { term } = leader.status();
      for (let i = 0; i < 20; i++) {
        const paused = three.servers[(seed + i) % 3];
        if (paused === undefined) continue;
        three.pause(paused, 400);
        await three.advance(450 + 37 * i);
      }
      expect(three.leader()).toBe(server);
      expect(leader.status().term).toBe(term);
    }
  });
});
