/** Restores an archive on the leader: checks it while it comes in, and logs its state piece by piece. */

import { promisify } from 'node:util';
import { deflateRaw } from 'node:zlib';
import { type Env, randomUuid } from '../../../shared/env.ts';
import { ConsulError, refused, toConsulError } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import { isRefused } from '../apply.ts';
import type { Command } from '../handlers.ts';
import {
  abortRestoreCommand,
  beginRestoreCommand,
  finishRestoreCommand,
  restorePieceCommand,
} from '../restore-commands.ts';
import { readArchive } from './archive-reader.ts';

/** Large enough that the log's cost per command does not count, small enough not to hold up heartbeats. */
const PIECE_BYTES = 512 * 1024;
/** Off the main thread; most states shrink to a fraction, and with them the log. */
const packed = promisify<Uint8Array, { level: number }, Buffer>(deflateRaw);
const DEFLATE_OPTIONS = { level: 1 };
/** What the state begins with, within its first frame. */
const FORMAT_MARK = 'proconsul-state';
const MARK_WITHIN_BYTES = 64;

export interface RestoreRunOptions {
  readonly env: Env;
  readonly log: Logger;
  /** Logs a command. @returns what `apply` returned */
  readonly propose: (command: Command) => Promise<unknown>;
}

/** Invariant: one restore at a time; the log holds pieces of a restore only between its begin and its end. */
export class RestoreRun {
  readonly #o: RestoreRunOptions;
  #isBusy = false;

  constructor(options: RestoreRunOptions) {
    this.#o = options;
  }

  /** Rejects with a `ConsulError` when the archive is not sound, and then the state is as before. */
  async restore(archive: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#isBusy) throw new ConsulError('conflict', 500, 'another snapshot is being restored');
    this.#isBusy = true;
    const upload = new PieceUpload(randomUuid(this.#o.env.random), (command) => this.#apply(command));
    try {
      const meta = await readArchive(archive, (chunk) => upload.take(chunk));
      await upload.finish(meta.Index);
      this.#o.log.info('restored user snapshot', { id: meta.ID, index: meta.Index });
    } catch (error) {
      await upload.settled();
      if (upload.isBegun) await this.#abort(upload.id);
      throw toConsulError(error);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Pieces that a leader before left behind. */
  async dropLeftover(id: string): Promise<void> {
    if (!this.#isBusy) await this.#abort(id);
  }

  async #apply(command: Command): Promise<void> {
    const applied = await this.#o.propose(command);
    if (isRefused(applied)) throw refused(`Raft error when restoring snapshot: ${applied.refused}`);
  }

  /** Failing is harmless: the pieces take memory until the next leader or restore drops them. */
  async #abort(id: string): Promise<void> {
    try {
      await this.#o.propose(abortRestoreCommand(id));
    } catch (error) {
      this.#o.log.warn('failed to drop the pieces of a restore', { error: toConsulError(error).message });
    }
  }
}

/** Cuts the state into pieces. Nothing is logged before the first bytes have shown that it is one of ours. */
class PieceUpload {
  readonly id: string;
  readonly #apply: (command: Command) => Promise<void>;
  isBegun = false;
  /** The piece before: it is agreed upon while the next one is read and packed. */
  #underWay: Promise<void> = Promise.resolve();
  #sequence = 0;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(id: string, apply: (command: Command) => Promise<void>) {
    this.id = id;
    this.#apply = apply;
  }

  async take(chunk: Uint8Array): Promise<void> {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes >= PIECE_BYTES) await this.#flush();
  }

  async finish(snapshotIndex: number): Promise<void> {
    if (this.#heldBytes > 0 || !this.isBegun) await this.#flush();
    await this.#underWay;
    await this.#apply(finishRestoreCommand(this.id, this.#sequence, snapshotIndex));
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    if (!this.isBegun) await this.#begin(bytes);
    const piece = await packed(bytes, DEFLATE_OPTIONS);
    await this.#underWay;
    this.#underWay = this.#apply(restorePieceCommand(this.id, this.#sequence++, piece));
    this.#underWay.catch(() => {
      // Thrown again where it is waited for.
    });
  }

  /** Resolves when nothing is on its way to the log any more. */
  async settled(): Promise<void> {
    await this.#underWay.catch(() => {
      // What failed was told by then.
    });
  }

  async #begin(bytes: Buffer): Promise<void> {
    if (!bytes.subarray(0, MARK_WITHIN_BYTES).includes(FORMAT_MARK))
      throw refused(
        'failed to read snapshot file: the state in it was not written by this program (a snapshot of HashiCorp Consul cannot be restored)',
      );
    this.isBegun = true;
    await this.#apply(beginRestoreCommand(this.id));
  }
}
