/** The shape of a log without its commands: what `Replay` would make of the same items, in memory that depends on the terms alone. */

import { FormatError } from '../bytes.ts';
import { type Configuration, decodePeers } from '../core/configuration.ts';
import { asIndex, type HardState, type LogEntry, ZERO_INDEX, ZERO_TERM } from '../core/entry.ts';
import type { LogIndex, Term } from '../types.ts';
import type { WalItem } from './record.ts';

/** Entries from `first` on have `term`, up to the next run or the end. */
interface TermRun {
  readonly first: number;
  readonly term: Term;
}

/** Invariant: `#runs` ascends by index and by term; with no run the log holds no entry. */
export class LogOutline {
  hardState: HardState = { term: ZERO_TERM, vote: undefined };
  reset: { readonly index: LogIndex; readonly term: Term } | undefined;
  recovery: Configuration | undefined;
  #runs: TermRun[] = [];
  #end: LogIndex | undefined;
  #committed = ZERO_INDEX;
  #configurations: Configuration[] = [];

  /** 0 when the log holds no entry. */
  get firstIndex(): number {
    return this.#runs[0]?.first ?? 0;
  }

  /** That of the last entry, else of the snapshot that replaced the log, else 0. */
  get lastIndex(): LogIndex {
    return this.#end ?? this.reset?.index ?? ZERO_INDEX;
  }

  get lastTerm(): Term {
    return this.#runs[this.#runs.length - 1]?.term ?? this.reset?.term ?? ZERO_TERM;
  }

  /** At least this much was committed. */
  get commitIndex(): LogIndex {
    return asIndex(Math.min(this.#committed, this.lastIndex));
  }

  /** Those of the entries that the log holds, ascending. */
  get configurations(): readonly Configuration[] {
    return this.#configurations;
  }

  /** The term of the entry at `index`, or of the snapshot that ends there; undefined when neither is held. */
  termAt(index: number): Term | undefined {
    if (index === this.reset?.index) return this.reset.term;
    if (index < this.firstIndex || index > (this.#end ?? 0)) return undefined;
    return this.#runs.findLast((run) => run.first <= index)?.term;
  }

  /** @throws FormatError when the item does not follow from those before */
  add(item: WalItem): void {
    switch (item.kind) {
      case 'hard-state':
        if (item.hardState.term < this.hardState.term)
          throw new FormatError(`term goes back from ${this.hardState.term} to ${item.hardState.term}`);
        this.hardState = item.hardState;
        return;
      case 'entries':
        this.#addEntries(item.entries);
        return;
      case 'commit':
        this.#committed = asIndex(Math.max(this.#committed, item.index));
        return;
      case 'reset':
        this.#runs = [];
        this.#end = undefined;
        this.#configurations = [];
        this.reset = { index: item.index, term: item.term };
        this.recovery = undefined;
        this.#committed = item.index;
        return;
      case 'recovery':
        this.recovery = item.configuration;
        return;
    }
  }

  #addEntries(entries: readonly LogEntry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const end = this.#end ?? this.reset?.index;
    if (end !== undefined && first.index > end + 1)
      throw new FormatError(`entry ${first.index} follows entry ${end}`);
    if (this.reset !== undefined && first.index <= this.reset.index)
      throw new FormatError(`entry ${first.index} replaces part of the snapshot at ${this.reset.index}`);
    this.#cutFrom(first.index);
    for (const entry of entries) {
      const last = this.#runs[this.#runs.length - 1];
      if (last !== undefined && entry.term < last.term)
        throw new FormatError(`term goes back at entry ${entry.index}`);
      if (entry.term !== last?.term) this.#runs.push({ first: entry.index, term: entry.term });
      this.#end = entry.index;
      if (entry.kind === 'configuration')
        this.#configurations.push({ index: entry.index, peers: decodePeers(entry.data) });
    }
  }

  #cutFrom(index: LogIndex): void {
    while (this.#runs.length > 0 && (this.#runs[this.#runs.length - 1] as TermRun).first >= index)
      this.#runs.pop();
    this.#configurations = this.#configurations.filter((known) => known.index < index);
    if (this.recovery !== undefined && this.recovery.index >= index)
      this.recovery = { index: asIndex(index - 1), peers: this.recovery.peers };
  }
}
