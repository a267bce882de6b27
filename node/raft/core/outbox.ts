/** What the core wants done: writes in order, and messages, each held back until what it depends on is durable. */

import type { LogIndex, NodeId, Term } from '../types.ts';
import { asIndex, type HardState, type LogEntry, type SnapshotMeta } from './entry.ts';
import type { RaftLog } from './log.ts';
import type { Envelope } from './messages.ts';

/** One batch for the log file. Writes must reach the disk in order and be reported back by `sequence`. */
export interface Write {
  readonly sequence: number;
  /** Present when it changed since the write before. */
  readonly hardState: HardState | undefined;
  /** Replace all that the log holds from the first one's index on. */
  readonly entries: readonly LogEntry[];
  /** A hint: what was known to be committed. A restart may apply that much at once. */
  readonly commitIndex: LogIndex;
}

/** What happened, for logs, events and callers. */
export type Notice =
  | { readonly kind: 'became-follower'; readonly term: Term; readonly leader: NodeId | undefined }
  | { readonly kind: 'heartbeat-timeout'; readonly lastLeader: NodeId | undefined }
  | { readonly kind: 'became-candidate'; readonly term: Term; readonly isPreVote: boolean }
  | { readonly kind: 'won-election'; readonly term: Term; readonly tally: number }
  | { readonly kind: 'lost-quorum'; readonly term: Term }
  | { readonly kind: 'no-known-peers' }
  | { readonly kind: 'not-a-voter' }
  | { readonly kind: 'configuration'; readonly index: LogIndex }
  | { readonly kind: 'transfer-aborted'; readonly to: NodeId }
  /** The disk takes no more, so this leader gives up. */
  | { readonly kind: 'storage-stuck'; readonly term: Term }
  /** The reads with these contexts are confirmed: serve them once `index` is applied. */
  | { readonly kind: 'reads-confirmed'; readonly index: LogIndex; readonly contexts: readonly number[] }
  | { readonly kind: 'reads-failed'; readonly contexts: readonly number[] };

/** More held back than that means a disk that takes nothing for long; all messages may be lost, so the oldest go. */
const MAX_DEFERRED = 4096;

interface IssuedWrite {
  readonly sequence: number;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term | undefined;
}

/**
 * Invariant: `persisted ≤ sequences in #issued < next`; a deferred envelope's sequence is > `persisted`.
 * A deferred envelope waits for the newest write that holds what it promises, so that no promise outlives a crash
 * unless what it promises does.
 */
export class Outbox {
  #messages: Envelope[] = [];
  #deferred: { readonly sequence: number; readonly envelope: Envelope }[] = [];
  #notices: Notice[] = [];
  #issued: IssuedWrite[] = [];
  #next = 1;
  #persisted = 0;
  #hardStateSequence = 0;
  #isHardStateUnsaved = false;
  /** First entry that no write holds yet; undefined when all are written. */
  #unsavedFrom: number | undefined;
  #entriesSequence = 0;
  #durableIndex: LogIndex;
  #snapshot: SnapshotMeta | undefined;

  constructor(durableIndex: LogIndex) {
    this.#durableIndex = durableIndex;
  }

  /** The end of the log's part that is on this server's disk. */
  get durableIndex(): LogIndex {
    return this.#durableIndex;
  }

  get isHardStateDurable(): boolean {
    return this.#hardStateSequence <= this.#persisted;
  }

  hardStateChanged(): void {
    this.#isHardStateUnsaved = true;
    this.#hardStateSequence = this.#next;
  }

  entriesChangedFrom(index: LogIndex): void {
    this.#unsavedFrom = Math.min(index, this.#unsavedFrom ?? index);
    this.#entriesSequence = this.#next;
    if (index <= this.#durableIndex) this.#durableIndex = asIndex(index - 1);
  }

  /** The log was replaced by a snapshot that is on disk. */
  logReset(index: LogIndex): void {
    this.#unsavedFrom = undefined;
    this.#durableIndex = index;
  }

  /** Queues a message; it leaves once term and vote are durable. */
  send(envelope: Envelope): void {
    this.#queue(envelope, this.#hardStateSequence);
  }

  /** Queues a message that promises all entries up to `index`; it leaves once those are durable, too. */
  sendOnceDurable(envelope: Envelope, index: LogIndex): void {
    const entries = index > this.#durableIndex ? this.#entriesSequence : 0;
    this.#queue(envelope, Math.max(this.#hardStateSequence, entries));
  }

  notice(notice: Notice): void {
    this.#notices.push(notice);
  }

  installSnapshot(meta: SnapshotMeta): void {
    this.#snapshot = meta;
  }

  /** All up to the write `sequence` is on disk. */
  persisted(sequence: number, log: RaftLog): void {
    this.#persisted = Math.max(this.#persisted, sequence);
    while (this.#issued[0] !== undefined && this.#issued[0].sequence <= sequence) {
      const write = this.#issued.shift() as IssuedWrite;
      // An entry that was replaced meanwhile has another term: what is on disk is then not what the log holds.
      const isStillThere = write.lastTerm !== undefined && log.termAt(write.lastIndex) === write.lastTerm;
      if (isStillThere && write.lastIndex > this.#durableIndex) this.#durableIndex = write.lastIndex;
    }
    const held = this.#deferred;
    this.#deferred = [];
    for (const item of held) this.#queue(item.envelope, item.sequence);
  }

  takeMessages(): readonly Envelope[] {
    const taken = this.#messages;
    this.#messages = [];
    return taken;
  }

  takeNotices(): readonly Notice[] {
    const taken = this.#notices;
    this.#notices = [];
    return taken;
  }

  takeSnapshot(): SnapshotMeta | undefined {
    const taken = this.#snapshot;
    this.#snapshot = undefined;
    return taken;
  }

  takeWrite(log: RaftLog, hardState: HardState, commitIndex: LogIndex): Write | undefined {
    const from = this.#unsavedFrom;
    if (!this.#isHardStateUnsaved && from === undefined) return undefined;
    const entries = from === undefined ? [] : log.between(from, log.lastIndex);
    const last = entries[entries.length - 1];
    const write: Write = {
      sequence: this.#next,
      hardState: this.#isHardStateUnsaved ? hardState : undefined,
      entries,
      commitIndex,
    };
    this.#issued.push({
      sequence: this.#next,
      lastIndex: last?.index ?? asIndex(0),
      lastTerm: last?.term,
    });
    this.#next++;
    this.#isHardStateUnsaved = false;
    this.#unsavedFrom = undefined;
    return write;
  }

  #queue(envelope: Envelope, sequence: number): void {
    if (sequence <= this.#persisted) this.#messages.push(envelope);
    else {
      if (this.#deferred.length >= MAX_DEFERRED) this.#deferred.splice(0, MAX_DEFERRED / 2);
      this.#deferred.push({ sequence, envelope });
    }
  }
}
