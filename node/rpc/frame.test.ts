import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../shared/simulated-env.ts';
import { FRAME_OVERHEAD, FRAME_TYPE, FrameDecoder, FrameError, frameHeader } from './frame.ts';

type Seen = [type: number, id: number, text: string];

function frame(id: number, text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([frameHeader(FRAME_TYPE.request, id, payload.length), payload]);
}

function decodeAll(chunks: readonly Buffer[], limit = 1024): Seen[] {
  const decoder = new FrameDecoder(limit);
  const seen: Seen[] = [];
  for (const chunk of chunks)
    decoder.push(chunk, (type, id, payload) => seen.push([type, id, payload.toString()]));
  return seen;
}

describe('FrameDecoder', () => {
  const bytes = Buffer.concat([
    frame(1, 'a'),
    frame(2, ''),
    frame(0xffff_ffff, 'x'.repeat(900)),
    frame(4, 'end'),
  ]);
  const expected: Seen[] = [
    [1, 1, 'a'],
    [1, 2, ''],
    [1, 0xffff_ffff, 'x'.repeat(900)],
    [1, 4, 'end'],
  ];

  test('one chunk with everything', () => {
    expect(decodeAll([bytes])).toEqual(expected);
  });

  test('one byte at a time', () => {
    expect(decodeAll([...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected);
  });

  test.each([1, 2, 3, 4, 5])('random cuts, seed %i', (seed) => {
    const random = new SeededRandom(seed);
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const length = 1 + Math.floor(random.next() * 40);
      chunks.push(bytes.subarray(at, at + length));
      at += length;
    }
    expect(decodeAll(chunks)).toEqual(expected);
  });

  test('the largest payload passes, one byte more does not', () => {
    expect(decodeAll([frame(1, 'x'.repeat(10))], 10)).toHaveLength(1);
    expect(() => decodeAll([frame(1, 'x'.repeat(11))], 10)).toThrow(FrameError);
  });

  test('a length is refused before its bytes arrive', () => {
    const lie = frameHeader(FRAME_TYPE.request, 1, 0);
    lie.writeUInt32BE(0xffff_ffff, 0);
    expect(() => decodeAll([lie])).toThrow(FrameError);
  });

  test('a length below the header is refused', () => {
    const short = Buffer.alloc(FRAME_OVERHEAD);
    short.writeUInt32BE(4, 0);
    expect(() => decodeAll([short])).toThrow(FrameError);
  });

  test('random bytes end in frames or a FrameError, never in anything else', () => {
    const random = new SeededRandom(7);
    let refused = 0;
    for (let run = 0; run < 500; run++) {
      const noise = Buffer.from(random.bytes(1 + Math.floor(random.next() * 200)));
      try {
        decodeAll([noise]);
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(400);
  });
});
