/** Plain files in a tar stream (POSIX ustar), written and read piece by piece. */

export const TAR_BLOCK_BYTES = 512;

export interface TarFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export interface TarEntry extends TarFile {
  /** Must be read to its end before the next entry is asked for. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** The stream is no tar, or is cut; the message is Go's. */
export class TarError extends Error {
  override readonly name = 'TarError';
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Where fields of a header begin and how long they are. */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  magic: [257, 8],
} as const;

const REGULAR_TYPES = ['0', ''];
/** What may follow the end mark: writers fill their last record, which is 10 KiB by default. */
const MAX_TRAILING_BYTES = 1024 * 1024;
/** What twelve octal digits with their end can say. */
const LARGEST_OCTAL_SIZE = 8 ** 11 - 1;

/**
 * The block before a file's content, mode 0600.
 *
 * @param file    a name of at most 100 bytes
 * @param timeMs  modification time since the Unix epoch
 */
export function tarHeader({ name, size }: TarFile, timeMs: number): Uint8Array {
  const header = new Uint8Array(TAR_BLOCK_BYTES);
  const put = ([at]: readonly [number, number], text: string) => header.set(encoder.encode(text), at);
  const octal = (field: readonly [number, number], value: number) =>
    put(field, value.toString(8).padStart(field[1] - 1, '0'));
  put(FIELD.name, name);
  octal(FIELD.mode, 0o600);
  octal(FIELD.uid, 0);
  octal(FIELD.gid, 0);
  if (size <= LARGEST_OCTAL_SIZE) octal(FIELD.size, size);
  else putBinarySize(header, size);
  octal(FIELD.mtime, Math.floor(timeMs / 1000));
  put(FIELD.type, '0');
  put(FIELD.magic, 'ustar\0' + '00');
  put(FIELD.checksum, `${checksumOf(header).toString(8).padStart(6, '0')}\0 `);
  return header;
}

/** Zeros that fill a file's last block. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array(paddingBytes(size));
}

/** Two empty blocks. */
export function tarEnd(): Uint8Array {
  return new Uint8Array(2 * TAR_BLOCK_BYTES);
}

/**
 * The regular files of a stream, one after the other. What follows the end mark is read and dropped.
 *
 * @throws TarError `unexpected EOF`, `archive/tar: invalid tar header`, and when too much follows the end
 */
export async function* tarEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  for (;;) {
    const header = await reader.take(TAR_BLOCK_BYTES);
    if (header === undefined || header.every((byte) => byte === 0)) break;
    const { name, size } = parseHeader(header);
    yield { name, size, content: reader.stream(size) };
    if (paddingBytes(size) > 0) await reader.take(paddingBytes(size));
  }
  await reader.drain();
}

function paddingBytes(size: number): number {
  return (TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
}

function parseHeader(header: Uint8Array): TarFile {
  const text = ([at, length]: readonly [number, number]) =>
    decoder
      .decode(header.subarray(at, at + length))
      .replace(/\0.*$/s, '')
      .trim();
  const isSound = Number.parseInt(text(FIELD.checksum), 8) === checksumOf(header);
  const size =
    (header[FIELD.size[0]] ?? 0) & 0x80 ? binarySize(header) : Number.parseInt(text(FIELD.size), 8);
  if (!isSound || !Number.isSafeInteger(size) || size < 0 || !REGULAR_TYPES.includes(text(FIELD.type)))
    throw new TarError('archive/tar: invalid tar header');
  return { name: text(FIELD.name), size };
}

/** The sum of all bytes, its own field counted as blanks. */
function checksumOf(header: Uint8Array): number {
  const [from, length] = FIELD.checksum;
  let sum = 0;
  for (const [at, byte] of header.entries()) sum += at >= from && at < from + length ? 0x20 : byte;
  return sum;
}

/** GNU's form for sizes from 8 GiB on: the top bit set, then the number big-endian. */
function putBinarySize(header: Uint8Array, size: number): void {
  const [from, length] = FIELD.size;
  new DataView(header.buffer).setBigUint64(from + length - 8, BigInt(size));
  header[from] = 0x80;
}

function binarySize(header: Uint8Array): number {
  const [from, length] = FIELD.size;
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  return Number(view.getBigUint64(from + length - 8));
}

/** Invariant: `#held` is what was received and not yet taken. */
class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly `length` bytes; undefined at a clean end of the source. */
  async take(length: number): Promise<Uint8Array | undefined> {
    while (this.#held.length < length) {
      const next = await this.#receive();
      if (next === undefined) {
        if (this.#held.length === 0) return undefined;
        throw new TarError('unexpected EOF');
      }
      const joined = new Uint8Array(this.#held.length + next.length);
      joined.set(this.#held);
      joined.set(next, this.#held.length);
      this.#held = joined;
    }
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  async *stream(length: number): AsyncGenerator<Uint8Array> {
    let left = length;
    while (left > 0) {
      const chunk = this.#held.length > 0 ? this.#held : await this.#receive();
      if (chunk === undefined) throw new TarError('unexpected EOF');
      this.#held = chunk.subarray(left);
      const part = chunk.subarray(0, left);
      left -= part.length;
      yield part;
    }
  }

  /** So that a checksum behind the archive is looked at. */
  async drain(): Promise<void> {
    this.#held = new Uint8Array(0);
    for (let dropped = 0; dropped <= MAX_TRAILING_BYTES; ) {
      const next = await this.#receive();
      if (next === undefined) return;
      dropped += next.length;
    }
    throw new TarError('archive/tar: data after the end of the archive');
  }

  async #receive(): Promise<Uint8Array | undefined> {
    const next = await this.#source.next();
    return next.done === true ? undefined : next.value;
  }
}
