import { describe, expect, it } from 'vitest';
import { byteText, compoundKey, exactKey, fromByteText, keysUnder, nameKey } from './byte-text.ts';

const TEXTS = [
  '',
  'a',
  'b',
  'ab',
  'a/b',
  'é',
  'ü',
  '✓',
  '\u{e000}',
  '\uffff',
  '\u{10000}',
  '😀',
  'a\0b',
  'x'.repeat(9000),
];

describe('byteText', () => {
  it('sorts as the UTF-8 bytes do, surrogate pairs above everything else', () => {
    const byBytes = [...TEXTS].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const byKey = [...TEXTS].sort((a, b) => (byteText(a) < byteText(b) ? -1 : 1));
    expect(byKey).toEqual(byBytes);
    expect('\u{10000}' < '\uffff').toBe(true);
    expect(byteText('\u{10000}') < byteText('\uffff')).toBe(false);
  });

  it.each(TEXTS)('comes back from %j', (text) => {
    expect(fromByteText(byteText(text))).toBe(text);
  });
});

describe('compound keys', () => {
  it('differ whenever a part differs, also with separators in the parts', () => {
    const parts = ['', 'a', 'a\0', '\0', '\0a', 'a\0b', 'b'].map(exactKey);
    const keys = new Set(parts.flatMap((a) => parts.flatMap((b) => parts.map((c) => compoundKey(a, b, c)))));
    expect(keys.size).toBe(parts.length ** 3);
  });

  it('bounds cover exactly the keys that begin with the parts', () => {
    const firsts = ['a', 'a\0', 'a\0b', 'ab', 'b', ''].map(exactKey);
    for (const first of firsts) {
      const { from, to } = keysUnder(first);
      for (const other of firsts) {
        for (const second of ['', 'x', '\u{10ffff}'].map(exactKey)) {
          const key = compoundKey(other, second);
          expect(key >= from && key < to).toBe(first === other);
        }
      }
    }
  });

  it('names are equal in any case, exact keys are not', () => {
    expect(nameKey('Wéb')).toBe(nameKey('wÉB'));
    expect(exactKey('Web')).not.toBe(exactKey('web'));
  });
});
