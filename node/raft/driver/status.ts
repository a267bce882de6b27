/** The `RaftStatus` that a core's state amounts to. */

import type { RaftCore } from '../core/core.ts';
import { ZERO_INDEX, ZERO_TERM } from '../core/entry.ts';
import type { LogIndex, NodeId, RaftRole, RaftStatus } from '../types.ts';

/** What a server says of itself before it has read its log. */
export const NOT_STARTED: RaftStatus = {
  role: 'follower',
  term: ZERO_TERM,
  leader: undefined,
  lastLogIndex: ZERO_INDEX,
  lastLogTerm: ZERO_TERM,
  commitIndex: ZERO_INDEX,
  appliedIndex: ZERO_INDEX,
  lastSnapshotIndex: ZERO_INDEX,
  lastSnapshotTerm: ZERO_TERM,
  fsmPending: 0,
  peers: [],
  configurationIndex: ZERO_INDEX,
  lastContactMs: undefined,
  progress: new Map(),
};

/**
 * @param nowMs     monotonic
 * @param addressOf where a peer said it is, if it did
 */
export function raftStatus(
  core: RaftCore,
  appliedIndex: LogIndex,
  nowMs: number,
  addressOf: (id: NodeId) => string | undefined,
): RaftStatus {
  const { state } = core;
  const { index, peers } = state.configurations.current;
  const role: RaftRole = state.role === 'pre-candidate' ? 'candidate' : state.role;
  return {
    role,
    term: state.term,
    leader: leaderOf(core, addressOf),
    lastLogIndex: state.log.lastIndex,
    lastLogTerm: state.log.lastTerm,
    commitIndex: state.commitIndex,
    appliedIndex,
    lastSnapshotIndex: state.snapshot?.index ?? ZERO_INDEX,
    lastSnapshotTerm: state.snapshot?.term ?? ZERO_TERM,
    fsmPending: Math.max(0, state.commitIndex - appliedIndex),
    peers,
    configurationIndex: index,
    lastContactMs: lastContactMs(core, nowMs),
    progress: progressOf(core, nowMs),
  };
}

function leaderOf(core: RaftCore, addressOf: (id: NodeId) => string | undefined): RaftStatus['leader'] {
  const { leader, configurations } = core.state;
  if (leader === undefined) return undefined;
  const configured = configurations.current.peers.find((peer) => peer.id === leader)?.address;
  return { id: leader, address: addressOf(leader) ?? configured ?? '' };
}

function lastContactMs(core: RaftCore, nowMs: number): number | undefined {
  const { role, heardLeaderAtMs } = core.state;
  if (role === 'leader') return 0;
  return heardLeaderAtMs === undefined ? undefined : Math.max(0, nowMs - heardLeaderAtMs);
}

function progressOf(core: RaftCore, nowMs: number): RaftStatus['progress'] {
  const progress = new Map<NodeId, { readonly matchIndex: LogIndex; readonly lastContactMs: number }>();
  for (const [id, peer] of core.state.leadership?.progress ?? [])
    progress.set(id, { matchIndex: peer.match, lastContactMs: Math.max(0, nowMs - peer.lastReplyAtMs) });
  return progress;
}
