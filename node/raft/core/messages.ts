/** What servers say to each other, as values; the bytes are in ../transport/codec.ts. */

import type { LogIndex, NodeId, Term } from '../types.ts';
import type { LogEntry, SnapshotMeta } from './entry.ts';

/**
 * Marks a message from the leader, and comes back with the answer: which quorum round it belongs to and when, on
 * the leader's own clock, it was made. The answer proves that the sender was still followed at that moment, which
 * confirms reads (`round`) and prolongs the lease (`sentAtMs`).
 */
export interface Stamp {
  readonly round: number;
  readonly sentAtMs: number;
}

export interface VoteRequest {
  readonly kind: 'vote-request';
  /** The term the sender is in, or, for a pre-vote, the one it would enter. */
  readonly term: Term;
  readonly isPreVote: boolean;
  /** Set after a leadership transfer: the receiver must not refuse because it still hears the old leader. */
  readonly isForced: boolean;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
}

export interface VoteReply {
  readonly kind: 'vote-reply';
  /** The term asked for when granted, else the replier's own. */
  readonly term: Term;
  readonly isPreVote: boolean;
  readonly granted: boolean;
}

export interface Append {
  readonly kind: 'append';
  readonly term: Term;
  readonly prevIndex: LogIndex;
  readonly prevTerm: Term;
  readonly entries: readonly LogEntry[];
  readonly commitIndex: LogIndex;
  readonly stamp: Stamp;
}

export interface AppendReply {
  readonly kind: 'append-reply';
  readonly term: Term;
  readonly accepted: boolean;
  /** Accepted: all up to here is the leader's and on disk. Refused: the `prevIndex` that did not match. */
  readonly index: LogIndex;
  /** Refused: the last place where the logs may still agree. */
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
  readonly stamp: Stamp;
}

export interface Heartbeat {
  readonly kind: 'heartbeat';
  readonly term: Term;
  /** Never beyond what the receiver is known to hold. */
  readonly commitIndex: LogIndex;
  readonly stamp: Stamp;
}

export interface HeartbeatReply {
  readonly kind: 'heartbeat-reply';
  readonly term: Term;
  readonly stamp: Stamp;
}

/** Asks the receiver to start an election at once. Void once the receiver has seen a later round of that leader. */
export interface TimeoutNow {
  readonly kind: 'timeout-now';
  readonly term: Term;
  readonly round: number;
}

/** A whole snapshot. The driver sends the state in chunks and hands the core this message when all has arrived. */
export interface InstallSnapshot {
  readonly kind: 'install-snapshot';
  readonly term: Term;
  readonly meta: SnapshotMeta;
}

/** A server that does not lead asks for the index that its reads must see. `batch` is its own number for them. */
export interface ReadIndex {
  readonly kind: 'read-index';
  readonly term: Term;
  readonly batch: number;
}

/** A quorum has confirmed the sender's lead after it was asked: reads of `batch` may be served once `index` is applied. */
export interface ReadIndexReply {
  readonly kind: 'read-index-reply';
  readonly term: Term;
  readonly batch: number;
  readonly index: LogIndex;
}

export type Message =
  | VoteRequest
  | VoteReply
  | Append
  | AppendReply
  | Heartbeat
  | HeartbeatReply
  | TimeoutNow
  | ReadIndex
  | ReadIndexReply
  | InstallSnapshot;

export interface Envelope {
  readonly to: NodeId;
  readonly message: Message;
}

export const NO_STAMP: Stamp = { round: 0, sentAtMs: 0 };
