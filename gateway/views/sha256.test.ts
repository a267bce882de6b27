import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256Hex } from './sha256.ts';

test('agrees with another implementation at every length around the block borders', () => {
  for (let length = 0; length < 200; length++) {
    const text = 'ü'.repeat(length % 7) + 'a'.repeat(length);
    expect(sha256Hex(text)).toBe(createHash('sha256').update(text).digest('hex'));
  }
});
