/** DNS messages in a TCP stream: each after its length in two bytes (RFC 1035 §4.2.2). */

/** The two bytes that go before a message of `length` bytes, 0–65535. */
export function framePrefix(length: number): Uint8Array {
  return Uint8Array.of(length >> 8, length & 0xff);
}

/**
 * Cuts a stream into messages. Holds the chunks that were pushed and not yet read, nothing else; whoever pushes bounds
 * them by not reading from the socket while messages wait.
 *
 * Invariant: the next unread byte is `#chunks[0][#at]`, and `#held` counts the unread bytes.
 */
export class FrameReader {
  #chunks: Uint8Array[] = [];
  #at = 0;
  #held = 0;

  /** Bytes not yet read. */
  get held(): number {
    return this.#held;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
  }

  /** The next whole message; undefined while it is incomplete. A view of the chunk where possible. */
  next(): Uint8Array | undefined {
    if (this.#held < 2) return undefined;
    const length = (this.#peek(0) << 8) | this.#peek(1);
    if (this.#held < 2 + length) {
      this.#compact();
      return undefined;
    }
    this.#take(2);
    return this.#take(length);
  }

  #peek(offset: number): number {
    const first = this.#chunks[0];
    const byte = first?.[this.#at + offset];
    if (byte !== undefined) return byte;
    const into = this.#at + offset - (first?.length ?? 0);
    return this.#chunks[1]?.[into] ?? 0;
  }

  #take(length: number): Uint8Array {
    const first = this.#chunks[0];
    if (first !== undefined && this.#at + length <= first.length) {
      const view = first.subarray(this.#at, this.#at + length);
      this.#skip(length);
      return view;
    }
    const message = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) throw new Error('frame reader lost count of its bytes');
      const part = chunk.subarray(this.#at, this.#at + length - filled);
      message.set(part, filled);
      filled += part.length;
      this.#skip(part.length);
    }
    return message;
  }

  #skip(length: number): void {
    this.#at += length;
    this.#held -= length;
    if (this.#at < (this.#chunks[0]?.length ?? 0)) return;
    this.#chunks.shift();
    this.#at = 0;
  }

  /** A message that trickles in byte by byte must not leave thousands of chunks. */
  #compact(): void {
    if (this.#chunks.length < 64) return;
    const all = this.#take(this.#held);
    this.push(all);
  }
}
