/**
 * Snapshots on disk: `<term>-<index>-<ms>/{meta.json,state.bin}`, written beside under a `.tmp` name and renamed
 * when whole and durable; the newest ones are kept.
 */

import { crc32 } from 'node:zlib';
import { decodePeers, encodePeers } from '../core/configuration.ts';
import { asIndex, asTerm, type SnapshotMeta } from '../core/entry.ts';
import { type AppendFile, type Disk, writeFile } from '../wal/disk.ts';

/** A snapshot on disk. */
export interface StoredSnapshot {
  readonly path: string;
  readonly meta: SnapshotMeta;
  /** Bytes of `state.bin`. */
  readonly size: number;
  /** CRC-32 of `state.bin`. */
  readonly checksum: number;
}

/** A snapshot being written. Either `finish` or `abort` is called, once. */
export interface SnapshotSink {
  write(bytes: Uint8Array): Promise<void>;
  readonly size: number;
  readonly checksum: number;
  /** Makes it durable and visible, and drops those too old to keep. */
  finish(): Promise<StoredSnapshot>;
  abort(): Promise<void>;
}

export interface SnapshotStore {
  /** Removes what a crash left half written. Only before anything else is done with the store. */
  cleanUp(): Promise<void>;
  /** The sound ones, newest first. */
  list(): Promise<readonly StoredSnapshot[]>;
  create(meta: SnapshotMeta): Promise<SnapshotSink>;
  /** The state in pieces; throws at the end when size or checksum do not match. */
  read(snapshot: StoredSnapshot): AsyncIterable<Uint8Array>;
  /** @param into memory, at least so long, that the result may lie in */
  readAt(snapshot: StoredSnapshot, offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /** Keeps the snapshot, however many newer ones there will be. @returns ends that */
  hold(snapshot: StoredSnapshot): () => void;
}

export interface SnapshotStoreOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly nowMs: () => number;
  /** How many to keep, ≥ 1. */
  readonly retain?: number;
}

/** A snapshot's files do not hold what its description says. */
export class SnapshotDamagedError extends Error {
  override readonly name = 'SnapshotDamagedError';

  constructor(path: string, what: string) {
    super(`raft snapshot ${path} is damaged: ${what}`);
  }
}

const FORMAT_VERSION = 1;
const READ_BYTES = 1024 * 1024;
const DEFAULT_RETAIN = 2;
export const TEMPORARY_SUFFIX = '.tmp';
/** `<term>-<index>-<ms>` */
export const SNAPSHOT_NAME = /^(\d+)-(\d+)-(\d+)$/;

export function createSnapshotStore(options: SnapshotStoreOptions): SnapshotStore {
  const { disk, directory, nowMs } = options;
  const retain = options.retain ?? DEFAULT_RETAIN;

  const list = async (): Promise<readonly StoredSnapshot[]> => {
    const found: StoredSnapshot[] = [];
    for (const name of await disk.list(directory)) {
      const path = `${directory}/${name}`;
      const snapshot = SNAPSHOT_NAME.test(name) ? await readMeta(disk, path) : undefined;
      if (snapshot !== undefined) found.push(snapshot);
    }
    return found.sort((a, b) => b.meta.index - a.meta.index || b.meta.term - a.meta.term);
  };

  // One of the server's own and one from the leader may be written at the same time, for the same index.
  let lastMs = 0;
  const unusedMs = (names: readonly string[]): number => {
    const taken = names.map((name) => Number(SNAPSHOT_NAME.exec(name)?.[3] ?? 0));
    lastMs = Math.max(nowMs(), lastMs + 1, ...taken.map((ms) => ms + 1));
    return lastMs;
  };

  const held = new Map<string, number>();
  const dropOld = async () => {
    const all = await list();
    for (const old of all.slice(retain)) if (!held.has(old.path)) await disk.remove(old.path);
  };

  return {
    async cleanUp() {
      for (const name of await disk.list(directory))
        if (name.endsWith(TEMPORARY_SUFFIX)) await disk.remove(`${directory}/${name}`);
    },
    list,
    async create(meta) {
      const path = `${directory}/${meta.term}-${meta.index}-${unusedMs(await disk.list(directory))}`;
      const temporary = path + TEMPORARY_SUFFIX;
      await disk.makeDirectory(temporary);
      const file = await disk.create(`${temporary}/state.bin`, 0o644);
      return openSink(file, {
        finish: async (size, checksum) => {
          await writeFile(disk, `${temporary}/meta.json`, encodeMeta(meta, size, checksum), 0o644);
          await disk.syncDirectory(temporary);
          await disk.rename(temporary, path);
          await disk.syncDirectory(directory);
          await dropOld();
          return { path, meta, size, checksum };
        },
        abort: () => disk.remove(temporary),
      });
    },
    async *read(snapshot) {
      let checksum = 0;
      let offset = 0;
      while (offset < snapshot.size) {
        const bytes = await disk.readAt(`${snapshot.path}/state.bin`, offset, READ_BYTES);
        if (bytes.length === 0) throw new SnapshotDamagedError(snapshot.path, `ends at ${offset}`);
        checksum = crc32(bytes, checksum);
        offset += bytes.length;
        yield bytes;
      }
      if (offset !== snapshot.size || checksum !== snapshot.checksum)
        throw new SnapshotDamagedError(snapshot.path, 'checksum of the state does not match');
    },
    hold({ path }) {
      held.set(path, (held.get(path) ?? 0) + 1);
      return () => {
        const left = (held.get(path) ?? 0) - 1;
        if (left > 0) held.set(path, left);
        else held.delete(path);
      };
    },
    readAt: (snapshot, offset, length, into) =>
      disk.readAt(`${snapshot.path}/state.bin`, offset, length, into),
  };
}

function openSink(
  file: AppendFile,
  end: {
    readonly finish: (size: number, checksum: number) => Promise<StoredSnapshot>;
    readonly abort: () => Promise<void>;
  },
): SnapshotSink {
  let size = 0;
  let checksum = 0;
  return {
    get size() {
      return size;
    },
    get checksum() {
      return checksum;
    },
    async write(bytes) {
      checksum = crc32(bytes, checksum);
      size += bytes.length;
      await file.append(bytes);
    },
    async finish() {
      await file.sync();
      await file.close();
      return end.finish(size, checksum);
    },
    async abort() {
      await file.close();
      await end.abort();
    },
  };
}

/** The description as JSON, with a checksum over all its other fields. */
function encodeMeta(meta: SnapshotMeta, size: number, checksum: number): Uint8Array {
  const fields = {
    Version: FORMAT_VERSION,
    Index: meta.index,
    Term: meta.term,
    ConfigurationIndex: meta.configurationIndex,
    Configuration: new TextDecoder().decode(encodePeers(meta.peers)),
    Size: size,
    CRC: checksum,
  };
  const MetaCRC = crc32(JSON.stringify(fields));
  return new TextEncoder().encode(`${JSON.stringify({ ...fields, MetaCRC }, null, 2)}\n`);
}

/** @returns undefined when there is no sound description, so that an older snapshot can serve */
async function readMeta(disk: Disk, path: string): Promise<StoredSnapshot | undefined> {
  const bytes = await disk.read(`${path}/meta.json`);
  if (bytes === undefined) return undefined;
  try {
    return decodeMeta(path, bytes);
  } catch {
    // Not JSON, or not of this form: as good as absent. If the log cannot do without it, opening the log says so.
    return undefined;
  }
}

/**
 * What a snapshot's `meta.json` says.
 *
 * @param path of the snapshot's directory
 * @throws Error that says what is wrong with it
 */
export function decodeMeta(path: string, bytes: Uint8Array): StoredSnapshot {
  const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
  if (typeof value !== 'object' || value === null) throw new Error('not an object');
  const { MetaCRC, ...fields } = value as Record<string, unknown>;
  if (MetaCRC !== crc32(JSON.stringify(fields)))
    throw new Error('checksum of the description does not match');
  if (fields.Version !== FORMAT_VERSION) throw new Error(`unknown format version ${String(fields.Version)}`);
  if (typeof fields.Configuration !== 'string') throw new Error('no configuration');
  return {
    path,
    meta: {
      index: asIndex(naturalNumber(fields.Index)),
      term: asTerm(naturalNumber(fields.Term)),
      configurationIndex: asIndex(naturalNumber(fields.ConfigurationIndex)),
      peers: decodePeers(new TextEncoder().encode(fields.Configuration)),
    },
    size: naturalNumber(fields.Size),
    checksum: naturalNumber(fields.CRC),
  };
}

function naturalNumber(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Error('not a number');
  return value;
}
