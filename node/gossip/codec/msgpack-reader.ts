/** Reads the old msgpack dialect from untrusted bytes: every length is checked against what is there before anything is allocated. */

/** The bytes are not what the protocol allows. Never leaves the codec: the `decode…` functions turn it into undefined. */
export class DecodeError extends Error {
  override readonly name: string = 'DecodeError';
}

/** The message goes on beyond what is there. */
export class EndOfInput extends DecodeError {
  /** Length of input that is surely needed, counted from its start. */
  readonly needed: number;

  constructor(needed: number) {
    super('message ends early');
    this.needed = needed;
  }
}

/** Runs a decoder; undefined when the bytes are malformed. */
export function tryDecode<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (thrown) {
    // Only malformed input is expected here; anything else is a bug and must surface.
    if (thrown instanceof DecodeError) return undefined;
    throw thrown;
  }
}

const EMPTY = new Uint8Array(0);
const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

/**
 * A cursor over one buffer. Missing values (nil) read as the zero of the type asked for, as peers do.
 *
 * Invariant: 0 ≤ `#at` ≤ `#bytes.length`; every read method either advances past one whole value or throws.
 */
export class MsgpackReader {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
  }

  get position(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `length` bytes as they are, a view on the input. */
  verbatim(length: number): Uint8Array {
    return this.#take(length);
  }

  /** Consumes a nil if that is next. */
  nil(): boolean {
    if (this.#peek() !== 0xc0) return false;
    this.#at += 1;
    return true;
  }

  /** Number of entries of a map; an entry takes at least two bytes, so a larger claim is refused. */
  map(): number {
    if (this.nil()) return 0;
    const code = this.#byte();
    let size: number;
    if ((code & 0xf0) === 0x80) size = code & 0x0f;
    else if (code === 0xde) size = this.#uint16();
    else if (code === 0xdf) size = this.#uint32();
    else throw new DecodeError('map expected');
    if (size * 2 > this.left) throw new DecodeError('map longer than the message');
    return size;
  }

  array(): number {
    if (this.nil()) return 0;
    const code = this.#byte();
    let size: number;
    if ((code & 0xf0) === 0x90) size = code & 0x0f;
    else if (code === 0xdc) size = this.#uint16();
    else if (code === 0xdd) size = this.#uint32();
    else throw new DecodeError('array expected');
    if (size > this.left) throw new DecodeError('array longer than the message');
    return size;
  }

  string(): string {
    if (this.nil()) return '';
    const length = this.#rawLength(this.#byte());
    if (length === undefined) throw new DecodeError('string expected');
    const start = this.#at;
    this.#take(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  /** A byte string (raw, bin or an array of small integers): a view on the input, except for an array. */
  bytes(): Uint8Array {
    if (this.nil()) return EMPTY;
    const code = this.#peek();
    if ((code & 0xf0) === 0x90 || code === 0xdc || code === 0xdd) return this.#bytesFromArray();
    this.#at += 1;
    const length = this.#rawLength(code) ?? this.#binLength(code);
    if (length === undefined) throw new DecodeError('bytes expected');
    return this.#take(length);
  }

  /** An integer, 0 ≤ n ≤ `max` (at most 2^53 − 1). */
  uint(max: number): number {
    const value = this.#integer();
    if (value < 0 || value > max) throw new DecodeError('integer out of range');
    return Number(value);
  }

  uint64(): bigint {
    const value = BigInt(this.#integer());
    if (value < 0n || value > MAX_UINT64) throw new DecodeError('integer out of range');
    return value;
  }

  int64(): bigint {
    return BigInt.asIntN(64, BigInt(this.#integer()));
  }

  bool(): boolean {
    const code = this.#peek();
    if (code === 0xc2 || code === 0xc3) {
      this.#at += 1;
      return code === 0xc3;
    }
    return this.uint(1) === 1;
  }

  float64(): number {
    const code = this.#peek();
    if (code !== 0xca && code !== 0xcb) return Number(this.#integer());
    const size = code === 0xca ? 4 : 8;
    this.#at += 1;
    const at = this.#at;
    this.#take(size);
    return size === 4 ? this.#view.getFloat32(at) : this.#view.getFloat64(at);
  }

  /** Steps over one value of any kind. Takes time linear in its length and constant memory, however deep it nests. */
  skip(): void {
    for (let pending = 1; pending > 0; pending--) pending += this.#skipOne();
  }

  /** Steps over a header and its scalar content; returns how many values are nested in it. */
  #skipOne(): number {
    const code = this.#byte();
    if (code <= 0x7f || code >= 0xe0 || code === 0xc0 || code === 0xc2 || code === 0xc3) return 0;
    if (code <= 0x8f) return 2 * (code & 0x0f);
    if (code <= 0x9f) return code & 0x0f;
    const length = this.#rawLength(code) ?? this.#binLength(code) ?? FIXED_WIDTH[code];
    if (length !== undefined) {
      this.#take(length);
      return 0;
    }
    switch (code) {
      case 0xdc:
        return this.#uint16();
      case 0xdd:
        return this.#uint32();
      case 0xde:
        return 2 * this.#uint16();
      case 0xdf:
        return 2 * this.#uint32();
      default:
        throw new DecodeError('unknown type code');
    }
  }

  #integer(): number | bigint {
    const code = this.#byte();
    if (code <= 0x7f) return code;
    if (code >= 0xe0) return code - 0x100;
    const at = this.#at;
    switch (code) {
      case 0xc0:
        return 0;
      case 0xcc:
        return this.#byte();
      case 0xcd:
        return this.#uint16();
      case 0xce:
        return this.#uint32();
      case 0xcf:
        this.#take(8);
        return this.#view.getBigUint64(at);
      case 0xd0:
        this.#take(1);
        return this.#view.getInt8(at);
      case 0xd1:
        this.#take(2);
        return this.#view.getInt16(at);
      case 0xd2:
        this.#take(4);
        return this.#view.getInt32(at);
      case 0xd3:
        this.#take(8);
        return this.#view.getBigInt64(at);
      default:
        throw new DecodeError('integer expected');
    }
  }

  #rawLength(code: number): number | undefined {
    if ((code & 0xe0) === 0xa0) return code & 0x1f;
    if (code === 0xd9) return this.#byte();
    if (code === 0xda) return this.#uint16();
    if (code === 0xdb) return this.#uint32();
    return undefined;
  }

  #binLength(code: number): number | undefined {
    if (code === 0xc4) return this.#byte();
    if (code === 0xc5) return this.#uint16();
    if (code === 0xc6) return this.#uint32();
    return undefined;
  }

  #bytesFromArray(): Uint8Array {
    const result = new Uint8Array(this.array());
    for (let i = 0; i < result.length; i++) result[i] = this.uint(255);
    return result;
  }

  #peek(): number {
    const code = this.#bytes[this.#at];
    if (code === undefined) throw new EndOfInput(this.#at + 1);
    return code;
  }

  #byte(): number {
    const code = this.#peek();
    this.#at += 1;
    return code;
  }

  #uint16(): number {
    const at = this.#at;
    this.#take(2);
    return this.#view.getUint16(at);
  }

  #uint32(): number {
    const at = this.#at;
    this.#take(4);
    return this.#view.getUint32(at);
  }

  #take(length: number): Uint8Array {
    if (length > this.left) throw new EndOfInput(this.#at + length);
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }
}

/** Bytes that follow the type code of scalars and extension values. */
const FIXED_WIDTH: Readonly<Record<number, number>> = {
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
  212: 2,
  213: 3,
  214: 5,
  215: 9,
  216: 17,
};

/** Calls `read` with each key of a map; it must read or skip the value. Unknown keys are the caller's to skip. */
export function forEachField(reader: MsgpackReader, read: (key: string) => void): void {
  for (let left = reader.map(); left > 0; left--) read(reader.string());
}
