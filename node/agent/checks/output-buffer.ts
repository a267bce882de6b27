/** Keeps check output within its limit: the end of a stream for probes, the beginning of a text for TTL updates. */

const decoder = new TextDecoder();

/**
 * Collects bytes and keeps the last `limit` of them.
 *
 * Invariant: once full, `#next` is where the oldest kept byte lies; memory is at most `limit`, allocated on first use.
 */
export class OutputBuffer {
  readonly #limit: number;
  #ring: Uint8Array | undefined;
  #next = 0;
  #total = 0;

  /** @param limit bytes, ≥ 1 */
  constructor(limit: number) {
    this.#limit = Math.max(1, limit);
  }

  /** Bytes written so far, kept or not. */
  get totalBytes(): number {
    return this.#total;
  }

  get isCut(): boolean {
    return this.#total > this.#limit;
  }

  write(chunk: Uint8Array): void {
    this.#total += chunk.length;
    this.#ring ??= new Uint8Array(this.#limit);
    const kept = chunk.length > this.#limit ? chunk.subarray(chunk.length - this.#limit) : chunk;
    const untilEnd = this.#limit - this.#next;
    this.#ring.set(kept.subarray(0, untilEnd), this.#next);
    if (kept.length > untilEnd) this.#ring.set(kept.subarray(untilEnd), 0);
    this.#next = (this.#next + kept.length) % this.#limit;
  }

  /** The kept bytes as text; a character cut in half shows as U+FFFD. */
  text(): string {
    if (this.#ring === undefined) return '';
    if (!this.isCut) return decoder.decode(this.#ring.subarray(0, Math.min(this.#total, this.#limit)));
    const ordered = new Uint8Array(this.#limit);
    ordered.set(this.#ring.subarray(this.#next), 0);
    ordered.set(this.#ring.subarray(0, this.#next), this.#limit - this.#next);
    return decoder.decode(ordered);
  }

  /** As `text`, with Consul's heading when something was dropped. Script checks show it this way. */
  textWithHeading(): string {
    if (!this.isCut) return this.text();
    return `Captured ${this.#limit} of ${this.#total} bytes\n...\n${this.text()}`;
  }
}

/** A TTL update's text, cut to its first `limit` bytes with Consul's note when longer. */
export function cutTtlOutput(output: string, limit: number): string {
  // A character is at most three bytes of UTF-8 per UTF-16 unit: short texts need no encoding.
  if (output.length * 3 <= limit) return output;
  const bytes = new TextEncoder().encode(output);
  if (bytes.length <= limit) return output;
  return `${decoder.decode(bytes.subarray(0, limit))} ... (captured ${limit} of ${bytes.length} bytes)`;
}

/** What a check shows when its TTL has passed. */
export function expiredTtlOutput(lastOutput: string): string {
  return lastOutput === ''
    ? 'TTL expired'
    : `TTL expired (last output before timeout follows): ${lastOutput}`;
}
