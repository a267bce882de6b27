/** Writes to the log one batch at a time: whatever came up during a sync goes into the next one together. */

import type { Write } from '../core/outbox.ts';
import type { LogStorage } from '../wal/log-storage.ts';
import type { WalItem } from '../wal/record.ts';

interface Task {
  readonly items: readonly WalItem[];
  readonly done: () => void;
}

/** Invariant: at most one `append` of the storage is under way; tasks are done in the order they came. */
export class LogWriter {
  readonly #storage: LogStorage;
  readonly #onPersisted: (sequence: number) => void;
  readonly #onFailure: (error: Error) => void;
  #queue: Task[] = [];
  #running: Promise<void> | undefined;
  #hasFailed = false;

  /** `onPersisted` gets the sequence of the newest write of each batch, once the batch is durable. */
  constructor(
    storage: LogStorage,
    onPersisted: (sequence: number) => void,
    onFailure: (error: Error) => void,
  ) {
    this.#storage = storage;
    this.#onPersisted = onPersisted;
    this.#onFailure = onFailure;
  }

  write(write: Write): void {
    const items: WalItem[] = [];
    if (write.hardState !== undefined) items.push({ kind: 'hard-state', hardState: write.hardState });
    if (write.entries.length > 0) items.push({ kind: 'entries', entries: write.entries });
    if (write.commitIndex > 0) items.push({ kind: 'commit', index: write.commitIndex });
    this.#enqueue({ items, done: () => this.#onPersisted(write.sequence) });
  }

  /** Resolves when the item, and all before it, is durable; never when the log failed. */
  writeItem(item: WalItem): Promise<void> {
    return new Promise((done) => this.#enqueue({ items: [item], done }));
  }

  /** Resolves when nothing is left to write. */
  async drain(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #enqueue(task: Task): void {
    if (this.#hasFailed) return;
    this.#queue.push(task);
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue;
        this.#queue = [];
        const items = batch.flatMap((task) => task.items);
        await (items.length > 0 ? this.#storage.append(items) : undefined);
        for (const task of batch) task.done();
      }
    } catch (error) {
      // After a failed write or sync nobody knows what is on the disk; trying again could lie.
      this.#hasFailed = true;
      this.#onFailure(error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.#running = undefined;
    }
  }
}
