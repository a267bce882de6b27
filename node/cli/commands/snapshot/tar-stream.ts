/** Reads the plain files of a tar stream one after the other, without holding more than a block. */

const BLOCK = 512;
/** Only regular files occur in a snapshot. */
const REGULAR_TYPES = new Set(['0', '\0']);

export interface TarEntry {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Must be read to the end before the next entry is asked for. */
  readonly content: AsyncIterable<Buffer>;
}

/** @throws Error `unexpected EOF`, `archive/tar: invalid tar header` */
export async function* tarEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new BlockReader(source);
  for (;;) {
    const header = await reader.take(BLOCK);
    if (header === undefined || header.every((byte) => byte === 0)) break;
    const { name, size } = parseHeader(header);
    yield { name, size, content: reader.stream(size) };
    await reader.skip((BLOCK - (size % BLOCK)) % BLOCK);
  }
  await reader.drain();
}

function parseHeader(header: Buffer): { name: string; size: number } {
  const field = (from: number, to: number) => header.toString('utf8', from, to).replace(/\0.*$/s, '').trim();
  const size = Number.parseInt(field(124, 136), 8);
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 0x20 : byte), 0);
  const isSound = Number.isSafeInteger(size) && size >= 0 && Number.parseInt(field(148, 156), 8) === sum;
  if (!isSound || !REGULAR_TYPES.has(header.toString('latin1', 156, 157))) {
    throw new Error('archive/tar: invalid tar header');
  }
  return { name: field(0, 100), size };
}

/** Invariant: `#held` is what was received and not yet taken. */
class BlockReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly `length` bytes; undefined at the clean end of the stream. */
  async take(length: number): Promise<Buffer | undefined> {
    while (this.#held.length < length) {
      const next = await this.#receive();
      if (next === undefined) {
        if (this.#held.length === 0) return undefined;
        throw new Error('unexpected EOF');
      }
      this.#held = Buffer.concat([this.#held, next]);
    }
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  async *stream(length: number): AsyncGenerator<Buffer> {
    let left = length;
    while (left > 0) {
      const chunk = this.#held.length > 0 ? this.#held : await this.#receive();
      if (chunk === undefined) throw new Error('unexpected EOF');
      this.#held = chunk.subarray(left);
      const part = chunk.subarray(0, left);
      left -= part.length;
      yield part;
    }
  }

  async skip(length: number): Promise<void> {
    if (length > 0) await this.take(length);
  }

  /** So that a checksum at the end of the source is looked at. */
  async drain(): Promise<void> {
    this.#held = Buffer.alloc(0);
    while ((await this.#receive()) !== undefined);
  }

  async #receive(): Promise<Buffer | undefined> {
    const next = await this.#source.next();
    return next.done === true
      ? undefined
      : Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
  }
}
