/** Reads that must see all that was committed before them: one quorum round confirms all of a turn (thesis, §6.4). */

import type { NodeId } from '../types.ts';
import { quorumValue } from './configuration.ts';
import { hasCommittedInTerm } from './leader.ts';
import type { ReadIndex, ReadIndexReply } from './messages.ts';
import { type CoreState, type Leadership, type ReadRound, send } from './state.ts';

/** All reads that came up in this turn get one round. */
export function openReadRound(state: CoreState, leadership: Leadership): void {
  if (leadership.waitingReads.length === 0 || !hasCommittedInTerm(state)) return;
  leadership.isHeartbeatDue = true;
  leadership.confirmingReads.push({
    round: leadership.round + 1,
    index: state.commitIndex,
    reads: leadership.waitingReads,
  });
  leadership.waitingReads = [];
}

/** Confirms reads that a quorum round has covered (Raft thesis, §6.4). */
export function confirmReads(state: CoreState): void {
  const { leadership } = state;
  if (leadership === undefined || leadership.confirmingReads.length === 0) return;
  const round = quorumValue(state.configurations.current.peers, (id) =>
    id === state.options.id ? leadership.round : (leadership.progress.get(id)?.ackedRound ?? 0),
  );
  const done = leadership.confirmingReads.filter((read) => read.round <= round);
  if (done.length === 0) return;
  leadership.confirmingReads = leadership.confirmingReads.filter((read) => read.round > round);
  for (const read of done) answerReads(state, read);
}

function answerReads(state: CoreState, { index, reads }: ReadRound): void {
  const contexts: number[] = [];
  for (const { from, context } of reads)
    if (from === undefined) contexts.push(context);
    else send(state, from, { kind: 'read-index-reply', term: state.term, batch: context, index });
  if (contexts.length > 0) state.outbox.notice({ kind: 'reads-confirmed', index, contexts });
}

/** Another server's reads join those of this one in the next round. */
export function onReadIndex(state: CoreState, from: NodeId, message: ReadIndex): void {
  const { leadership } = state;
  if (leadership === undefined || leadership.waitingReads.length >= MAX_WAITING_READS) return;
  leadership.waitingReads.push({ from, context: message.batch });
}

/** They wait only until the end of the turn, or, for a new leader, until it has committed. */
const MAX_WAITING_READS = 100_000;

/** All reads that came up here in this turn ask the leader together. */
export function askForReadIndex(state: CoreState): void {
  if (state.leader === undefined || state.role !== 'follower') return;
  const batch = state.remoteReads.takeBatch(state.nowMs);
  if (batch !== undefined) send(state, state.leader, { kind: 'read-index', term: state.term, batch });
}

export function onReadIndexReply(state: CoreState, message: ReadIndexReply): void {
  const contexts = state.remoteReads.confirmed(message.batch);
  if (contexts.length > 0) state.outbox.notice({ kind: 'reads-confirmed', index: message.index, contexts });
}

/** The leader is there but has not answered: request or answer were lost. */
export function giveUpOverdueReads(state: CoreState): void {
  if (state.remoteReads.isEmpty) return;
  const overdue = state.remoteReads.takeOverdue(state.nowMs - state.options.timing.electionMs);
  if (overdue.length > 0) state.outbox.notice({ kind: 'reads-failed', contexts: overdue });
}
