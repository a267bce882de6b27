/** What a follower does with a leader's messages. */

import type { LogIndex, NodeId } from '../types.ts';
import { adoptConfiguration } from './append-own.ts';
import { campaign } from './election.ts';
import { asIndex, type LogEntry, RaftInvariantError, type SnapshotMeta } from './entry.ts';
import {
  type Append,
  type Heartbeat,
  type InstallSnapshot,
  NO_STAMP,
  type Stamp,
  type TimeoutNow,
} from './messages.ts';
import { voteHoldMs } from './options.ts';
import { giveUpOverdueReads } from './read-index.ts';
import { becomeFollower, restartElectionTimer } from './roles.ts';
import { type CoreState, send } from './state.ts';

/** A message of this term from its leader arrived: follow it, and keep quiet for another while. */
export function hearLeader(state: CoreState, from: NodeId, round: number): void {
  if (state.role === 'leader')
    throw new RaftInvariantError(`two leaders in term ${state.term}: ${state.options.id} and ${from}`);
  if (state.role !== 'follower' || state.leader !== from) becomeFollower(state, state.term, from);
  state.lastContactMs = state.nowMs;
  state.heardLeaderAtMs = state.nowMs;
  state.leaderRound = Math.max(state.leaderRound, round);
  restartElectionTimer(state);
  giveUpOverdueReads(state);
}

export function onHeartbeat(state: CoreState, from: NodeId, heartbeat: Heartbeat): void {
  advanceCommit(state, heartbeat.commitIndex);
  send(state, from, { kind: 'heartbeat-reply', term: state.term, stamp: heartbeat.stamp });
}

export function onAppend(state: CoreState, from: NodeId, append: Append): void {
  if (state.installing !== undefined) return;
  const { log } = state;
  if (append.prevIndex < state.commitIndex) {
    // An old or repeated append. All that is committed is known to match.
    accept(state, from, state.commitIndex, append.stamp);
    return;
  }
  if (log.termAt(append.prevIndex) !== append.prevTerm) {
    reject(state, from, append);
    return;
  }
  storeEntries(state, append.entries);
  const matched = asIndex(append.prevIndex + append.entries.length);
  advanceCommit(state, asIndex(Math.min(append.commitIndex, matched)));
  accept(state, from, matched, append.stamp);
}

/** Skips what is there already, cuts from the first that differs, appends the rest. */
function storeEntries(state: CoreState, entries: readonly LogEntry[]): void {
  const { log } = state;
  const fresh = entries.findIndex((entry) => log.termAt(entry.index) !== entry.term);
  if (fresh === -1) return;
  const first = entries[fresh] as LogEntry;
  if (first.index <= state.commitIndex)
    throw new RaftInvariantError(
      `entry ${first.index} of term ${first.term} conflicts with a committed one (commit index ${state.commitIndex})`,
    );
  if (first.index <= log.lastIndex) {
    log.truncateFrom(first.index);
    const before = state.configurations.current;
    state.configurations.truncateFrom(first.index);
    if (state.configurations.current !== before)
      state.outbox.notice({ kind: 'configuration', index: state.configurations.current.index });
  }
  state.outbox.entriesChangedFrom(first.index);
  for (const entry of entries.slice(fresh)) {
    log.append(entry);
    if (entry.kind === 'configuration') adoptConfiguration(state, entry);
  }
}

function accept(state: CoreState, to: NodeId, index: LogIndex, stamp: Stamp): void {
  const message = {
    kind: 'append-reply',
    term: state.term,
    accepted: true,
    index,
    hintIndex: asIndex(0),
    hintTerm: state.log.lastTerm,
    stamp,
  } as const;
  if (state.options.plantedBug === 'acknowledge-before-sync') send(state, to, message);
  else state.outbox.sendOnceDurable({ to, message }, index);
}

function reject(state: CoreState, to: NodeId, append: Append): void {
  const hint = state.log.lastIndexWithTermAtMost(append.prevIndex, append.prevTerm);
  send(state, to, {
    kind: 'append-reply',
    term: state.term,
    accepted: false,
    index: append.prevIndex,
    hintIndex: hint.index,
    hintTerm: hint.term,
    stamp: append.stamp,
  });
}

/** Tells who sends in an older term which one it is now, so that a leader of the past steps down. */
export function rejectOldTerm(state: CoreState, to: NodeId, stamp: Stamp): void {
  send(state, to, {
    kind: 'append-reply',
    term: state.term,
    accepted: false,
    index: asIndex(0),
    hintIndex: asIndex(0),
    hintTerm: state.term,
    stamp,
  });
}

export function onInstallSnapshot(state: CoreState, from: NodeId, message: InstallSnapshot): void {
  const { meta } = message;
  if (state.installing !== undefined) return;
  if (meta.index <= state.commitIndex) {
    accept(state, from, state.commitIndex, NO_STAMP);
    return;
  }
  if (state.log.termAt(meta.index) === meta.term) {
    // All entries are here already; only the news that they are committed was missing.
    advanceCommit(state, meta.index);
    accept(state, from, meta.index, NO_STAMP);
    return;
  }
  state.installing = { meta, from };
  state.outbox.installSnapshot(meta);
}

/** The driver has the snapshot on disk and in the state machine, and the log file starts after it. */
export function onSnapshotInstalled(state: CoreState, meta: SnapshotMeta): void {
  const { installing } = state;
  if (installing === undefined) return;
  state.installing = undefined;
  state.log.reset(meta.index, meta.term);
  state.outbox.logReset(meta.index);
  state.configurations.reset({ index: meta.configurationIndex, peers: meta.peers });
  state.outbox.notice({ kind: 'configuration', index: meta.configurationIndex });
  state.commitIndex = meta.index;
  state.snapshot = meta;
  restartElectionTimer(state);
  accept(state, state.leader ?? installing.from, meta.index, NO_STAMP);
}

/** The leader hands over. Refused by whoever is no voter, and when the leader was heard again since it asked. */
export function onTimeoutNow(state: CoreState, from: NodeId, message: TimeoutNow): void {
  if (state.role !== 'follower' || state.leader !== from || state.leaderRound > message.round) return;
  campaign(state, true);
}

/** The stream on which the leader spoke ended; its process may be gone. Saves most of the random wait. */
export function onLeaderStreamClosed(state: CoreState, id: NodeId): void {
  if (state.role !== 'follower' || state.leader !== id) return;
  // Never sooner than votes are held back for after it was last heard: its lease counts on that.
  const earliest = state.lastContactMs + voteHoldMs(state.options.timing) * (1 + state.options.random() / 4);
  state.electionDeadlineMs = Math.min(state.electionDeadlineMs, Math.max(earliest, state.nowMs));
}

export function advanceCommit(state: CoreState, index: LogIndex): void {
  const reached = asIndex(Math.min(index, state.log.lastIndex));
  if (reached > state.commitIndex) state.commitIndex = reached;
}
