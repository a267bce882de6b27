/** Writes the state as the archive that users keep. */

import { createHash } from 'node:crypto';
import { createGzip, type Gzip } from 'node:zlib';
import { tarEnd, tarHeader, tarPadding } from '../../../shared/tar.ts';
import type { RaftPeer } from '../../raft/types.ts';
import { packValue } from '../../rpc/messages.ts';
import { type ArchiveMeta, META_FILE, STATE_FILE, SUMS_FILE } from './archive-format.ts';

/** A point in time of the state that can be written out several times, always as the same bytes. */
export interface ArchiveSource {
  /** A new pass over the whole state. A chunk is good until the next is asked for. */
  chunks(): AsyncIterable<Uint8Array>;
  release(): void;
  readonly index: number;
  readonly term: number;
  readonly peers: readonly RaftPeer[];
  readonly configurationIndex: number;
  /** Wall clock. */
  readonly timeMs: number;
}

/** Speed over ratio: what is saved is mostly small values that compress well anyhow. */
const GZIP_OPTIONS = { level: 1 };

/**
 * The archive in pieces, made while it is read. The state is gone over twice, because a tar says how long a file is
 * before its content: that costs time, but no memory and no disk.
 */
export async function* writeArchive(source: ArchiveSource): AsyncGenerator<Uint8Array> {
  try {
    const gzip = createGzip(GZIP_OPTIONS);
    // A failure ends the stream; the loop below sees it.
    packAll(source, gzip).catch((error: unknown) => gzip.destroy(toError(error)));
    yield* gzip;
  } finally {
    source.release();
  }
}

/** One piece at a time: the next may lie in the same memory. */
async function packAll(source: ArchiveSource, gzip: Gzip): Promise<void> {
  for await (const piece of tarStream(source))
    await new Promise<void>((resolve, reject) => {
      gzip.write(piece, (error) => (error ? reject(error) : resolve()));
    });
  gzip.end();
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

async function* tarStream(source: ArchiveSource): AsyncGenerator<Uint8Array> {
  const stateHash = createHash('sha256');
  let size = 0;
  for await (const chunk of source.chunks()) {
    stateHash.update(chunk);
    size += chunk.length;
    await nextTurn();
  }
  const stateSum = stateHash.digest('hex');
  const meta = Buffer.from(`${JSON.stringify(metaOf(source, size))}\n`);
  const metaSum = createHash('sha256').update(meta).digest('hex');
  const sums = Buffer.from(`${metaSum}  ${META_FILE}\n${stateSum}  ${STATE_FILE}\n`);
  yield* smallFile(META_FILE, meta, source.timeMs);
  yield tarHeader({ name: STATE_FILE, size }, source.timeMs);
  yield* source.chunks();
  if (size % 512 !== 0) yield tarPadding(size);
  yield* smallFile(SUMS_FILE, sums, source.timeMs);
  yield tarEnd();
}

function* smallFile(name: string, content: Uint8Array, timeMs: number): Generator<Uint8Array> {
  yield tarHeader({ name, size: content.length }, timeMs);
  yield content;
  if (content.length % 512 !== 0) yield tarPadding(content.length);
}

/** Consul's fields, so that its tools can show them. */
function metaOf(source: ArchiveSource, size: number): ArchiveMeta & Record<string, unknown> {
  const { configurationIndex, index, peers, term, timeMs } = source;
  return {
    Version: 1,
    ID: `${term}-${index}-${timeMs}`,
    Index: index,
    Term: term,
    Peers: packValue(peers.map((peer) => peer.address)).toString('base64'),
    Configuration: {
      Servers: peers.map((peer) => ({ Suffrage: peer.isVoter ? 0 : 1, ID: peer.id, Address: peer.address })),
    },
    ConfigurationIndex: configurationIndex,
    Size: size,
  };
}

/** Serialising is synchronous: others get their turn between chunks. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
