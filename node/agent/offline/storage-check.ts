/** Verifies a whole data directory without changing it, while the agent is stopped. */

import { stat } from 'node:fs/promises';
import { relative } from 'node:path';
import { inspectRaft } from '../../raft/inspect.ts';
import { type FileReport, type Soundness, soundnessOf } from '../../raft/inspect-report.ts';
import { createNodeDisk } from '../../raft/wal/node-disk.ts';
import { countRows } from '../../state/snapshot.ts';
import { isInUse } from '../data-dir-lock.ts';
import { checkAgentFiles } from './agent-files.ts';
import { type DirectoryEntry, listFiles } from './list-files.ts';

export interface StorageCheck {
  readonly path: string;
  readonly soundness: Soundness;
  /** A running agent has the directory: what it writes just now may look torn. */
  readonly isInUse: boolean;
  readonly files: readonly FileReport[];
}

export interface StorageCheckOptions {
  readonly dataDir: string;
  /** Bytes read so far and in all, after each piece; for a progress display. */
  readonly onProgress?: (readBytes: number, totalBytes: number) => void;
}

/** There is nothing here that could be checked. */
export class NoDataDirectoryError extends Error {
  override readonly name = 'NoDataDirectoryError';
}

/** @throws NoDataDirectoryError, or what the file system threw */
export async function checkStorage({ dataDir, onProgress }: StorageCheckOptions): Promise<StorageCheck> {
  await requireDirectory(dataDir);
  const present = await listFiles(dataDir);
  if (present.length === 0)
    throw new NoDataDirectoryError(
      `data_dir ${JSON.stringify(dataDir)} is empty: no agent has ever run with it`,
    );
  const totalBytes = present.reduce((sum, { bytes }) => sum + bytes, 0);
  let readBytes = 0;
  const onBytes = (bytes: number) => {
    readBytes += bytes;
    onProgress?.(Math.min(readBytes, totalBytes), totalBytes);
  };
  const raft = await inspectRaft({
    disk: createNodeDisk(),
    directory: `${dataDir}/raft`,
    checkState: describeState,
    onBytes,
  });
  const raftFiles = raft.files.map((file) => ({ ...file, path: relative(dataDir, file.path) }));
  const files = [...(await checkAgentFiles(dataDir, present, onBytes)), ...raftFiles];
  const all = [...files, ...unknownFiles(present, files)].sort((a, b) => (a.path < b.path ? -1 : 1));
  return {
    path: dataDir,
    soundness: soundnessOf(all.flatMap(({ defects }) => defects)),
    isInUse: await isInUse(dataDir),
    files: all,
  };
}

/** Rows by table, such as `kv 1200, nodes 3`. */
export async function describeState(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const rows = [...(await countRows(chunks))].filter(([, count]) => count > 0);
  return rows.length === 0 ? 'empty' : rows.map(([table, count]) => `${table} ${count}`).join(', ');
}

/** @throws NoDataDirectoryError with Consul's text where it has one */
export async function requireDirectory(dataDir: string): Promise<void> {
  const found = await stat(dataDir).catch((error: unknown) => {
    const text = error instanceof Error ? error.message : String(error);
    throw new NoDataDirectoryError(`Error getting info on data_dir: ${text}`);
  });
  if (!found.isDirectory())
    throw new NoDataDirectoryError(`data_dir ${JSON.stringify(dataDir)} is not a directory`);
}

/** Named so that nobody wonders whether they were looked at; they make nothing unsound. */
function unknownFiles(
  present: readonly DirectoryEntry[],
  checked: readonly FileReport[],
): readonly FileReport[] {
  const known = new Set(checked.map(({ path }) => path));
  return present
    .filter(({ path }) => !known.has(path) && !isInside(path, checked))
    .map(({ path, bytes }) => ({ path, kind: kindOf(path), bytes, detail: '', defects: [] }));
}

/** Below something that was reported as a whole, such as a half-written snapshot. */
function isInside(path: string, checked: readonly FileReport[]): boolean {
  return checked.some((report) => path.startsWith(`${report.path}/`) && report.path !== 'raft');
}

function kindOf(path: string): string {
  if (path === 'raft/peers.info') return 'explanation of peers.json';
  if (path.startsWith('agent.lock.')) return 'lock of the agent';
  return 'unknown file, not checked';
}
