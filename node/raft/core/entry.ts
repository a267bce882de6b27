/** Log entries, durable vote state and snapshot descriptions: the values that the whole of consensus passes around. */

import type { LogIndex, NodeId, RaftPeer, Term } from '../types.ts';

export type EntryKind = 'command' | 'noop' | 'configuration';

/** One slot of the replicated log. `data` is empty for `noop` and JSON (see configuration.ts) for `configuration`. */
export interface LogEntry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
}

/** What a server must never forget: the highest term seen and whom it voted for in it. */
export interface HardState {
  readonly term: Term;
  readonly vote: NodeId | undefined;
}

/** What a snapshot stands for: the state after `index`, and the membership in force there. */
export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly peers: readonly RaftPeer[];
  readonly configurationIndex: LogIndex;
}

/** Bytes an entry counts for beside its data, when appends and queues are bounded. */
export const ENTRY_OVERHEAD_BYTES = 16;

export const NO_BYTES = new Uint8Array(0);

/** The one place where plain numbers and texts become branded; callers have checked the range. */
export const asTerm = (value: number): Term => value as Term;
export const asIndex = (value: number): LogIndex => value as LogIndex;
export const asNodeId = (value: string): NodeId => value as NodeId;

export const ZERO_TERM = asTerm(0);
export const ZERO_INDEX = asIndex(0);

export function entryBytes(entry: LogEntry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

/** A rule of the protocol was broken in this process; going on would corrupt, so the process must stop. */
export class RaftInvariantError extends Error {
  override readonly name = 'RaftInvariantError';
}
