/** The log as the core sees it: a base that stands for all that was compacted, and the entries after it. */

import type { LogIndex, Term } from '../types.ts';
import { asIndex, entryBytes, type LogEntry, RaftInvariantError, ZERO_INDEX, ZERO_TERM } from './entry.ts';

/**
 * Invariant: `#entries[i].index === #baseIndex + 1 + i`; terms never decrease. All entries are held in memory,
 * which the driver bounds by taking a snapshot when `bytes` passes a threshold.
 */
export class RaftLog {
  #baseIndex: LogIndex;
  #baseTerm: Term;
  #entries: LogEntry[] = [];
  #bytes = 0;

  constructor(baseIndex: LogIndex = ZERO_INDEX, baseTerm: Term = ZERO_TERM) {
    this.#baseIndex = baseIndex;
    this.#baseTerm = baseTerm;
  }

  get baseIndex(): LogIndex {
    return this.#baseIndex;
  }

  get baseTerm(): Term {
    return this.#baseTerm;
  }

  get firstIndex(): LogIndex {
    return asIndex(this.#baseIndex + 1);
  }

  get lastIndex(): LogIndex {
    return asIndex(this.#baseIndex + this.#entries.length);
  }

  get lastTerm(): Term {
    return this.#entries[this.#entries.length - 1]?.term ?? this.#baseTerm;
  }

  /** Bytes of all entries held, overhead included. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The term at `index`, the base included; undefined when compacted away or not yet there. */
  termAt(index: number): Term | undefined {
    if (index === this.#baseIndex) return this.#baseTerm;
    return this.#entries[index - this.#baseIndex - 1]?.term;
  }

  entryAt(index: number): LogEntry | undefined {
    return this.#entries[index - this.#baseIndex - 1];
  }

  /** Entries from `from` up to and including `to`; both must be held. */
  between(from: number, to: number): readonly LogEntry[] {
    return this.#entries.slice(from - this.#baseIndex - 1, to - this.#baseIndex);
  }

  /** Entries from `from` on, as many as the limits allow, at least one if there is any. */
  from(from: number, maxEntries: number, maxBytes: number): readonly LogEntry[] {
    const start = from - this.#baseIndex - 1;
    let end = start;
    let bytes = 0;
    for (; end < this.#entries.length && end - start < maxEntries; end++) {
      bytes += entryBytes(this.#entries[end] as LogEntry);
      if (bytes > maxBytes && end > start) break;
    }
    return this.#entries.slice(start, end);
  }

  append(entry: LogEntry): void {
    if (entry.index !== this.lastIndex + 1 || entry.term < this.lastTerm)
      throw new RaftInvariantError(
        `append of entry ${entry.index} in term ${entry.term} after ${this.lastIndex} in term ${this.lastTerm}`,
      );
    this.#entries.push(entry);
    this.#bytes += entryBytes(entry);
  }

  /** Cuts `index` and all after it. */
  truncateFrom(index: number): void {
    if (index <= this.#baseIndex)
      throw new RaftInvariantError(`cut at ${index}, at or below the compacted ${this.#baseIndex}`);
    const removed = this.#entries.splice(index - this.#baseIndex - 1);
    for (const entry of removed) this.#bytes -= entryBytes(entry);
  }

  /** Lets `index`, which must be held, stand for all up to it. */
  compactTo(index: LogIndex): void {
    if (index <= this.#baseIndex) return;
    const term = this.termAt(index);
    if (term === undefined) throw new RaftInvariantError(`compaction to ${index}, which is not in the log`);
    const removed = index - this.#baseIndex;
    const kept = this.#entries.slice(removed);
    // A snapshot lets hundreds of thousands go and keeps few: whichever are fewer are counted.
    if (kept.length < removed) this.#bytes = bytesOf(kept);
    else this.#bytes -= bytesOf(this.#entries.slice(0, removed));
    this.#entries = kept;
    this.#baseIndex = index;
    this.#baseTerm = term;
  }

  /** Empties the log; a snapshot at `index` stands for all up to it. */
  reset(index: LogIndex, term: Term): void {
    this.#baseIndex = index;
    this.#baseTerm = term;
    this.#entries = [];
    this.#bytes = 0;
  }

  /** Whether a log that ends at (`index`, `term`) has at least what this one has (Raft, §5.4.1). */
  isUpToDate(index: LogIndex, term: Term): boolean {
    return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex);
  }

  /**
   * The greatest index ≤ `index` whose term is ≤ `term`: where two logs that differ may still agree. Skips a whole
   * term per round trip, so that back-off takes as many rounds as there are differing terms, not entries.
   */
  lastIndexWithTermAtMost(index: number, term: number): { readonly index: LogIndex; readonly term: Term } {
    let at = Math.min(index, this.lastIndex);
    while (at > this.#baseIndex && (this.termAt(at) as number) > term) at--;
    return { index: asIndex(Math.max(at, 0)), term: this.termAt(at) ?? ZERO_TERM };
  }
}

function bytesOf(entries: readonly LogEntry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}
