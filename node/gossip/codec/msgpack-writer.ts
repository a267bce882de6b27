/** Writes the old msgpack dialect that gossip peers speak: raw strings only (no str8, no bin), shortest unsigned integers. */

const INITIAL_CAPACITY = 1024;
/** A scratch buffer that grew beyond this is let go after use. */
const KEPT_CAPACITY = 1 << 16;

/**
 * Appends values to one growing buffer.
 *
 * Invariant: `#bytes[0 .. #length)` is what was written so far and `#view` covers the whole of `#bytes`.
 */
export class MsgpackWriter {
  #bytes = Buffer.allocUnsafe(INITIAL_CAPACITY);
  #view = viewOf(this.#bytes);
  #length = 0;

  /** A copy of everything written; the writer is empty and reusable afterwards. */
  finish(): Uint8Array {
    const result = new Uint8Array(this.#bytes.subarray(0, this.#length));
    this.reset();
    return result;
  }

  /** Forgets what was written. */
  reset(): void {
    this.#length = 0;
    if (this.#bytes.length > KEPT_CAPACITY) this.#replace(Buffer.allocUnsafe(INITIAL_CAPACITY));
  }

  /** One byte as it is: a message type or a version. */
  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  /** Bytes as they are, without a msgpack header. */
  verbatim(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  nil(): void {
    this.byte(0xc0);
  }

  bool(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2);
  }

  map(size: number): void {
    this.#header(size, 0x80, 15, 0xde, 0xdf);
  }

  array(size: number): void {
    this.#header(size, 0xa0 - 0x10, 15, 0xdc, 0xdd);
  }

  string(value: string): void {
    const length = Buffer.byteLength(value, 'utf8');
    this.#header(length, 0xa0, 31, 0xda, 0xdb);
    this.#reserve(length);
    this.#length += this.#bytes.write(value, this.#length, 'utf8');
  }

  /** A byte string; an empty one goes out as nil, which peers read as the same. */
  bytes(value: Uint8Array): void {
    if (value.length === 0) {
      this.nil();
      return;
    }
    this.#header(value.length, 0xa0, 31, 0xda, 0xdb);
    this.verbatim(value);
  }

  /** @param value 0 ≤ n < 2^64 */
  uint(value: number | bigint): void {
    if (value <= 0xffff_ffff) this.#uint32(Number(value));
    else {
      this.#reserve(9);
      this.#bytes[this.#length] = 0xcf;
      this.#view.setBigUint64(this.#length + 1, BigInt(value));
      this.#length += 9;
    }
  }

  /** @param value −2^63 ≤ n < 2^63; non-negative values are written unsigned */
  int(value: bigint): void {
    if (value >= 0n) {
      this.uint(value);
      return;
    }
    this.#reserve(9);
    const at = this.#length;
    if (value >= -32n) this.#bytes[this.#length++] = Number(value & 0xffn);
    else {
      this.#bytes[at] = 0xd3;
      this.#view.setBigInt64(at + 1, value);
      this.#length += 9;
    }
  }

  float64(value: number): void {
    this.#reserve(9);
    this.#bytes[this.#length] = 0xcb;
    this.#view.setFloat64(this.#length + 1, value);
    this.#length += 9;
  }

  #uint32(value: number): void {
    this.#reserve(5);
    const at = this.#length;
    if (value <= 0x7f) {
      this.#bytes[at] = value;
      this.#length += 1;
    } else if (value <= 0xff) {
      this.#bytes[at] = 0xcc;
      this.#bytes[at + 1] = value;
      this.#length += 2;
    } else if (value <= 0xffff) {
      this.#bytes[at] = 0xcd;
      this.#view.setUint16(at + 1, value);
      this.#length += 3;
    } else {
      this.#bytes[at] = 0xce;
      this.#view.setUint32(at + 1, value);
      this.#length += 5;
    }
  }

  #header(size: number, fixed: number, fixedMax: number, code16: number, code32: number): void {
    this.#reserve(5);
    const at = this.#length;
    if (size <= fixedMax) {
      this.#bytes[at] = fixed + size;
      this.#length += 1;
    } else if (size <= 0xffff) {
      this.#bytes[at] = code16;
      this.#view.setUint16(at + 1, size);
      this.#length += 3;
    } else {
      this.#bytes[at] = code32;
      this.#view.setUint32(at + 1, size);
      this.#length += 5;
    }
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#replace(grown);
  }

  #replace(bytes: Buffer<ArrayBuffer>): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }
}

const shared = new MsgpackWriter();
let isSharedBusy = false;

/** What `write` wrote, as bytes of its own. Encodings may nest. */
export function encodeWith(write: (out: MsgpackWriter) => void): Uint8Array {
  if (isSharedBusy) return encodeAlone(write);
  isSharedBusy = true;
  try {
    write(shared);
    return shared.finish();
  } finally {
    shared.reset();
    isSharedBusy = false;
  }
}

function encodeAlone(write: (out: MsgpackWriter) => void): Uint8Array {
  const own = new MsgpackWriter();
  write(own);
  return own.finish();
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
