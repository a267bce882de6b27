/** LZW as in GIF image data: least significant bit first, 8-bit literals, codes of 9 to 12 bits. */

const CLEAR = 256;
const END = 257;
const FIRST_WIDTH = 9;
const MAX_WIDTH = 12;
const MAX_CODE = (1 << MAX_WIDTH) - 1;

const HASH_BITS = 14;
const HASH_SIZE = 1 << HASH_BITS;
const HASH_MASK = HASH_SIZE - 1;

/** Encoder table, open addressing: key is (code, next byte) plus one, value the code of the longer string. Zero keys are free. */
const hashKeys = new Uint32Array(HASH_SIZE);
const hashValues = new Uint16Array(HASH_SIZE);
/** Decoder table: the string of code c is the string of `prefixes[c]` followed by `suffixes[c]`. */
const prefixes = new Uint16Array(1 << MAX_WIDTH);
const suffixes = new Uint8Array(1 << MAX_WIDTH);
const reversed = new Uint8Array(1 << MAX_WIDTH);

/** Packs codes into bytes. */
class BitSink {
  #bytes: Uint8Array;
  #length = 0;
  #bits = 0;
  #bitCount = 0;

  constructor(expectedBytes: number) {
    this.#bytes = new Uint8Array(Math.max(16, expectedBytes));
  }

  put(code: number, width: number): void {
    this.#bits |= code << this.#bitCount;
    this.#bitCount += width;
    while (this.#bitCount >= 8) {
      this.#byte(this.#bits & 0xff);
      this.#bits >>>= 8;
      this.#bitCount -= 8;
    }
  }

  finish(): Uint8Array {
    if (this.#bitCount > 0) this.#byte(this.#bits & 0xff);
    return this.#bytes.subarray(0, this.#length);
  }

  #byte(value: number): void {
    if (this.#length === this.#bytes.length) {
      const grown = new Uint8Array(this.#length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes[this.#length++] = value;
  }
}

/** Compresses; byte-identical to what memberlist peers produce. */
export function lzwCompress(input: Uint8Array): Uint8Array {
  const sink = new BitSink((input.length >> 1) + 16);
  let width = FIRST_WIDTH;
  let high = END;
  let overflow = 1 << FIRST_WIDTH;
  sink.put(CLEAR, width);
  hashKeys.fill(0);

  /** Counts the code just sent; true when the table was full and has been cleared. */
  const advance = (): boolean => {
    high += 1;
    if (high === overflow) {
      width += 1;
      overflow *= 2;
    }
    if (high !== MAX_CODE) return false;
    sink.put(CLEAR, width);
    width = FIRST_WIDTH;
    high = END;
    overflow = 1 << FIRST_WIDTH;
    hashKeys.fill(0);
    return true;
  };

  let code = input[0];
  if (code === undefined) {
    sink.put(END, width);
    return sink.finish();
  }
  for (let i = 1; i < input.length; i++) {
    const byte = input[i] ?? 0;
    // One is added so that no key is zero, the mark of a free slot.
    const key: number = ((code << 8) | byte) + 1;
    let slot: number = (Math.imul(key, 0x9e3779b1) >>> (32 - HASH_BITS)) & HASH_MASK;
    while (hashKeys[slot] !== 0 && hashKeys[slot] !== key) slot = (slot + 1) & HASH_MASK;
    if (hashKeys[slot] === key) {
      code = hashValues[slot] ?? 0;
      continue;
    }
    sink.put(code, width);
    code = byte;
    if (advance()) continue;
    hashKeys[slot] = key;
    hashValues[slot] = high;
  }
  sink.put(code, width);
  advance();
  sink.put(END, width);
  return sink.finish();
}

/**
 * Decompresses at most `maxBytes`.
 *
 * @returns undefined when the input is not valid LZW, ends before its end code, or would grow beyond `maxBytes`
 */
export function lzwDecompress(input: Uint8Array, maxBytes: number): Uint8Array | undefined {
  let output = new Uint8Array(Math.min(maxBytes, Math.max(64, input.length * 3)));
  let length = 0;
  let width = FIRST_WIDTH;
  let high = END;
  let overflow = 1 << FIRST_WIDTH;
  let previous = -1;
  let bits = 0;
  let bitCount = 0;
  let at = 0;
  for (;;) {
    while (bitCount < width) {
      const byte = input[at++];
      if (byte === undefined) return undefined;
      bits |= byte << bitCount;
      bitCount += 8;
    }
    const code = bits & ((1 << width) - 1);
    bits >>>= width;
    bitCount -= width;
    if (code === END) return output.subarray(0, length);
    if (code === CLEAR) {
      width = FIRST_WIDTH;
      high = END;
      overflow = 1 << FIRST_WIDTH;
      previous = -1;
      continue;
    }
    if (code > high || (code === high && previous < 0)) return undefined;

    // The string is walked from its last byte to its first, so it is collected backwards.
    let count = 0;
    let walk = code;
    if (code === high) {
      count = 1;
      walk = previous;
    }
    while (walk >= CLEAR) {
      reversed[count++] = suffixes[walk] ?? 0;
      walk = prefixes[walk] ?? 0;
    }
    reversed[count++] = walk;
    if (code === high) reversed[0] = walk;

    if (length + count > maxBytes) return undefined;
    if (length + count > output.length) {
      const grown = new Uint8Array(Math.min(maxBytes, (length + count) * 2));
      grown.set(output.subarray(0, length));
      output = grown;
    }
    for (let i = count - 1; i >= 0; i--) output[length++] = reversed[i] ?? 0;

    if (previous >= 0) {
      prefixes[high] = previous;
      suffixes[high] = walk;
    }
    previous = code;
    high += 1;
    if (high < overflow) continue;
    if (width === MAX_WIDTH) {
      previous = -1;
      high -= 1;
    } else {
      width += 1;
      overflow *= 2;
    }
  }
}
