/** What goes into the core, and what comes out of it. */

import type { LogIndex, MembershipChange, NodeId, RaftPeer, Term } from '../types.ts';
import type { SnapshotMeta } from './entry.ts';
import type { Envelope, Message } from './messages.ts';
import type { Notice, Write } from './outbox.ts';

export type Input =
  /** Time has passed; due whenever `nextDeadlineMs` is. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly from: NodeId; readonly message: Message }
  /** Commands to append, in order; all or none. */
  | { readonly kind: 'propose'; readonly commands: readonly Uint8Array[] }
  | { readonly kind: 'change-membership'; readonly change: MembershipChange }
  /**
   * A read that must see all that was committed before; answered by a notice with this context. A server that does
   * not lead has its leader confirm it.
   */
  | { readonly kind: 'read'; readonly context: number }
  | { readonly kind: 'transfer'; readonly to: NodeId | undefined }
  /** First configuration of a new cluster; only on a server without any state. */
  | { readonly kind: 'bootstrap'; readonly peers: readonly RaftPeer[] }
  /** The write with this sequence, and so all before it, is durable. */
  | { readonly kind: 'persisted'; readonly sequence: number }
  /** A snapshot of this server's own state is durable; entries up to `compactTo` may go. */
  | { readonly kind: 'snapshot-taken'; readonly meta: SnapshotMeta; readonly compactTo: LogIndex }
  | { readonly kind: 'snapshot-installed'; readonly meta: SnapshotMeta }
  /** The snapshot could not be installed; the leader will send another. */
  | { readonly kind: 'snapshot-failed' }
  /** All chunks were taken by the peer, or they were not. */
  | { readonly kind: 'snapshot-sent'; readonly to: NodeId; readonly ok: boolean }
  /** The log takes no more, or again does: a full disk, or a write that has not returned for long. */
  | { readonly kind: 'storage'; readonly isStuck: boolean }
  | { readonly kind: 'unreachable'; readonly id: NodeId }
  | { readonly kind: 'stream-closed'; readonly id: NodeId };

export type Outcome =
  | { readonly kind: 'done' }
  /** Appended from `firstIndex` on, in `term`. */
  | { readonly kind: 'appended'; readonly firstIndex: LogIndex; readonly term: Term }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly text: string };

export type RefusalReason =
  | 'not-leader'
  /** Leadership is being handed over. */
  | 'transferring'
  /** A change is not yet committed, or the leader has not yet committed in its term. Try again. */
  | 'not-yet'
  | 'overloaded'
  | 'invalid';

/** What is to be done after a turn, in this order: write, send, install, tell. */
export interface Ready {
  readonly write: Write | undefined;
  readonly messages: readonly Envelope[];
  readonly installSnapshot: SnapshotMeta | undefined;
  readonly notices: readonly Notice[];
}
