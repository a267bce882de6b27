import { describe, expect, it } from 'vitest';
import { readFrames, writeFrames } from './frames.ts';

const FRAMES = [0, 1, 5, 300_000, 262_140, 2, 0, 900_000].map((size, i) => Buffer.alloc(size, i + 1));

async function* recut(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const frames: Uint8Array[] = [];
  for await (const batch of readFrames(source)) frames.push(...batch);
  return frames;
}

describe('frames', () => {
  const written = Array.from(writeFrames(FRAMES), (chunk) => Buffer.from(chunk));
  const bytes = Buffer.concat(written);

  it('chunks are bounded and all but the last are full', () => {
    expect(written.slice(0, -1).every((chunk) => chunk.length === 256 << 10)).toBe(true);
  });

  it.each([3, 4096, 100_000, 10_000_000])(
    'come back however the stream is cut, here every %i bytes',
    async (size) => {
      const frames = await readAll(recut(bytes, size));
      expect(frames.map((frame) => frame.length)).toEqual(FRAMES.map((frame) => frame.length));
      expect(frames.every((frame, i) => (FRAMES[i] as Buffer).equals(frame))).toBe(true);
    },
  );

  it('refuse a stream that ends early or has an impossible length', async () => {
    await expect(readAll(recut(bytes.subarray(0, -1), 5000))).rejects.toThrow('ends within a frame');
    await expect(readAll(recut(Buffer.from('ffffffff', 'hex'), 10))).rejects.toThrow('too long');
  });
});
