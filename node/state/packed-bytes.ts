/** Values of keys in little memory: a small one is one flat string, a large one a buffer of its own. */

/**
 * A `Uint8Array` costs some 200 bytes beside its content, a string of one byte per character 16. From a few
 * kilobytes on that no longer matters, and bytes outside of the heap spare the garbage collector the copying.
 */
export type PackedBytes = string | Uint8Array;

export const LARGEST_STRING = 2048;

/** A copy: what the bytes were cut from may be reused or freed. */
export function packBytes(bytes: Uint8Array): PackedBytes {
  if (bytes.length === 0) return '';
  if (bytes.length > LARGEST_STRING) {
    const copy = new Uint8Array(bytes.length);
    copy.set(bytes);
    return copy;
  }
  return viewOf(bytes).toString('latin1');
}

/** Shared with the state when it is a buffer: never mutate. */
export function unpackBytes(packed: PackedBytes): Uint8Array {
  return typeof packed === 'string' ? Buffer.from(packed, 'latin1') : packed;
}

export function packedLength(packed: PackedBytes): number {
  return packed.length;
}

/** Standard base64 with padding. */
export function packedToBase64(packed: PackedBytes): string {
  return typeof packed === 'string'
    ? Buffer.from(packed, 'latin1').toString('base64')
    : viewOf(packed).toString('base64');
}

export function isSamePacked(a: PackedBytes, b: PackedBytes): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return viewOf(a).equals(b);
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
