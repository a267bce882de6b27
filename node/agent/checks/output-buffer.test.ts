import { describe, expect, it } from 'vitest';
import { cutTtlOutput, expiredTtlOutput, OutputBuffer } from './output-buffer.ts';

function collected(limit: number, ...chunks: string[]): OutputBuffer {
  const buffer = new OutputBuffer(limit);
  for (const chunk of chunks) buffer.write(Buffer.from(chunk));
  return buffer;
}

describe('the buffer of a probe', () => {
  it.each([
    ['nothing', [], ''],
    ['less than the limit', ['abc', 'd'], 'abcd'],
    ['the limit', ['abcd', 'efgh'], 'abcdefgh'],
    ['one byte more', ['abcd', 'efghi'], 'bcdefghi'],
    ['many turns', ['abc', 'def', 'ghi', 'jkl', 'mno', 'pqr'], 'klmnopqr'],
    ['one chunk larger than all', ['x', 'abcdefghijklmnop'], 'ijklmnop'],
    ['empty chunks', ['', 'ab', ''], 'ab'],
  ])('keeps the end of %s', (_name, chunks, expected) => {
    expect(collected(8, ...chunks).text()).toBe(expected);
  });

  it('says how much was dropped', () => {
    expect(collected(4, 'abcdef').textWithHeading()).toBe('Captured 4 of 6 bytes\n...\ncdef');
    expect(collected(6, 'abcdef').textWithHeading()).toBe('abcdef');
  });

  it('shows half a character as a replacement', () => {
    expect(collected(3, 'éé').text()).toBe('\u{FFFD}é');
  });
});

describe('the output of a TTL update', () => {
  it('is kept up to the limit', () => {
    expect(cutTtlOutput('o'.repeat(4096), 4096)).toBe('o'.repeat(4096));
  });
  it('is cut to its beginning, with a note', () => {
    expect(cutTtlOutput('o'.repeat(60), 50)).toBe(`${'o'.repeat(50)} ... (captured 50 of 60 bytes)`);
  });
  it('counts bytes, not characters', () => {
    expect(cutTtlOutput('ééé', 4)).toBe('éé ... (captured 4 of 6 bytes)');
    expect(cutTtlOutput('ééé', 6)).toBe('ééé');
  });
  it('stays visible when the TTL passes', () => {
    expect(expiredTtlOutput('')).toBe('TTL expired');
    expect(expiredTtlOutput('alive')).toBe('TTL expired (last output before timeout follows): alive');
  });
});
