/**
 * Raft as a pure state machine: inputs go in by `step`, what is to be done comes out by `ready`.
 *
 * No clock, timer, promise, file or socket inside. The driver passes the time with each step, writes what `ready`
 * returns in order, reports it by `persisted`, and sends the messages; these may leave at once, since whatever
 * must be durable first is held back in here.
 */

import type { LogIndex, MembershipChange, NodeId, RaftPeer } from '../types.ts';
import { appendOwn } from './append-own.ts';
import { changedPeers, encodePeers } from './configuration.ts';
import { campaign, countOwnVote, onVoteReply, onVoteRequest } from './election.ts';
import { asIndex, asTerm, ENTRY_OVERHEAD_BYTES, type LogEntry, type SnapshotMeta } from './entry.ts';
import {
  hearLeader,
  onAppend,
  onHeartbeat,
  onInstallSnapshot,
  onLeaderStreamClosed,
  onSnapshotInstalled,
  onTimeoutNow,
  rejectOldTerm,
} from './follower.ts';
import type { Input, Outcome, Ready } from './input.ts';
import {
  advanceLeaderCommit,
  hasCommittedInTerm,
  onAppendReply,
  onHeartbeatReply,
  onSnapshotSent,
  onUnreachable,
  quorumContactMs,
  tickLeader,
} from './leader.ts';
import { type Message, NO_STAMP } from './messages.ts';
import { type CoreOptions, checkTiming } from './options.ts';
import { askForReadIndex, onReadIndex, onReadIndexReply } from './read-index.ts';
import { flushLeader } from './replicate.ts';
import { becomeFollower, restartElectionTimer } from './roles.ts';
import { type CoreState, createState, isSoleVoter, type RestoredState } from './state.ts';
import { onStorage } from './storage-health.ts';
import { isTransferPossible, startTransfer } from './transfer.ts';

const DONE: Outcome = { kind: 'done' };
const NOT_LEADER: Outcome = { kind: 'refused', reason: 'not-leader', text: 'node is not the leader' };

export class RaftCore {
  readonly #state: CoreState;

  /** @throws Error when the timing is unsafe */
  constructor(options: CoreOptions, restored: RestoredState, nowMs: number) {
    checkTiming(options.timing);
    this.#state = createState(options, restored, nowMs);
    if (isSoleVoter(this.#state)) this.#state.electionDeadlineMs = nowMs;
    else restartElectionTimer(this.#state);
  }

  /** A view for status and tests; changed only by `step`. */
  get state(): Readonly<CoreState> {
    return this.#state;
  }

  /** When the next `tick` is due, on the clock of `step`. */
  nextDeadlineMs(): number {
    const { leadership, electionDeadlineMs } = this.#state;
    if (leadership === undefined) return electionDeadlineMs;
    return Math.min(
      leadership.nextHeartbeatMs,
      leadership.commitNoticeAtMs ?? Number.POSITIVE_INFINITY,
      leadership.transfer?.deadlineMs ?? Number.POSITIVE_INFINITY,
    );
  }

  /**
   * Whether no other server can lead at `nowMs`, as long as no clock errs by more than the timing allows for, and
   * this one has committed in its term, so that its commit index covers all earlier leaders' entries.
   */
  hasLease(nowMs: number): boolean {
    const state = this.#state;
    const { leadership } = state;
    if (leadership === undefined || !hasCommittedInTerm(state) || isTransferPossible(leadership))
      return false;
    if (isSoleVoter(state)) return true;
    return nowMs < quorumContactMs(state, leadership) + state.options.timing.leaseMs;
  }

  /**
   * Entries that may be applied: all that are committed, on this server's disk or not. A quorum has them on disk, and
   * the state is rebuilt from the log in any case, so that a slow disk here keeps nobody waiting.
   */
  get applicableIndex(): LogIndex {
    return this.#state.commitIndex;
  }

  /** @throws RaftInvariantError when an invariant is broken; the process must stop */
  step(input: Input, nowMs: number): Outcome {
    const state = this.#state;
    state.nowMs = Math.max(state.nowMs, nowMs);
    switch (input.kind) {
      case 'tick':
        this.#tick();
        return DONE;
      case 'message':
        this.#receive(input.from, input.message);
        return DONE;
      case 'propose':
        return this.#propose(input.commands);
      case 'change-membership':
        return this.#changeMembership(input.change);
      case 'read':
        return this.#read(input.context);
      case 'transfer': {
        if (state.leadership === undefined) return NOT_LEADER;
        const text = startTransfer(state, state.leadership, input.to);
        return text === undefined ? DONE : { kind: 'refused', reason: 'invalid', text };
      }
      case 'bootstrap':
        return this.#bootstrap(input.peers);
      case 'persisted':
        state.outbox.persisted(input.sequence, state.log);
        countOwnVote(state);
        advanceLeaderCommit(state);
        return DONE;
      case 'snapshot-taken':
        this.#snapshotTaken(input.meta, input.compactTo);
        return DONE;
      case 'snapshot-installed':
        onSnapshotInstalled(state, input.meta);
        return DONE;
      case 'snapshot-failed':
        state.installing = undefined;
        return DONE;
      case 'snapshot-sent':
        onSnapshotSent(state, input.to, input.ok);
        return DONE;
      case 'storage':
        onStorage(state, input.isStuck);
        return DONE;
      case 'unreachable':
        onUnreachable(state, input.id);
        return DONE;
      case 'stream-closed':
        onLeaderStreamClosed(state, input.id);
        return DONE;
    }
  }

  /** Takes what has come up since the last call. Call once at the end of a turn: what waits travels together. */
  ready(nowMs: number): Ready {
    const state = this.#state;
    state.nowMs = Math.max(state.nowMs, nowMs);
    if (state.leadership !== undefined) flushLeader(state, state.leadership);
    else askForReadIndex(state);
    const hardState = { term: state.term, vote: state.vote };
    const write = state.outbox.takeWrite(state.log, hardState, state.commitIndex);
    const isVoteForgotten = state.options.plantedBug === 'vote-not-persisted' && state.vote !== undefined;
    return {
      write: write !== undefined && isVoteForgotten ? { ...write, hardState: undefined } : write,
      messages: state.outbox.takeMessages(),
      installSnapshot: state.outbox.takeSnapshot(),
      notices: state.outbox.takeNotices(),
    };
  }

  #tick(): void {
    const state = this.#state;
    if (state.leadership !== undefined) tickLeader(state, state.leadership);
    else if (state.nowMs >= state.electionDeadlineMs && !this.#stoodStill()) campaign(state, false);
  }

  /**
   * When this tick comes late, the process was held up, and what the leader sent meanwhile may wait unread: then the
   * election waits for another heartbeat, once.
   */
  #stoodStill(): boolean {
    const state = this.#state;
    const { heartbeatMs } = state.options.timing;
    if (state.leader === undefined || state.nowMs - state.electionDeadlineMs < heartbeatMs / 10) return false;
    state.electionDeadlineMs = state.nowMs + heartbeatMs;
    return true;
  }

  #read(context: number): Outcome {
    const { leadership, leader, remoteReads } = this.#state;
    if (leadership !== undefined) leadership.waitingReads.push({ from: undefined, context });
    else if (leader === undefined) return NOT_LEADER;
    else if (!remoteReads.add(context))
      return { kind: 'refused', reason: 'overloaded', text: 'too many reads wait for the leader' };
    return DONE;
  }

  #receive(from: NodeId, message: Message): void {
    const state = this.#state;
    if (from === state.options.id) return;
    if (message.kind === 'vote-request') {
      onVoteRequest(state, from, message);
      return;
    }
    const isGrantedPreVote = message.kind === 'vote-reply' && message.isPreVote && message.granted;
    const isFromLeader =
      message.kind === 'append' || message.kind === 'heartbeat' || message.kind === 'install-snapshot';
    if (message.term > state.term && !isGrantedPreVote)
      becomeFollower(state, message.term, isFromLeader ? from : undefined);
    if (message.term < state.term) {
      if (isFromLeader) rejectOldTerm(state, from, 'stamp' in message ? message.stamp : NO_STAMP);
      return;
    }
    this.#receiveOfTerm(from, message);
  }

  #receiveOfTerm(from: NodeId, message: Exclude<Message, { readonly kind: 'vote-request' }>): void {
    const state = this.#state;
    switch (message.kind) {
      case 'vote-reply':
        onVoteReply(state, from, message);
        return;
      case 'append':
        hearLeader(state, from, message.stamp.round);
        onAppend(state, from, message);
        return;
      case 'heartbeat':
        hearLeader(state, from, message.stamp.round);
        onHeartbeat(state, from, message);
        return;
      case 'install-snapshot':
        hearLeader(state, from, 0);
        onInstallSnapshot(state, from, message);
        return;
      case 'timeout-now':
        onTimeoutNow(state, from, message);
        return;
      case 'append-reply':
        onAppendReply(state, from, message);
        return;
      case 'heartbeat-reply':
        onHeartbeatReply(state, from, message);
        return;
      case 'read-index':
        onReadIndex(state, from, message);
        return;
      case 'read-index-reply':
        onReadIndexReply(state, message);
        return;
    }
  }

  #propose(commands: readonly Uint8Array[]): Outcome {
    const state = this.#state;
    const { leadership } = state;
    if (leadership === undefined) return NOT_LEADER;
    if (leadership.transfer !== undefined)
      return { kind: 'refused', reason: 'transferring', text: 'leadership transfer in progress' };
    // Only the sole voter still leads then; what it took on would keep its callers waiting for the disk.
    if (state.storage.isStuck)
      return {
        kind: 'refused',
        reason: 'overloaded',
        text: 'raft log cannot be written: disk full or stuck',
      };
    const bytes = commands.reduce((sum, command) => sum + command.length + ENTRY_OVERHEAD_BYTES, 0);
    const limit = state.options.limits.maxUncommittedBytes;
    if (leadership.uncommittedBytes > 0 && leadership.uncommittedBytes + bytes > limit)
      return { kind: 'refused', reason: 'overloaded', text: 'too many uncommitted raft entries' };
    const firstIndex = asIndex(state.log.lastIndex + 1);
    for (const command of commands) appendOwn(state, 'command', command);
    return { kind: 'appended', firstIndex, term: state.term };
  }

  #changeMembership(change: MembershipChange): Outcome {
    const state = this.#state;
    const { leadership } = state;
    if (leadership === undefined) return NOT_LEADER;
    if (leadership.transfer !== undefined)
      return { kind: 'refused', reason: 'transferring', text: 'leadership transfer in progress' };
    const { index, peers } = state.configurations.current;
    // A change before the first commit of the term could form quorums that miss an earlier leader's change
    // (the erratum to single-server changes, raft-dev, July 2015).
    if (index > state.commitIndex || !hasCommittedInTerm(state))
      return { kind: 'refused', reason: 'not-yet', text: 'configuration change already in progress' };
    const next = changedPeers(peers, change);
    if (typeof next === 'string') return { kind: 'refused', reason: 'invalid', text: next };
    const firstIndex = appendOwn(state, 'configuration', encodePeers(next));
    return { kind: 'appended', firstIndex, term: state.term };
  }

  #bootstrap(peers: readonly RaftPeer[]): Outcome {
    const state = this.#state;
    if (state.term > 0 || state.log.lastIndex > 0)
      return {
        kind: 'refused',
        reason: 'invalid',
        text: 'bootstrap only works on new clusters',
      };
    // Every first server writes this same entry on its own, so it must not depend on who writes it.
    const sorted = peers.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    state.term = asTerm(1);
    state.outbox.hardStateChanged();
    const firstIndex = appendOwn(state, 'configuration', encodePeers(sorted));
    const { electionMs } = state.options.timing;
    // No leader can have been promised anything yet, so nobody need wait long.
    state.electionDeadlineMs = state.nowMs + (isSoleVoter(state) ? 0 : electionMs * state.options.random());
    return { kind: 'appended', firstIndex, term: state.term };
  }

  #snapshotTaken(meta: SnapshotMeta, compactTo: LogIndex): void {
    const state = this.#state;
    if (meta.index <= (state.snapshot?.index ?? 0)) return;
    state.snapshot = meta;
    const limit = Math.min(compactTo, meta.index, state.outbox.durableIndex);
    if (limit > state.log.baseIndex) {
      state.log.compactTo(asIndex(limit));
      state.configurations.compactTo(asIndex(limit));
    }
  }
}

/** Entries that are committed and held, from `from` on: for the driver to apply. */
export function applicableEntries(
  core: RaftCore,
  from: LogIndex,
  maxEntries: number,
  maxBytes: number,
): readonly LogEntry[] {
  const { log } = core.state;
  const end = core.applicableIndex;
  if (from > end) return [];
  return log.from(from, Math.min(maxEntries, end - from + 1), maxBytes);
}
