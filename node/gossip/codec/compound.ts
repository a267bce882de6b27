/** Several messages in one packet: type byte, count, lengths, then the messages back to back. */

import { MessageType } from './message-type.ts';

export const MAX_COMPOUND_PARTS = 255;

/** Bytes of the header without the lengths. */
export const COMPOUND_HEADER_BYTES = 2;
/** Bytes that each part costs beyond its own. */
export const COMPOUND_PART_BYTES = 2;

/** @param parts at most 255, each at most 65535 bytes */
export function encodeCompound(parts: readonly Uint8Array[]): Uint8Array {
  const content = parts.reduce((sum, part) => sum + part.length, 0);
  const result = new Uint8Array(COMPOUND_HEADER_BYTES + parts.length * COMPOUND_PART_BYTES + content);
  result[0] = MessageType.compound;
  result[1] = parts.length;
  let lengthAt = COMPOUND_HEADER_BYTES;
  let at = COMPOUND_HEADER_BYTES + parts.length * COMPOUND_PART_BYTES;
  for (const part of parts) {
    result[lengthAt++] = part.length >> 8;
    result[lengthAt++] = part.length & 0xff;
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** Views of the complete parts and how many are cut off; undefined when not even the lengths are there. */
export function decodeCompound(bytes: Uint8Array): { parts: Uint8Array[]; missing: number } | undefined {
  const count = bytes[1];
  if (count === undefined) return undefined;
  let at = COMPOUND_HEADER_BYTES + count * COMPOUND_PART_BYTES;
  if (at > bytes.length) return undefined;
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const lengthAt = COMPOUND_HEADER_BYTES + i * COMPOUND_PART_BYTES;
    const length = ((bytes[lengthAt] ?? 0) << 8) | (bytes[lengthAt + 1] ?? 0);
    if (at + length > bytes.length) return { parts, missing: count - i };
    parts.push(bytes.subarray(at, at + length));
    at += length;
  }
  return { parts, missing: 0 };
}
