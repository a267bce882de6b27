/** Turns the items of the log files, in the order written, into the log that they describe. */

import { FormatError } from '../bytes.ts';
import type { Configuration } from '../core/configuration.ts';
import { asIndex, type HardState, type LogEntry, ZERO_INDEX, ZERO_TERM } from '../core/entry.ts';
import type { LogIndex, Term } from '../types.ts';
import type { StoredLog } from './log-storage.ts';
import type { WalItem } from './record.ts';

/** Invariant: `#entries` is consecutive. */
export class Replay {
  #hardState: HardState = { term: ZERO_TERM, vote: undefined };
  #entries: LogEntry[] = [];
  #reset: { readonly index: LogIndex; readonly term: Term } | undefined;
  #commitIndex = ZERO_INDEX;
  #recovery: Configuration | undefined;

  /** @throws FormatError when the item does not follow from those before */
  add(item: WalItem): void {
    switch (item.kind) {
      case 'hard-state':
        if (item.hardState.term < this.#hardState.term)
          throw new FormatError(`term goes back from ${this.#hardState.term} to ${item.hardState.term}`);
        this.#hardState = item.hardState;
        return;
      case 'entries':
        this.#addEntries(item.entries);
        return;
      case 'commit':
        this.#commitIndex = asIndex(Math.max(this.#commitIndex, item.index));
        return;
      case 'reset':
        this.#entries = [];
        this.#reset = item;
        this.#recovery = undefined;
        this.#commitIndex = item.index;
        return;
      case 'recovery':
        this.#recovery = item.configuration;
        return;
    }
  }

  finish(): StoredLog {
    const end = this.#entries[this.#entries.length - 1]?.index ?? this.#reset?.index ?? ZERO_INDEX;
    return {
      hardState: this.#hardState,
      entries: this.#entries,
      reset: this.#reset === undefined ? undefined : { index: this.#reset.index, term: this.#reset.term },
      commitIndex: asIndex(Math.min(this.#commitIndex, end)),
      recovery: this.#recovery,
    };
  }

  /** Entries replace all from their first index on. */
  #addEntries(entries: readonly LogEntry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const end = this.#entries[this.#entries.length - 1]?.index ?? this.#reset?.index;
    if (end !== undefined && first.index > end + 1)
      throw new FormatError(`entry ${first.index} follows entry ${end}`);
    if (this.#reset !== undefined && first.index <= this.#reset.index)
      throw new FormatError(`entry ${first.index} replaces part of the snapshot at ${this.#reset.index}`);
    const start = this.#entries[0]?.index ?? first.index;
    this.#entries.length = Math.max(0, Math.min(this.#entries.length, first.index - start));
    if (this.#recovery !== undefined && this.#recovery.index >= first.index)
      this.#recovery = { index: asIndex(first.index - 1), peers: this.#recovery.peers };
    let last = this.#entries[this.#entries.length - 1];
    for (const entry of entries) {
      if (last !== undefined && entry.term < last.term)
        throw new FormatError(`term goes back at entry ${entry.index}`);
      this.#entries.push(entry);
      last = entry;
    }
  }
}
