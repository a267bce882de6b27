/**
 * Replaces the state by a snapshot that comes in pieces, each a command of the log.
 *
 * Consul puts a restored snapshot into the leader's Raft storage past the end of the log, where no quorum has seen it:
 * a leader that fails then leaves servers with different states behind the same index. As commands, the snapshot is
 * agreed upon like everything else, survives a change of leaders, and needs nothing new of Raft. The pieces are part of
 * the replicated state until the last command makes them the state in one step, so a server that gets a Raft snapshot
 * in between can finish the restore too.
 */

import { inflateRawSync } from 'node:zlib';
import { Refusal } from './change.ts';
import { SnapshotReader } from './snapshot.ts';
import { highestIndex, indexOffset, markRestored } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { keepWriteSessions } from './write-sessions.ts';

/** More than a state that fits a server's memory twice; keeps sequence numbers at eight digits. */
const MAX_PIECES = 65_536;
/** Of one piece, unpacked. */
export const MAX_PIECE_BYTES = 4 * 1024 * 1024;
/** A snapshot that claims to be further on would make indexes run out of exact numbers. */
const MAX_INDEX = 2 ** 52;

/** Invariant: `#reader` has taken the pieces `0 … #taken − 1` of restore `#id`, unless `#failure` says why it could not. */
export class Restore {
  #id = '';
  #taken = 0;
  #reader = new SnapshotReader();
  #failure: string | undefined;

  /** The restore that was begun and has not ended; undefined when there is none. */
  static pendingId(tables: Tables): string | undefined {
    return tables.restorePieces.get(START)?.id;
  }

  /** Takes the place of whatever was begun before. */
  begin(tables: Tables, id: string): void {
    this.#forget(tables);
    tables.restorePieces.set(START, { id, bytes: NO_BYTES });
    this.#follow(id);
  }

  /** @param bytes packed as raw deflate, which makes the log much shorter @throws Refusal when this is not the next piece of the pending restore, or no part of a snapshot */
  add(tables: Tables, id: string, sequence: number, bytes: Uint8Array): void {
    this.#catchUp(tables, id);
    if (sequence !== this.#taken || sequence >= MAX_PIECES)
      throw new Refusal(`restore piece ${sequence} is out of order`);
    tables.restorePieces.set(keyOf(sequence), { id, bytes });
    this.#take(bytes);
    if (this.#failure !== undefined) throw new Refusal(this.#failure);
  }

  /** Nothing happens when another restore is pending, or none. */
  abort(tables: Tables, id: string): void {
    if (Restore.pendingId(tables) === id) this.#forget(tables);
  }

  /**
   * @param pieces        how many there must be
   * @param snapshotIndex change index of the snapshot
   * @param logIndex      index of the command in the log
   * @returns the new tables: `restoredIndex` is above every index before it, of the old state and of the snapshot
   * @throws Refusal when the snapshot is not whole; the old tables stay as they are
   */
  finish(tables: Tables, id: string, pieces: number, snapshotIndex: number, logIndex: number): Tables {
    this.#catchUp(tables, id);
    if (this.#taken !== pieces) throw new Refusal(`restore has ${this.#taken} pieces instead of ${pieces}`);
    const restored = this.#finished();
    const newest = Math.max(snapshotIndex, highestIndex(restored));
    if (!(newest < MAX_INDEX)) throw new Refusal('state snapshot: its index is out of range');
    const offset = Math.max(indexOffset(tables), newest + 1 - logIndex);
    markRestored(restored, logIndex + offset, offset);
    clear(restored);
    keepWriteSessions(tables, restored);
    this.#follow('');
    return restored;
  }

  /** The tables were replaced: what was read of pieces may differ from what they hold now. */
  reset(): void {
    this.#follow('');
  }

  /** After a Raft snapshot nothing has been read of the pieces that came with it. */
  #catchUp(tables: Tables, id: string): void {
    if (id === '' || Restore.pendingId(tables) !== id) throw new Refusal('this restore is not under way');
    if (this.#id === id) {
      if (this.#failure !== undefined) throw new Refusal(this.#failure);
      return;
    }
    this.#follow(id);
    for (const [key, { bytes }] of tables.restorePieces.entries()) if (key !== START) this.#take(bytes);
    if (this.#failure !== undefined) throw new Refusal(this.#failure);
  }

  #take(bytes: Uint8Array): void {
    this.#taken++;
    if (this.#failure !== undefined) return;
    try {
      this.#reader.push(inflateRawSync(bytes, { maxOutputLength: MAX_PIECE_BYTES }));
    } catch (thrown) {
      this.#failure = textOf(thrown);
    }
  }

  #finished(): Tables {
    try {
      return this.#reader.finish();
    } catch (thrown) {
      this.#failure = textOf(thrown);
      throw new Refusal(this.#failure);
    }
  }

  #forget(tables: Tables): void {
    clear(tables);
    this.#follow('');
  }

  #follow(id: string): void {
    this.#id = id;
    this.#taken = 0;
    this.#reader = new SnapshotReader();
    this.#failure = undefined;
  }
}

const NO_BYTES = new Uint8Array(0);

/** Sorts before every sequence number. */
const START = '';

function keyOf(sequence: number): string {
  return String(sequence).padStart(8, '0');
}

function clear(tables: Tables): void {
  const keys = [...tables.restorePieces.entries()].map(([key]) => key);
  for (const key of keys) tables.restorePieces.delete(key);
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
