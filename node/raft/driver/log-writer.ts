/** Writes to the log one batch at a time: whatever came up during a sync goes into the next one together. */

import type { Clock } from '../../../shared/env.ts';
import type { Write } from '../core/outbox.ts';
import { isDiskFull } from '../wal/disk.ts';
import type { LogStorage } from '../wal/log-storage.ts';
import type { WalItem } from '../wal/record.ts';

export interface LogWriterOptions {
  readonly storage: LogStorage;
  readonly clock: Clock;
  /** Gets the sequence of the newest write of each batch, once the batch is durable. */
  readonly onPersisted: (sequence: number) => void;
  /** The disk has become full, or has room again. Nothing is lost meanwhile: the batch is tried until it fits. */
  readonly onDiskFull: (isFull: boolean) => void;
  /** The log cannot be used any more. */
  readonly onFailure: (error: Error) => void;
}

/** Between two tries on a full disk. */
const FULL_RETRY_MS = 500;

/**
 * Invariant: at most one `append` of the storage is under way; items are written in the order they came. `#sequence`
 * and `#waiting` belong to what is in `#items`.
 */
export class LogWriter {
  readonly #options: LogWriterOptions;
  #items: WalItem[] = [];
  #sequence = 0;
  #waiting: (() => void)[] = [];
  #isRunning = false;
  #isAppending = false;
  #batch = 0;
  #idle: (() => void)[] = [];
  #hasFailed = false;
  #isFull = false;
  #isClosed = false;
  /** When the oldest batch that is not yet durable was begun, and when that after it. */
  #busySinceMs = 0;
  #nextSinceMs = 0;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  write(write: Write): void {
    if (this.#hasFailed) return;
    if (this.#items.length === 0) this.#nextSinceMs = this.#options.clock.monotonicMs();
    if (write.hardState !== undefined) this.#items.push({ kind: 'hard-state', hardState: write.hardState });
    if (write.entries.length > 0) this.#items.push({ kind: 'entries', entries: write.entries });
    if (write.commitIndex > 0) this.#items.push({ kind: 'commit', index: write.commitIndex });
    this.#sequence = write.sequence;
    this.#start();
  }

  /** Resolves when the item, and all before it, is durable; never when the log failed. */
  writeItem(item: WalItem): Promise<void> {
    return new Promise((done) => {
      if (this.#hasFailed) return;
      if (this.#items.length === 0) this.#nextSinceMs = this.#options.clock.monotonicMs();
      this.#items.push(item);
      this.#waiting.push(done);
      this.#start();
    });
  }

  /** Counts the batches that were begun, so that a caller sees whether it is still the same one. */
  get batch(): number {
    return this.#batch;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** For how long something has been waiting to become durable; 0 when nothing is. */
  behindMs(): number {
    const isBehind = this.#isAppending || this.#items.length > 0;
    return isBehind ? this.#options.clock.monotonicMs() - this.#busySinceMs : 0;
  }

  /** Resolves when nothing is left to write. */
  drain(): Promise<void> {
    return this.#isRunning ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  /** As `drain`, but what does not fit on a full disk is given up. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.drain();
  }

  #start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      while ((this.#items.length > 0 || this.#sequence > 0) && !this.#hasFailed) {
        const items = this.#items;
        const sequence = this.#sequence;
        const waiting = this.#waiting;
        this.#items = [];
        this.#sequence = 0;
        this.#waiting = [];
        this.#busySinceMs = this.#nextSinceMs;
        if (items.length > 0 && !(await this.#append(items))) break;
        this.#busySinceMs = this.#nextSinceMs;
        if (sequence > 0) this.#options.onPersisted(sequence);
        for (const done of waiting) done();
      }
    } catch (error) {
      // After a failed write or sync nobody knows what is on the disk; trying again could lie.
      this.#hasFailed = true;
      this.#options.onFailure(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#isRunning = false;
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  /** @returns whether the items are durable; otherwise this server is stopping and its disk is full */
  async #append(items: readonly WalItem[]): Promise<boolean> {
    this.#batch++;
    for (;;) {
      try {
        this.#isAppending = true;
        await this.#options.storage.append(items);
        this.#isAppending = false;
        this.#setFull(false);
        return true;
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        this.#setFull(true);
        if (this.#isClosed) return false;
      }
      await new Promise<void>((resolve) => this.#options.clock.setTimer(FULL_RETRY_MS, resolve));
      if (this.#isClosed) return false;
    }
  }

  #setFull(isFull: boolean): void {
    if (this.#isFull === isFull) return;
    this.#isFull = isFull;
    this.#options.onDiskFull(isFull);
  }
}
