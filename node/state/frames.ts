/** Byte strings in a stream: each preceded by its length, cut into chunks wherever a chunk is full. */

/** Small enough that making one does not hold up the event loop noticeably. */
const CHUNK_BYTES = 256 << 10;

const LENGTH_BYTES = 4;

/** A frame that claims to be longer is damage. */
const LONGEST_FRAME_BYTES = 1 << 30;

/**
 * Frames are copied at once, so a source may reuse its buffer. Chunks are at most 256 KiB and share one buffer: copy
 * what is kept beyond the next. New ones for a large state would have V8 collect the whole heap again and again, since
 * it counts what lies outside of it.
 */
export function* writeFrames(frames: Iterable<Uint8Array>): Generator<Uint8Array> {
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let filled = 0;
  const header = Buffer.allocUnsafe(LENGTH_BYTES);
  for (const frame of frames) {
    header.writeUInt32BE(frame.length);
    for (const bytes of [header, frame]) {
      for (let at = 0; at < bytes.length; ) {
        const count = Math.min(CHUNK_BYTES - filled, bytes.length - at);
        chunk.set(bytes.subarray(at, at + count), filled);
        filled += count;
        at += count;
        if (filled < CHUNK_BYTES) continue;
        yield chunk;
        filled = 0;
      }
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
}

/**
 * The frames of a stream however it was cut, together as they become complete. They share memory with the chunks.
 *
 * @throws Error when the stream ends within a frame or a length is impossible
 */
export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array[]> {
  const reader = new FrameReader();
  for await (const chunk of chunks) {
    const complete = reader.push(chunk);
    if (complete.length > 0) yield complete;
  }
  reader.end();
}

/** As `readFrames`, for a stream whose chunks come one by one. Invariant: `#length` is that of a frame begun. */
export class FrameReader {
  readonly #pending = new PendingBytes();
  #length: number | undefined;

  /** @returns the frames that the chunk completes @throws Error when a length is impossible */
  push(chunk: Uint8Array): Uint8Array[] {
    const complete: Uint8Array[] = [];
    this.take(chunk, (bytes, start, end) => complete.push(bytes.subarray(start, end)));
    return complete;
  }

  /**
   * As `push`, but tells where each frame stands instead of making an object of it.
   *
   * @throws Error when a length is impossible, and what `visit` throws
   */
  take(chunk: Uint8Array, visit: (bytes: Buffer, start: number, end: number) => void): void {
    const pending = this.#pending;
    pending.add(chunk);
    for (;;) {
      if (this.#length === undefined) {
        if (pending.size < LENGTH_BYTES) return;
        const at = pending.take(LENGTH_BYTES);
        this.#length = pending.bytes.readUInt32BE(at);
        if (this.#length > LONGEST_FRAME_BYTES) throw new Error(`frame of ${this.#length} bytes is too long`);
      }
      if (pending.size < this.#length) return;
      const start = pending.take(this.#length);
      const end = start + this.#length;
      this.#length = undefined;
      visit(pending.bytes, start, end);
    }
  }

  /** @throws Error when the stream ends within a frame */
  end(): void {
    if (this.#length !== undefined || this.#pending.size > 0) throw new Error('stream ends within a frame');
  }
}

/** Bytes received and not yet taken. Invariant: those not taken are `bytes` from `#at` on, then `#more`; `size` in all. */
class PendingBytes {
  bytes: Buffer = Buffer.alloc(0);
  size = 0;
  #at = 0;
  #more: Buffer[] = [];

  add(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    const added = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.size > 0) this.#more.push(added);
    else {
      this.bytes = added;
      this.#at = 0;
    }
    this.size += chunk.length;
  }

  /** Takes `count` ≤ `size`. Copies only when they came in several parts. @returns where they begin in `bytes` */
  take(count: number): number {
    if (this.bytes.length - this.#at < count) {
      this.bytes = Buffer.concat([this.bytes.subarray(this.#at), ...this.#more]);
      this.#more = [];
      this.#at = 0;
    }
    const start = this.#at;
    this.#at += count;
    this.size -= count;
    return start;
  }
}
