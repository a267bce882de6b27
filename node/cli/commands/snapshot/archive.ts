/** Checks a snapshot archive: gzip of a tar with `meta.json`, `state.bin` and the `SHA256SUMS` of both. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { type TarEntry, tarEntries } from '../../../../shared/tar.ts';
import { messageOf } from '../../flag-access.ts';

/** What `meta.json` says. `Size` is that of `state.bin`, bytes. */
export interface SnapshotMeta {
  readonly ID: string;
  readonly Size: number;
  readonly Index: number;
  readonly Term: number;
  readonly Version: number;
}

const GZIP_HEADER_BYTES = 10;
/** `meta.json` and `SHA256SUMS` are held whole, so they are bounded. */
const MAX_TEXT_BYTES = 1024 * 1024;

/**
 * Reads the whole file once.
 * @throws Error `failed to decompress snapshot: …`, `failed to read snapshot file: …`; the system's error when it can't be opened
 */
export async function verifySnapshot(path: string): Promise<SnapshotMeta> {
  await checkGzipHeader(path);
  const gunzip = createGunzip();
  const file = createReadStream(path);
  file.on('error', (error) => gunzip.destroy(error));
  try {
    return await readArchive(tarEntries(file.pipe(gunzip)));
  } catch (error) {
    const text = messageOf(error);
    // zlib's words for a stream that stops too early.
    throw new Error(
      `failed to read snapshot file: ${text === 'unexpected end of file' ? 'unexpected EOF' : text}`,
    );
  } finally {
    file.destroy();
    gunzip.destroy();
  }
}

async function checkGzipHeader(path: string): Promise<void> {
  const handle = await open(path);
  try {
    const { bytesRead, buffer } = await handle.read({ buffer: Buffer.alloc(GZIP_HEADER_BYTES), position: 0 });
    const problem =
      bytesRead === 0
        ? 'EOF'
        : bytesRead < GZIP_HEADER_BYTES
          ? 'unexpected EOF'
          : buffer.readUInt16BE(0) !== 0x1f8b
            ? 'gzip: invalid header'
            : undefined;
    if (problem !== undefined) throw new Error(`failed to decompress snapshot: ${problem}`);
  } finally {
    await handle.close();
  }
}

async function readArchive(entries: AsyncIterable<TarEntry>): Promise<SnapshotMeta> {
  const digests = new Map<string, string>();
  let meta: SnapshotMeta | undefined;
  let sums = '';
  for await (const entry of entries) {
    switch (entry.name) {
      case 'meta.json': {
        const text = await wholeText(entry);
        digests.set(entry.name, createHash('sha256').update(text).digest('hex'));
        meta = parseMeta(text.toString());
        break;
      }
      case 'state.bin': {
        const hash = createHash('sha256');
        for await (const chunk of entry.content) hash.update(chunk);
        digests.set(entry.name, hash.digest('hex'));
        break;
      }
      case 'SHA256SUMS':
        sums = (await wholeText(entry)).toString();
        break;
      default:
        throw new Error(`unexpected file ${JSON.stringify(entry.name)} in snapshot`);
    }
  }
  checkSums(sums, digests);
  if (meta === undefined) throw new Error('missing "meta.json" in snapshot');
  return meta;
}

async function wholeText(entry: TarEntry): Promise<Buffer> {
  if (entry.size > MAX_TEXT_BYTES) throw new Error(`file ${JSON.stringify(entry.name)} is too large`);
  const chunks: Buffer[] = [];
  for await (const chunk of entry.content) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function parseMeta(text: string): SnapshotMeta {
  let parsed: Partial<Record<keyof SnapshotMeta, unknown>> | null;
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch (error) {
    throw new Error(`failed to read snapshot metadata: ${messageOf(error)}`);
  }
  const number = (key: keyof SnapshotMeta) => (typeof parsed?.[key] === 'number' ? parsed[key] : 0);
  return {
    ID: typeof parsed?.ID === 'string' ? parsed.ID : '',
    Size: number('Size'),
    Index: number('Index'),
    Term: number('Term'),
    Version: number('Version'),
  };
}

/** Every file that is there must be listed, and every listed one there, with the same digest. */
function checkSums(sums: string, digests: ReadonlyMap<string, string>): void {
  const listed = new Map<string, string>();
  for (const line of sums.split('\n').filter((text) => text !== '')) {
    const match = /^([0-9a-f]{64}) {2}(.+)$/.exec(line);
    if (match === null) throw new Error('failed checking integrity of snapshot: malformed SHA256SUMS');
    listed.set(match[2] ?? '', match[1] ?? '');
  }
  for (const name of ['meta.json', 'state.bin']) {
    const digest = digests.get(name);
    if (digest === undefined || !listed.has(name)) {
      throw new Error(`failed checking integrity of snapshot: file missing: ${JSON.stringify(name)}`);
    }
    if (listed.get(name) !== digest) {
      throw new Error(`failed checking integrity of snapshot: hash check failed for ${JSON.stringify(name)}`);
    }
  }
}
