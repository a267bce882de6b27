/** Takes in a snapshot that the leader sends in chunks: writes them in order, checks the whole, hands it on. */

import type { SnapshotSink, SnapshotStore, StoredSnapshot } from '../snapshots/snapshot-store.ts';
import type { SnapshotChunk } from '../transport/codec.ts';
import type { NodeId } from '../types.ts';

export interface SnapshotReceiverOptions {
  readonly store: SnapshotStore;
  /** Tells the sender how far it got; beyond the size once all is done, −1 when it must give up. */
  readonly reply: (to: NodeId, transfer: number, offset: number) => void;
  readonly onReceived: (from: NodeId, chunk: SnapshotChunk, snapshot: StoredSnapshot) => void;
  readonly onFailure: (error: Error) => void;
}

interface Incoming {
  /** Who sends it now, and under which number; a transfer that broke off is taken up by another. */
  from: NodeId;
  transfer: number;
  readonly identity: string;
  readonly sink: Promise<SnapshotSink>;
  /** End of what was taken, whether written yet or not. */
  taken: number;
  written: number;
  queued: number;
  isDone: boolean;
}

/** A sender keeps fewer chunks under way; more means that it does not keep to the window. */
const MAX_QUEUED_CHUNKS = 8;

/**
 * Invariant: one snapshot is received at a time; one of another snapshot ends the one before. What has arrived is kept
 * when its transfer breaks off, so that the next one, be it from another leader with the same bytes, goes on there.
 */
export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions;
  #incoming: Incoming | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options;
  }

  chunk(from: NodeId, chunk: SnapshotChunk): void {
    const current = this.#incoming;
    const identity = identityOf(chunk);
    if (current?.identity === identity) {
      if (isOffer(chunk)) this.#takeUp(current, from, chunk);
      else if (current.from === from && current.transfer === chunk.transfer) this.#take(current, chunk);
      return;
    }
    if (chunk.offset !== 0) return;
    this.abort();
    const incoming: Incoming = {
      from,
      transfer: chunk.transfer,
      identity,
      sink: this.#work.then(() => this.#options.store.create(chunk.meta)),
      taken: 0,
      written: 0,
      queued: 0,
      isDone: false,
    };
    incoming.sink.catch(() => {
      // Reported where the first chunk is written.
    });
    this.#incoming = incoming;
    if (isOffer(chunk)) this.#takeUp(incoming, from, chunk);
    else this.#take(incoming, chunk);
  }

  /** From now on this transfer brings it, from where the one before has got. */
  #takeUp(incoming: Incoming, from: NodeId, chunk: SnapshotChunk): void {
    incoming.from = from;
    incoming.transfer = chunk.transfer;
    this.#options.reply(from, chunk.transfer, incoming.isDone ? chunk.size + 1 : incoming.written);
  }

  /** Drops what has arrived so far. */
  abort(): void {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    if (incoming === undefined || incoming.isDone) return;
    this.#work = this.#work
      .then(() => incoming.sink)
      .then((sink) => sink.abort())
      .catch(() => {
        // Leftovers are removed at the next start.
      });
  }

  /** Resolves when nothing is being written any more. */
  async idle(): Promise<void> {
    await this.#work;
  }

  #take(incoming: Incoming, chunk: SnapshotChunk): void {
    if (incoming.isDone) {
      this.#options.reply(incoming.from, incoming.transfer, chunk.size + 1);
      return;
    }
    const isNext = chunk.offset === incoming.taken && (chunk.bytes.length > 0 || chunk.size === 0);
    if (!isNext || incoming.queued >= MAX_QUEUED_CHUNKS) {
      // Repeated, or after a gap: the sender goes on from what it is told here.
      if (chunk.offset < incoming.written)
        this.#options.reply(incoming.from, incoming.transfer, incoming.written);
      return;
    }
    incoming.taken += chunk.bytes.length;
    incoming.queued++;
    this.#work = this.#work
      .then(() => this.#write(incoming, chunk))
      .catch((error: unknown) => {
        this.abort();
        this.#options.reply(incoming.from, incoming.transfer, -1);
        this.#options.onFailure(error instanceof Error ? error : new Error(String(error)));
      });
  }

  async #write(incoming: Incoming, chunk: SnapshotChunk): Promise<void> {
    if (this.#incoming !== incoming || incoming.isDone) return;
    const sink = await incoming.sink;
    await sink.write(chunk.bytes);
    incoming.queued--;
    incoming.written = sink.size;
    if (sink.size < chunk.size) {
      this.#options.reply(incoming.from, incoming.transfer, sink.size);
      return;
    }
    if (sink.size !== chunk.size || sink.checksum !== chunk.checksum)
      throw new Error('snapshot from the leader does not match its checksum');
    const snapshot = await sink.finish();
    incoming.isDone = true;
    this.#options.reply(incoming.from, incoming.transfer, chunk.size + 1);
    this.#options.onReceived(incoming.from, chunk, snapshot);
  }
}

function isOffer(chunk: SnapshotChunk): boolean {
  return chunk.offset === 0 && chunk.bytes.length === 0 && chunk.size > 0;
}

/** Two snapshots of which this is the same hold the same bytes. */
function identityOf({ meta, size, checksum }: SnapshotChunk): string {
  return `${meta.term}-${meta.index}-${size}-${checksum}`;
}
