/** Reading and writing of binary records, used by the log files and the peer protocol. Numbers are big-endian. */

/** The bytes are not what they should be. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** A growing buffer. `finish` hands out what was written without a copy; the writer is not used after it. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = unfilled(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#grow(1);
    this.#view.setUint8(this.#length, value);
    this.#length += 1;
  }

  u32(value: number): void {
    this.#grow(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
  }

  /** An integer 0 ≤ n ≤ 2^53 − 1, or a time with fraction, as a double. */
  number(value: number): void {
    this.#grow(8);
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.#grow(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  text(value: string): void {
    this.bytes(encoder.encode(value));
  }

  /** Overwrites four bytes written earlier. */
  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value);
  }

  /** What was written from `from` on; valid until the next write. */
  since(from: number): Uint8Array {
    return this.#bytes.subarray(from, this.#length);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const next = unfilled(Math.max(needed, this.#bytes.length * 2));
    next.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = next;
    this.#view = new DataView(next.buffer);
  }
}

/** Memory that is not cleared first: what is handed out of it has been written. */
function unfilled(bytes: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
}

/** Reads within bounds; whatever does not fit is a FormatError. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw new FormatError(`truth value is ${value}`);
    return value === 1;
  }

  /** An integer, 0 ≤ n ≤ 2^53 − 1. */
  integer(): number {
    const value = this.#view.getFloat64(this.#advance(8));
    if (!Number.isSafeInteger(value) || value < 0) throw new FormatError('not a natural number');
    return value;
  }

  /** A finite number. */
  number(): number {
    const value = this.#view.getFloat64(this.#advance(8));
    if (!Number.isFinite(value)) throw new FormatError('not a finite number');
    return value;
  }

  /** A view of the underlying bytes, at most `limit` long. */
  bytes(limit: number): Uint8Array {
    const length = this.u32();
    if (length > limit) throw new FormatError(`field of ${length} bytes, at most ${limit} allowed`);
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(limit: number): string {
    try {
      return decoder.decode(this.bytes(limit));
    } catch (error) {
      throw error instanceof FormatError ? error : new FormatError('text is not UTF-8');
    }
  }

  #advance(length: number): number {
    const start = this.#at;
    if (start + length > this.#bytes.length) throw new FormatError('record ends early');
    this.#at = start + length;
    return start;
  }
}
