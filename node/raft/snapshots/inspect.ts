/** Reads snapshots without changing them: description, size, checksum, and the state itself from end to end. */

import type { Defect, FileReport } from '../inspect-report.ts';
import type { Disk } from '../wal/disk.ts';
import {
  createSnapshotStore,
  decodeMeta,
  SNAPSHOT_NAME,
  type SnapshotStore,
  type StoredSnapshot,
  TEMPORARY_SUFFIX,
} from './snapshot-store.ts';

/** Decodes a state, keeping nothing of it; rejects with what is wrong. @returns what it holds, in a few words */
export type StateCheck = (chunks: AsyncIterable<Uint8Array>) => Promise<string>;

export interface SnapshotsInspection {
  readonly reports: readonly FileReport[];
  /** The sound ones, newest first. */
  readonly sound: readonly StoredSnapshot[];
}

/** @param onBytes hears of every piece of a state that was read, for a progress display */
export async function inspectSnapshots(
  disk: Disk,
  directory: string,
  checkState: StateCheck,
  onBytes: (bytes: number) => void = () => {},
): Promise<SnapshotsInspection> {
  const store = createSnapshotStore({ disk, directory, nowMs: () => 0 });
  const reports: FileReport[] = [];
  const sound: StoredSnapshot[] = [];
  for (const name of await disk.list(directory)) {
    const path = `${directory}/${name}`;
    if (name.endsWith(TEMPORARY_SUFFIX)) reports.push(leftOver(path));
    if (!SNAPSHOT_NAME.test(name)) continue;
    const look = await inspectSnapshot(disk, store, path, checkState, onBytes);
    reports.push(...look.reports);
    if (look.sound !== undefined) sound.push(look.sound);
  }
  sound.sort((a, b) => b.meta.index - a.meta.index || b.meta.term - a.meta.term);
  return { reports, sound };
}

function leftOver(path: string): FileReport {
  const what = 'a snapshot that a crash left half written; removed at the next start';
  return {
    path,
    kind: 'raft snapshot',
    bytes: 0,
    detail: '',
    defects: [{ severity: 'repairable', offset: undefined, what }],
  };
}

async function inspectSnapshot(
  disk: Disk,
  store: SnapshotStore,
  path: string,
  checkState: StateCheck,
  onBytes: (bytes: number) => void,
): Promise<{ readonly reports: readonly FileReport[]; readonly sound: StoredSnapshot | undefined }> {
  const metaBytes = await disk.read(`${path}/meta.json`);
  const metaReport = { path: `${path}/meta.json`, kind: 'raft snapshot description' };
  let snapshot: StoredSnapshot;
  try {
    if (metaBytes === undefined) throw new Error('is missing');
    snapshot = decodeMeta(path, metaBytes);
  } catch (error) {
    const report = { ...metaReport, bytes: metaBytes?.length ?? 0, detail: '', defects: [damage(error)] };
    return { reports: [report], sound: undefined };
  }
  const { index, term, peers } = snapshot.meta;
  const detail = `index ${index}, term ${term}, ${peers.length} servers`;
  const meta: FileReport = { ...metaReport, bytes: metaBytes?.length ?? 0, detail, defects: [] };
  const state = await inspectState(store, snapshot, checkState, onBytes);
  return { reports: [meta, state], sound: state.defects.length === 0 ? snapshot : undefined };
}

async function inspectState(
  store: SnapshotStore,
  snapshot: StoredSnapshot,
  checkState: StateCheck,
  onBytes: (bytes: number) => void,
): Promise<FileReport> {
  let bytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of store.read(snapshot)) {
      bytes += chunk.length;
      onBytes(chunk.length);
      yield chunk;
    }
  }
  const report = { path: `${snapshot.path}/state.bin`, kind: 'raft snapshot state' };
  try {
    const detail = await checkState(counted());
    return { ...report, bytes, detail, defects: [] };
  } catch (error) {
    // Where the error lies is not known exactly: a checksum tells only at the end.
    const { severity, what } = damage(error);
    const found = `${what} (found after reading ${bytes} of ${snapshot.size} bytes)`;
    return { ...report, bytes, detail: '', defects: [{ severity, offset: undefined, what: found }] };
  }
}

function damage(error: unknown): Defect {
  return {
    severity: 'damaged',
    offset: undefined,
    what: error instanceof Error ? error.message : String(error),
  };
}
