import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { TAR_BLOCK_BYTES, tarEnd, tarEntries, tarHeader, tarPadding } from './tar.ts';

const FILES: readonly (readonly [name: string, content: string])[] = [
  ['meta.json', '{"a":1}\n'],
  ['empty', ''],
  ['block', 'x'.repeat(TAR_BLOCK_BYTES)],
  ['long', 'y'.repeat(70_001)],
];

function tarOf(files: typeof FILES): Buffer {
  const parts = files.flatMap(([name, content]) => {
    const bytes = Buffer.from(content);
    return [tarHeader({ name, size: bytes.length }, 1_700_000_000_000), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, tarEnd()]);
}

async function* cut(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

async function read(source: AsyncIterable<Uint8Array>): Promise<[string, string][]> {
  const files: [string, string][] = [];
  for await (const { name, size, content } of tarEntries(source)) {
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    const bytes = Buffer.concat(parts);
    expect(bytes.length).toBe(size);
    files.push([name, bytes.toString()]);
  }
  return files;
}

describe('tar', () => {
  test.each([1, 7, 511, 512, 513, 100_000])(
    'comes back whole from pieces of %i bytes',
    async (pieceBytes) => {
      expect(await read(cut(tarOf(FILES), pieceBytes))).toEqual(FILES);
    },
  );

  test('is what the system understands', () => {
    const listing = execFileSync('tar', ['-tvf', '-'], { input: tarOf(FILES), encoding: 'utf8' });
    expect(listing.split('\n').map((line) => line.split(/\s+/).at(-1))).toEqual([
      ...FILES.map(([name]) => name),
      '',
    ]);
    expect(listing).toMatch(/^-rw------- .* 8 /);
    const long = execFileSync('tar', ['-xOf', '-', 'long'], { input: tarOf(FILES), encoding: 'utf8' });
    expect(long).toBe(FILES[3]?.[1]);
  });

  test('sizes beyond eight gibibytes are written in binary and read again', async () => {
    const size = 9 * 1024 ** 3;
    const entries = tarEntries(cut(tarHeader({ name: 'huge', size }, 0), 512));
    const { value } = await entries.next();
    expect(value).toMatchObject({ name: 'huge', size });
  });

  test.each([
    ['a header of garbage', Buffer.alloc(512, 'x'), 'archive/tar: invalid tar header'],
    ['half a header', tarOf(FILES).subarray(0, 300), 'unexpected EOF'],
    ['half a file', tarOf(FILES).subarray(0, -60_000), 'unexpected EOF'],
    [
      'too much behind the end',
      Buffer.concat([tarOf(FILES), Buffer.alloc(2_000_000)]),
      'archive/tar: data after the end of the archive',
    ],
  ])('%s is refused', async (_, bytes, text) => {
    await expect(read(cut(bytes, 4096))).rejects.toThrow(text);
  });

  test('a changed byte of a header is noticed, links and folders are refused', async () => {
    const bytes = tarOf(FILES);
    bytes[3] = 0x41;
    await expect(read(cut(bytes, 512))).rejects.toThrow('invalid tar header');
    const link = Buffer.from(tarHeader({ name: 'link', size: 0 }, 0));
    link[156] = 0x32;
    await expect(read(cut(link, 512))).rejects.toThrow('invalid tar header');
  });
});
