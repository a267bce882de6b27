/** Packs a folder into a gzipped tar. */

import { createReadStream, createWriteStream, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

const BLOCK = 512;
const NAME_BYTES = 100;

/** Names in the archive begin with the folder's own. @throws Error when a name is too long or a file can't be read */
export async function packFolder(folder: string, archive: string): Promise<void> {
  const entries = blocks(folder, basename(folder));
  await pipeline(Readable.from(entries), createGzip(), createWriteStream(archive, { mode: 0o600 }));
}

async function* blocks(folder: string, name: string): AsyncGenerator<Buffer> {
  yield* folderBlocks(folder, name);
  yield Buffer.alloc(2 * BLOCK);
}

async function* folderBlocks(folder: string, name: string): AsyncGenerator<Buffer> {
  for (const child of readdirSync(folder).sort()) {
    const path = join(folder, child);
    const stat = statSync(path);
    const childName = `${name}/${child}`;
    if (stat.isDirectory()) {
      yield* folderBlocks(path, childName);
      continue;
    }
    yield fileHeader(childName, stat.size, Math.floor(stat.mtimeMs / 1000));
    // A file that grows meanwhile must not shift what follows.
    if (stat.size > 0) yield* createReadStream(path, { end: stat.size - 1 });
    yield Buffer.alloc((BLOCK - (stat.size % BLOCK)) % BLOCK);
  }
}

/** POSIX ustar. Times are seconds since the epoch. */
function fileHeader(name: string, size: number, modified: number): Buffer {
  if (Buffer.byteLength(name) > NAME_BYTES) throw new Error(`name too long for an archive: ${name}`);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number) =>
    header.write(`${value.toString(8).padStart(digits, '0')}\0`, at);
  header.write(name, 0);
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(modified, 136, 11);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  header.write(' ', 155);
  return header;
}
