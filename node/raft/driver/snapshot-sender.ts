/**
 * Streams a snapshot to a peer in chunks, never more than a window ahead of what the peer has written. It begins with
 * an empty chunk, an offer: the peer answers how much it has of this very snapshot from a transfer that broke off.
 */

import type { Env, Timer } from '../../../shared/env.ts';
import type { StoredSnapshot } from '../snapshots/snapshot-store.ts';
import type { SnapshotChunk, SnapshotChunkReply } from '../transport/codec.ts';
import type { Term } from '../types.ts';

export interface SnapshotSenderOptions {
  readonly env: Env;
  readonly term: Term;
  /** Unique among the transfers of this server. */
  readonly transfer: number;
  readonly snapshot: StoredSnapshot;
  /** @param into memory, at least so long, that the result may lie in */
  readonly readAt: (offset: number, length: number, into: Uint8Array) => Promise<Uint8Array>;
  readonly send: (chunk: SnapshotChunk) => void;
  /** Without news for so long, what is not acknowledged is sent again. */
  readonly retryMs: number;
  /** The snapshot is not read any more; called exactly once, also after `cancel`. */
  readonly onRelease: () => void;
  readonly onEnd: (ok: boolean) => void;
}

const CHUNK_BYTES = 256 * 1024;
const WINDOW_CHUNKS = 4;
const MAX_RETRIES = 20;

/**
 * Invariant: `#acknowledged ≤ #next ≤ #acknowledged + window`; nothing but the offer is sent before it was answered;
 * `onEnd` is called at most once.
 */
export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  #acknowledged = 0;
  #next = 0;
  #isReading = false;
  #isOver = false;
  #retries = 0;
  #timer: Timer | undefined;
  #isOfferAnswered = false;
  readonly #memory = new ChunkMemory();

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
  }

  get transfer(): number {
    return this.#options.transfer;
  }

  start(): void {
    this.#armTimer();
    this.#offer();
  }

  /** Ends without a word, because leadership or the peer's link was lost. */
  cancel(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#options.onRelease();
  }

  acknowledged(reply: SnapshotChunkReply): void {
    if (this.#isOver || reply.transfer !== this.#options.transfer) return;
    if (reply.offset < 0) {
      this.#end(false);
      return;
    }
    this.#isOfferAnswered = true;
    if (reply.offset > this.#acknowledged) {
      this.#acknowledged = Math.min(reply.offset, this.#options.snapshot.size);
      this.#next = Math.max(this.#next, this.#acknowledged);
      this.#memory.acknowledged(this.#acknowledged);
      this.#retries = 0;
      this.#armTimer();
    }
    if (reply.offset > this.#options.snapshot.size) this.#end(true);
    else void this.#pump();
  }

  async #pump(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    const { snapshot } = this.#options;
    try {
      while (
        !this.#isOver &&
        this.#isOfferAnswered &&
        this.#next < snapshot.size &&
        this.#next < this.#acknowledged + WINDOW_CHUNKS * CHUNK_BYTES
      )
        await this.#sendChunk(Math.min(CHUNK_BYTES, snapshot.size - this.#next));
    } catch {
      // Removed or unreadable by now; the leader will choose again which snapshot to send.
      this.#end(false);
    } finally {
      this.#isReading = false;
    }
  }

  async #sendChunk(length: number): Promise<void> {
    const offset = this.#next;
    const bytes = await this.#options.readAt(offset, length, this.#memory.take(offset + length));
    if (this.#isOver || this.#next !== offset) return;
    if (bytes.length !== length) throw new Error('snapshot is shorter than its description');
    this.#next += length;
    this.#send(offset, bytes);
  }

  #offer(): void {
    this.#send(0, new Uint8Array(0));
  }

  #send(offset: number, bytes: Uint8Array): void {
    const { snapshot, term, transfer } = this.#options;
    this.#options.send({
      kind: 'snapshot-chunk',
      term,
      transfer,
      meta: snapshot.meta,
      size: snapshot.size,
      checksum: snapshot.checksum,
      offset,
      bytes,
    });
  }

  #armTimer(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.env.clock.setTimer(this.#options.retryMs, () => {
      if (this.#isOver) return;
      this.#retries++;
      if (this.#retries > MAX_RETRIES) {
        this.#end(false);
        return;
      }
      this.#next = this.#acknowledged;
      this.#memory.keepAll();
      this.#armTimer();
      // The answer to the last chunk may be what was lost: an offer is answered again, whatever the peer has.
      if (!this.#isOfferAnswered || this.#next === this.#options.snapshot.size) this.#offer();
      else void this.#pump();
    });
  }

  #end(ok: boolean): void {
    if (this.#isOver) return;
    this.cancel();
    this.#options.onEnd(ok);
  }
}

/**
 * The memory of acknowledged chunks serves the next ones: new memory for each would have V8, which counts what lies
 * outside of its heap, collect all of it several times during a transfer. Invariant: `#out` ascends by end.
 */
class ChunkMemory {
  readonly #free: Uint8Array[] = [];
  readonly #out: { readonly end: number; readonly bytes: Uint8Array }[] = [];
  #isReused = true;

  /** @param end where the chunk ends that is to lie there */
  take(end: number): Uint8Array {
    const bytes = this.#free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    if (this.#isReused) this.#out.push({ end, bytes });
    return bytes;
  }

  /** The peer has all up to there, so that no stream holds those chunks any more. */
  acknowledged(offset: number): void {
    while ((this.#out[0]?.end ?? Number.POSITIVE_INFINITY) <= offset) {
      const first = this.#out.shift();
      if (first !== undefined) this.#free.push(first.bytes);
    }
  }

  /** Chunks are sent again: what is acknowledged then may be the first of two, while the other still waits. */
  keepAll(): void {
    this.#isReused = false;
    this.#out.length = 0;
    this.#free.length = 0;
  }
}
