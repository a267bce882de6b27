/** What a leader does: replicate, count what is on disk where, commit, prove that it still leads. */

import type { LogIndex, NodeId } from '../types.ts';
import { isVoterIn, quorumValue } from './configuration.ts';
import { asIndex, entryBytes } from './entry.ts';
import type { AppendReply, HeartbeatReply, Stamp } from './messages.ts';
import type { Progress } from './progress.ts';
import { broadcastHeartbeat } from './replicate.ts';
import { becomeFollower } from './roles.ts';
import type { CoreState, Leadership } from './state.ts';
import { stepDownIfStuck } from './storage-health.ts';
import { abortTransfer, askToTakeOver, bestSuccessor, transferIfCaughtUp } from './transfer.ts';

export function onAppendReply(state: CoreState, from: NodeId, reply: AppendReply): void {
  const { leadership } = state;
  const progress = leadership?.progress.get(from);
  if (leadership === undefined || progress === undefined || reply.index > state.log.lastIndex) return;
  acknowledge(state, progress, reply.stamp);
  if (reply.accepted) onAccepted(state, leadership, from, progress, reply.index);
  else onRejected(state, progress, reply);
}

function onAccepted(
  state: CoreState,
  leadership: Leadership,
  from: NodeId,
  progress: Progress,
  index: LogIndex,
): void {
  const isNews = progress.accepted(index, state.nowMs);
  progress.isCheckDue = false;
  if (progress.state === 'probe') progress.becomeReplicate();
  else if (progress.state === 'snapshot' && progress.match >= progress.snapshotIndex)
    progress.becomeReplicate();
  if (isNews && progress.departing === undefined) advanceLeaderCommit(state);
  dismissDeparted(state, leadership, from, progress);
  transferIfCaughtUp(state);
}

/** Steps back to where the logs may still agree, by the follower's hint and then by this log's terms. */
function onRejected(state: CoreState, progress: Progress, reply: AppendReply): void {
  if (progress.state === 'snapshot') return;
  const isStale =
    progress.state === 'replicate' ? reply.index <= progress.match : reply.index !== progress.next - 1;
  if (isStale) return;
  const hint = state.log.lastIndexWithTermAtMost(reply.hintIndex, reply.hintTerm);
  progress.becomeProbe(Math.min(reply.index, hint.index + 1));
}

export function onHeartbeatReply(state: CoreState, from: NodeId, reply: HeartbeatReply): void {
  const { leadership } = state;
  const progress = leadership?.progress.get(from);
  if (leadership === undefined || progress === undefined) return;
  acknowledge(state, progress, reply.stamp);
  progress.isProbeOut = false;
  const isOverdue = state.nowMs - progress.lastProgressAtMs >= state.options.timing.heartbeatMs;
  if (progress.state === 'replicate' && progress.inflightCount > 0 && isOverdue) progress.isCheckDue = true;
  dismissDeparted(state, leadership, from, progress);
}

/** The connection failed: what was in flight is taken for lost. */
export function onUnreachable(state: CoreState, id: NodeId): void {
  const progress = state.leadership?.progress.get(id);
  if (progress === undefined || progress.state !== 'replicate') return;
  progress.becomeProbe(progress.match + 1);
  progress.isProbeOut = true;
}

export function onSnapshotSent(state: CoreState, to: NodeId, ok: boolean): void {
  const progress = state.leadership?.progress.get(to);
  if (progress === undefined || progress.state !== 'snapshot') return;
  progress.becomeProbe(ok ? progress.snapshotIndex + 1 : progress.match + 1);
  // The follower answers when it has it installed; until then, or after a failure, the next heartbeat decides.
  progress.isProbeOut = true;
}

function acknowledge(state: CoreState, progress: Progress, stamp: Stamp): void {
  progress.lastReplyAtMs = state.nowMs;
  if (stamp.round === 0) return;
  progress.ackedRound = Math.max(progress.ackedRound, stamp.round);
  progress.ackedSentAtMs = Math.max(progress.ackedSentAtMs, Math.min(stamp.sentAtMs, state.nowMs));
}

/** A removed peer has learnt of its removal, or had time enough. */
function dismissDeparted(state: CoreState, leadership: Leadership, id: NodeId, progress: Progress): void {
  const { departing } = progress;
  if (departing === undefined) return;
  const knows = progress.match >= departing.index && progress.toldCommit >= departing.index;
  if (knows || state.nowMs >= departing.deadlineMs) leadership.progress.delete(id);
}

/** Commits what a quorum has on disk, if its last entry is of this term (Raft, §5.4.2). */
export function advanceLeaderCommit(state: CoreState): void {
  const { leadership, log } = state;
  if (leadership === undefined) return;
  const { peers } = state.configurations.current;
  const own = state.outbox.durableIndex;
  const reached = quorumValue(peers, (id) =>
    id === state.options.id ? own : (leadership.progress.get(id)?.match ?? 0),
  );
  if (reached <= state.commitIndex) return;
  const isOwnTerm = log.termAt(reached) === state.term;
  if (!isOwnTerm && state.options.plantedBug !== 'commit-of-old-term') return;
  for (const entry of log.between(Math.max(state.commitIndex + 1, leadership.firstIndex), reached))
    leadership.uncommittedBytes -= entryBytes(entry);
  state.commitIndex = asIndex(reached);
  stepDownIfRemoved(state, leadership);
}

/** A leader that is no voter any more leads until that is committed, tells the others, and hands over (thesis, §4.2.2). */
function stepDownIfRemoved(state: CoreState, leadership: Leadership): void {
  const { index, peers } = state.configurations.current;
  if (index > state.commitIndex || isVoterIn(peers, state.options.id)) return;
  broadcastHeartbeat(state, leadership);
  const successor = bestSuccessor(state, leadership);
  if (successor !== undefined) askToTakeOver(state, leadership, successor);
  becomeFollower(state, state.term, undefined);
}

/** Whether a quorum knows that this server leads by what it committed in its own term. */
export function hasCommittedInTerm(state: CoreState): boolean {
  return state.leadership !== undefined && state.commitIndex >= state.leadership.firstIndex;
}

/** Since when, on this clock, a quorum is known to have followed. */
export function quorumContactMs(state: CoreState, leadership: Leadership): number {
  return quorumValue(state.configurations.current.peers, (id) =>
    id === state.options.id
      ? state.nowMs
      : (leadership.progress.get(id)?.ackedSentAtMs ?? Number.NEGATIVE_INFINITY),
  );
}

/** The passing of time, for a leader. */
export function tickLeader(state: CoreState, leadership: Leadership): void {
  const { timing } = state.options;
  const contact = Math.max(quorumContactMs(state, leadership), leadership.electedAtMs);
  // When this process stood still, answers may wait unread: ask once more before giving up.
  const stoodStill = state.nowMs - leadership.nextHeartbeatMs >= timing.electionMs / 2;
  if (!stoodStill && state.nowMs - contact >= timing.electionMs) {
    state.outbox.notice({ kind: 'lost-quorum', term: state.term });
    becomeFollower(state, state.term, undefined);
    return;
  }
  if (leadership.transfer !== undefined && state.nowMs >= leadership.transfer.deadlineMs) {
    abortTransfer(state, leadership);
    stepDownIfStuck(state);
    if (state.leadership === undefined) return;
  }
  if (state.nowMs >= leadership.nextHeartbeatMs) {
    leadership.isHeartbeatDue = true;
    leadership.nextHeartbeatMs = state.nowMs + timing.heartbeatMs;
    for (const [id, progress] of leadership.progress) dismissDeparted(state, leadership, id, progress);
  }
}
