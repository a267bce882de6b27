import { beforeEach, expect, test } from 'vitest';
import { type SimulatedEnv, simulatedEnv } from '../../shared/simulated-env.ts';
import type { GossipEvent } from '../gossip/types.ts';
import type { NodeId, RaftEvent, RaftPeer, Term } from '../raft/types.ts';
import { DepartedLeader } from './departed-leader.ts';
import { fakeMember, serverTags } from './testing/fake-gossip.ts';

let env: SimulatedEnv;
let departed: DepartedLeader;
beforeEach(() => {
  env = simulatedEnv(1);
  departed = new DepartedLeader(env.clock);
});

function leads(name: string | undefined): RaftEvent {
  const leader = name === undefined ? undefined : { id: `id-${name}` as NodeId, address: '127.0.0.1:1' };
  return { kind: 'leadership', role: 'follower', term: 1 as Term, leader };
}

function peerList(names: readonly string[]): RaftPeer[] {
  return names.map((name) => ({ id: `id-${name}` as NodeId, address: '127.0.0.1:1', isVoter: true }));
}

function peers(...names: string[]): RaftEvent {
  return { kind: 'configuration', peers: peerList(names) };
}

function gossip(kind: Exclude<GossipEvent['kind'], 'user'>, name: string): GossipEvent {
  return { kind, members: [fakeMember(name, serverTags(`id-${name}`, 1, 0))] };
}

const feed = (...events: RaftEvent[]) => {
  for (const event of events) departed.onRaft(event);
};

test.each<[string, RaftEvent[], boolean]>([
  ['took itself out', [peers('n1', 'n2'), leads('n1'), peers('n2')], true],
  [
    'took itself out, and nobody leads yet',
    [peers('n1', 'n2'), leads('n1'), peers('n2'), leads(undefined)],
    true,
  ],
  ['took itself out, and another leads', [peers('n1', 'n2'), leads('n1'), peers('n2'), leads('n2')], true],
  ['took itself out in the first message that tells of it', [peers('n2'), leads('n1')], true],
  ['took itself out as the first thing after a restart', [leads('n1'), peers('n2')], true],
  ['was taken out by the leader', [peers('n1', 'n2'), leads('n2'), peers('n2')], false],
  ['leads before the configuration is known here', [leads('n1'), peers('n2'), peers('n1', 'n2')], false],
  ['is back', [peers('n1', 'n2'), leads('n1'), peers('n2'), peers('n1', 'n2')], false],
])('a server that %s', (_case, events, isLeaving) => {
  feed(...events);
  expect(departed.isLeaving('id-n1')).toBe(isLeaving);
  expect(departed.isLeaving('id-n2')).toBe(false);
});

test.each(['member-leave', 'member-failed', 'member-reap', 'member-join'] as const)(
  '%s ends the waiting: what comes later is a new beginning',
  (kind) => {
    feed(peers('n1', 'n2'), leads('n1'), peers('n2'));
    departed.onGossip(gossip(kind, 'n2'));
    departed.onGossip(gossip('member-update', 'n1'));
    expect(departed.isLeaving('id-n1')).toBe(true);
    departed.onGossip(gossip(kind, 'n1'));
    expect(departed.isLeaving('id-n1')).toBe(false);
  },
);

test('a leader that stays after all is waited for no longer than a leave may take', async () => {
  feed(peers('n1', 'n2'), leads('n1'), peers('n2'));
  await env.clock.advanceAsync(14_999);
  expect(departed.isLeaving('id-n1')).toBe(true);
  await env.clock.advanceAsync(1);
  expect(departed.isLeaving('id-n1')).toBe(false);
});
