/** Changes of role: what is set, what is forgotten and what is announced at each. */

import type { NodeId, Term } from '../types.ts';
import { appendOwn } from './append-own.ts';
import { encodePeers } from './configuration.ts';
import { asIndex, asTerm, NO_BYTES } from './entry.ts';
import { Progress } from './progress.ts';
import type { CoreState } from './state.ts';

/** A random moment between once and twice the election time from now, so that servers rarely ask at once. */
export function restartElectionTimer(state: CoreState): void {
  const { electionMs } = state.options.timing;
  const patience = state.nowMs < state.storage.ailingUntilMs ? AILING_PATIENCE : 1;
  state.electionDeadlineMs = state.nowMs + electionMs * (patience + state.options.random());
}

/** A server whose disk was stuck lets the others go first for a while. */
const AILING_PATIENCE = 3;

/** Enters `term` if it is news (the vote in it is then free) and follows `leader`. */
export function becomeFollower(state: CoreState, term: Term, leader: NodeId | undefined): void {
  const wasFollower = state.role === 'follower';
  const isNews = !wasFollower || state.term !== term || state.leader !== leader;
  if (term > state.term) {
    state.term = term;
    state.vote = undefined;
    state.outbox.hardStateChanged();
  }
  if (isNews) {
    state.leaderRound = 0;
    failRemoteReads(state);
  }
  // Until this moment it heard from the leader all the time: from itself.
  if (state.role === 'leader') state.heardLeaderAtMs = state.nowMs;
  endLeadership(state);
  state.role = 'follower';
  state.leader = leader;
  state.isForcedElection = false;
  if (!wasFollower) restartElectionTimer(state);
  if (isNews && (!wasFollower || leader !== undefined))
    state.outbox.notice({ kind: 'became-follower', term, leader });
}

export function becomePreCandidate(state: CoreState): void {
  const isNews = state.role === 'follower';
  if (isNews) state.outbox.notice({ kind: 'heartbeat-timeout', lastLeader: state.leader });
  state.role = 'pre-candidate';
  state.leader = undefined;
  state.leaderRound = 0;
  failRemoteReads(state);
  state.votes.clear();
  state.votes.set(state.options.id, true);
  if (isNews)
    state.outbox.notice({ kind: 'became-candidate', term: asTerm(state.term + 1), isPreVote: true });
}

/** Raises the term and votes for itself; its own vote counts once it is durable. */
export function becomeCandidate(state: CoreState): void {
  if (state.role === 'follower') state.outbox.notice({ kind: 'heartbeat-timeout', lastLeader: state.leader });
  const isAnnounced = state.role === 'pre-candidate';
  state.role = 'candidate';
  state.leader = undefined;
  state.leaderRound = 0;
  failRemoteReads(state);
  state.term = asTerm(state.term + 1);
  state.vote = state.options.id;
  state.outbox.hardStateChanged();
  state.votes.clear();
  // A split vote is found out within a round trip, so the next try need not wait as long as for a silent leader.
  state.electionDeadlineMs =
    state.nowMs + state.options.timing.electionMs * (0.25 + state.options.random() / 2);
  if (!isAnnounced) state.outbox.notice({ kind: 'became-candidate', term: state.term, isPreVote: false });
}

/** Takes the lead: opens the term with a no-op, whose commit commits all that earlier leaders left (Raft, §5.4.2). */
export function becomeLeader(state: CoreState, tally: number): void {
  const { id, timing } = state.options;
  state.role = 'leader';
  state.leader = id;
  state.isForcedElection = false;
  const progress = new Map<NodeId, Progress>();
  const next = asIndex(state.log.lastIndex + 1);
  for (const peer of state.configurations.current.peers)
    if (peer.id !== id) progress.set(peer.id, new Progress(next, state.nowMs));
  state.leadership = {
    electedAtMs: state.nowMs,
    firstIndex: next,
    progress,
    round: 1,
    nextHeartbeatMs: state.nowMs + timing.heartbeatMs,
    commitNoticeAtMs: undefined,
    isHeartbeatDue: false,
    waitingReads: [],
    confirmingReads: [],
    uncommittedBytes: 0,
    lastAppend: undefined,
    transfer: undefined,
    transferFence: undefined,
  };
  state.outbox.notice({ kind: 'won-election', term: state.term, tally });
  appendOwn(state, 'noop', NO_BYTES);
  publishRecoveredConfiguration(state);
}

/** A membership that an operator's recovery set is in no entry yet: without one, followers would not learn it. */
function publishRecoveredConfiguration(state: CoreState): void {
  const { index, peers } = state.configurations.current;
  if (index <= state.log.baseIndex) return;
  const encoded = encodePeers(peers);
  const entry = state.log.entryAt(index);
  const isInLog = entry?.kind === 'configuration' && Buffer.compare(entry.data, encoded) === 0;
  if (!isInLog) appendOwn(state, 'configuration', encoded);
}

/** The leader that was to confirm them is none any more, or not the same. */
function failRemoteReads(state: CoreState): void {
  if (state.remoteReads.isEmpty) return;
  state.outbox.notice({ kind: 'reads-failed', contexts: state.remoteReads.takeAll() });
}

/** Lets go of what only a leader has. Reads that were not confirmed fail; the caller asks the next leader. */
function endLeadership(state: CoreState): void {
  const { leadership } = state;
  if (leadership === undefined) return;
  state.leadership = undefined;
  const reads = [...leadership.confirmingReads.flatMap((round) => round.reads), ...leadership.waitingReads];
  // Other servers see for themselves that this one leads no more.
  const contexts = reads.filter((read) => read.from === undefined).map((read) => read.context);
  if (contexts.length > 0) state.outbox.notice({ kind: 'reads-failed', contexts });
}
