import { describe, expect, it } from 'vitest';
import { isSamePacked, packBytes, packedLength, packedToBase64, unpackBytes } from './packed-bytes.ts';

describe('packed bytes', () => {
  it.each([0, 1, 255, 2048, 2049, 70_000])('hold %i bytes as they were', (length) => {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) & 0xff);
    const packed = packBytes(bytes);
    expect(packedLength(packed)).toBe(length);
    expect(Buffer.from(unpackBytes(packed)).equals(bytes)).toBe(true);
    expect(packedToBase64(packed)).toBe(Buffer.from(bytes).toString('base64'));
    expect(isSamePacked(packed, packBytes(bytes))).toBe(true);
  });

  it.each([10, 5000])('are copies: what they came from may be reused (%i bytes)', (length) => {
    const source = Buffer.alloc(length, 1);
    const packed = packBytes(source);
    source.fill(2);
    expect(isSamePacked(packed, packBytes(Buffer.alloc(length, 1)))).toBe(true);
    expect(isSamePacked(packed, packBytes(source))).toBe(false);
  });
});
