/** Byte strings in a stream: each preceded by its length, cut into chunks wherever a chunk is full. */

/** Small enough that making one does not hold up the event loop noticeably. */
const CHUNK_BYTES = 256 << 10;

const LENGTH_BYTES = 4;

/** A frame that claims to be longer is damage. */
const LONGEST_FRAME_BYTES = 1 << 30;

/** Frames are copied at once, so a source may reuse its buffer. Chunks are at most 256 KiB and never reused. */
export function* writeFrames(frames: Iterable<Uint8Array>): Generator<Uint8Array> {
  let chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
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
        chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
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
    const pending = this.#pending;
    pending.add(chunk);
    const complete: Uint8Array[] = [];
    for (;;) {
      if (this.#length === undefined) {
        if (pending.size < LENGTH_BYTES) return complete;
        this.#length = pending.take(LENGTH_BYTES).readUInt32BE();
        if (this.#length > LONGEST_FRAME_BYTES) throw new Error(`frame of ${this.#length} bytes is too long`);
      }
      if (pending.size < this.#length) return complete;
      complete.push(pending.take(this.#length));
      this.#length = undefined;
    }
  }

  /** @throws Error when the stream ends within a frame */
  end(): void {
    if (this.#length !== undefined || this.#pending.size > 0) throw new Error('stream ends within a frame');
  }
}

/** Bytes received and not yet taken. Invariant: `size` is the sum of the parts less `#offset`, used of the first. */
class PendingBytes {
  #parts: Buffer[] = [];
  #offset = 0;
  size = 0;

  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.size += bytes.length;
  }

  /** `count` ≤ `size`. Copies only when the bytes came in several parts. */
  take(count: number): Buffer {
    if (count === 0) return Buffer.alloc(0);
    let first = this.#parts[0] as Buffer;
    if (first.length - this.#offset < count) {
      first = Buffer.concat([first.subarray(this.#offset), ...this.#parts.slice(1)]);
      this.#parts = [first];
      this.#offset = 0;
    }
    const taken = first.subarray(this.#offset, this.#offset + count);
    this.#offset += count;
    this.size -= count;
    if (this.#offset === first.length) {
      this.#parts.shift();
      this.#offset = 0;
    }
    return taken;
  }
}
