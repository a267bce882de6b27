/** Reads an archive while it comes in: hands the state on, and says at the end whether all of it was sound. */

import { createHash } from 'node:crypto';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { refused } from '../../../shared/errors.ts';
import { type TarEntry, TarError, tarEntries } from '../../../shared/tar.ts';
import { type ArchiveMeta, META_FILE, STATE_FILE, SUMS_FILE } from './archive-format.ts';

const GZIP_HEADER_BYTES = 10;
/** `meta.json` and `SHA256SUMS` are held whole. */
const MAX_TEXT_BYTES = 1024 * 1024;
/** What a server could not hold anyway; also the end of what a small malicious archive may unpack to. */
export const MAX_STATE_BYTES = 4 * 1024 ** 3;

/**
 * @param takeState gets the state in order; what it throws ends the reading and is passed on
 * @returns what the archive says of itself, after its sums were checked
 * @throws ConsulError 500 `failed to decompress snapshot: …`, `failed to read snapshot file: …`
 */
export async function readArchive(
  archive: AsyncIterable<Uint8Array>,
  takeState: (chunk: Uint8Array) => Promise<void>,
): Promise<ArchiveMeta> {
  const checked = await withGzipHeader(archive);
  const gunzip = createGunzip();
  // A failure of either side ends the other; the loop sees it.
  pipeline(Readable.from(checked, { objectMode: false }), gunzip, () => {});
  try {
    return await readFiles(tarEntries(gunzip), takeState);
  } catch (error) {
    throw error instanceof TakeError ? error.reason : unreadable(error);
  } finally {
    gunzip.destroy();
  }
}

/** What `takeState` threw, kept apart from damage to the archive. */
class TakeError extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('state refused', { cause: reason });
    this.reason = reason;
  }
}

/** @returns all of the archive again @throws ConsulError when it does not begin as gzip does */
async function withGzipHeader(archive: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const source = archive[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < GZIP_HEADER_BYTES) {
    const next = await source.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const problem = headerProblem(head);
  if (problem !== undefined) {
    await source.return?.();
    throw refused(`failed to decompress snapshot: ${problem}`);
  }
  return rejoined(head, source);
}

function headerProblem(head: Buffer): string | undefined {
  if (head.length === 0) return 'EOF';
  if (head.length < GZIP_HEADER_BYTES) return 'unexpected EOF';
  return head.readUIntBE(0, 3) === 0x1f8b08 ? undefined : 'gzip: invalid header';
}

async function* rejoined(head: Buffer, source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield head;
    for (;;) {
      const next = await source.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await source.return?.();
  }
}

async function readFiles(
  entries: AsyncIterable<TarEntry>,
  takeState: (chunk: Uint8Array) => Promise<void>,
): Promise<ArchiveMeta> {
  const sums = new Map<string, string>();
  let meta: ArchiveMeta | undefined;
  let stateSize = 0;
  let listed = '';
  for await (const entry of entries) {
    if (sums.has(entry.name)) throw new Error(`file ${JSON.stringify(entry.name)} is there twice`);
    switch (entry.name) {
      case META_FILE: {
        const text = await wholeText(entry);
        sums.set(META_FILE, sha256(text));
        meta = parseMeta(text.toString());
        break;
      }
      case STATE_FILE:
        stateSize = entry.size;
        sums.set(STATE_FILE, await takeAll(entry, takeState));
        break;
      case SUMS_FILE:
        listed = (await wholeText(entry)).toString();
        break;
      default:
        throw new Error(`unexpected file ${JSON.stringify(entry.name)} in snapshot`);
    }
  }
  checkSums(listed, sums);
  if (meta === undefined || meta.Size !== stateSize)
    throw new Error('failed checking integrity of snapshot: size does not match its metadata');
  return meta;
}

async function takeAll(entry: TarEntry, takeState: (chunk: Uint8Array) => Promise<void>): Promise<string> {
  if (entry.size > MAX_STATE_BYTES) throw new Error(`file ${JSON.stringify(entry.name)} is too large`);
  const hash = createHash('sha256');
  for await (const chunk of entry.content) {
    hash.update(chunk);
    try {
      await takeState(chunk);
    } catch (error) {
      throw new TakeError(error);
    }
  }
  return hash.digest('hex');
}

async function wholeText(entry: TarEntry): Promise<Buffer> {
  if (entry.size > MAX_TEXT_BYTES) throw new Error(`file ${JSON.stringify(entry.name)} is too large`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of entry.content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function parseMeta(text: string): ArchiveMeta {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new Error(`failed to read snapshot metadata: ${textOf(error)}`);
  }
  const fields = typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  const { ID, Index, Size, Term } = fields;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
  if (typeof ID !== 'string' || !isCount(Index) || !isCount(Term) || !isCount(Size))
    throw new Error('failed to read snapshot metadata: fields are missing');
  return { ID, Index, Term, Size };
}

/** Every file must be listed and every listed one there, with the same digest. Go's words. */
function checkSums(listed: string, sums: ReadonlyMap<string, string>): void {
  const fail = (what: string): never => {
    throw new Error(`failed checking integrity of snapshot: ${what}`);
  };
  const seen = new Set<string>();
  for (const line of listed.split('\n').filter((text) => text !== '')) {
    const [, sum, name] = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line) ?? [];
    if (sum === undefined || name === undefined) fail('input does not match format');
    else if (!sums.has(name)) fail(`list missing hash for ${JSON.stringify(name)}`);
    else if (sums.get(name) !== sum) fail(`hash check failed for ${JSON.stringify(name)}`);
    else seen.add(name);
  }
  for (const name of [META_FILE, STATE_FILE]) {
    if (!seen.has(name)) fail(`file missing for ${JSON.stringify(name)}`);
  }
}

/** What a reader of damaged bytes says, in Go's words. */
function unreadable(error: unknown): Error {
  const damage = damageText(error);
  const reason = damage === undefined ? textOf(error) : `failed reading snapshot: ${damage}`;
  return refused(`failed to read snapshot file: ${reason}`);
}

/** undefined when the bytes are sound as gzip and tar. */
function damageText(error: unknown): string | undefined {
  if (error instanceof TarError) return error.message;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'Z_BUF_ERROR') return 'unexpected EOF';
  if (code !== 'Z_DATA_ERROR') return undefined;
  const text = textOf(error);
  return text === 'incorrect data check' ? 'gzip: invalid checksum' : `flate: corrupt input (${text})`;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
