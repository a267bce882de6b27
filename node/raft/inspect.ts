/** An offline look at a server's `raft` directory: log, snapshots, whether the two fit together, and files of recovery. */

import { type Configuration, ConfigurationHistory } from './core/configuration.ts';
import type { HardState } from './core/entry.ts';
import { asIndex } from './core/entry.ts';
import { type Defect, type FileReport, soundnessOf } from './inspect-report.ts';
import { parsePeersFile } from './recovery.ts';
import { inspectSnapshots, type StateCheck } from './snapshots/inspect.ts';
import type { StoredSnapshot } from './snapshots/snapshot-store.ts';
import type { LogIndex, Term } from './types.ts';
import type { Disk } from './wal/disk.ts';
import { inspectLog } from './wal/inspect.ts';
import type { LogOutline } from './wal/log-outline.ts';
import { LogGapError } from './wal/restore.ts';

/** What the server would start from. */
export interface RaftOutline {
  readonly hardState: HardState;
  /** 0 when the log holds no entry of its own. */
  readonly firstIndex: number;
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  /** At least this much was committed. */
  readonly commitIndex: LogIndex;
  readonly snapshot: StoredSnapshot | undefined;
  readonly configuration: Configuration;
}

export interface RaftInspection {
  readonly files: readonly FileReport[];
  readonly outline: RaftOutline;
}

export interface RaftInspectionOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly checkState: StateCheck;
  /** Hears of bytes that were read, for a progress display. */
  readonly onBytes?: (bytes: number) => void;
}

/** Changes nothing. Rejects only with what the disk threw. */
export async function inspectRaft(options: RaftInspectionOptions): Promise<RaftInspection> {
  const { checkState, directory, disk, onBytes } = options;
  const log = await inspectLog(disk, directory, (report) => onBytes?.(report.bytes));
  const snapshots = await inspectSnapshots(disk, `${directory}/snapshots`, checkState, onBytes);
  const outline = outlineOf(log.outline, snapshots.sound[0]);
  const files = [...log.segments, ...snapshots.reports];
  const isLogWhole = log.segments.every(({ defects }) => soundnessOf(defects) !== 'damaged');
  const gap = isLogWhole ? gapBetween(log.outline, snapshots.sound[0]) : undefined;
  if (gap !== undefined) files.push(gapReport(directory, gap));
  const peersFile = await inspectPeersFile(disk, directory, outline);
  if (peersFile !== undefined) files.push(peersFile);
  return { files, outline };
}

/** The log and the newest snapshot put together, as `restoreState` does. */
function outlineOf(log: LogOutline, snapshot: StoredSnapshot | undefined): RaftOutline {
  const meta = snapshot?.meta;
  const base = { hardState: log.hardState, snapshot };
  if (meta !== undefined && !leadsTo(log, meta)) {
    const configuration = { index: meta.configurationIndex, peers: meta.peers };
    const { index, term } = meta;
    return { ...base, firstIndex: 0, lastIndex: index, lastTerm: term, commitIndex: index, configuration };
  }
  const history = new ConfigurationHistory(
    meta === undefined ? undefined : { index: meta.configurationIndex, peers: meta.peers },
  );
  if (log.recovery !== undefined && log.recovery.index >= history.current.index) history.reset(log.recovery);
  for (const known of log.configurations) if (known.index > history.current.index) history.append(known);
  return {
    ...base,
    firstIndex: log.firstIndex,
    lastIndex: log.lastIndex,
    lastTerm: log.lastTerm,
    commitIndex: asIndex(Math.max(log.commitIndex, meta?.index ?? 0)),
    configuration: history.current,
  };
}

/** Whether the server keeps the log's entries beside the snapshot; else the snapshot stands for all. */
function leadsTo(log: LogOutline, { index, term }: StoredSnapshot['meta']): boolean {
  if (log.termAt(index) === term) return true;
  return log.reset === undefined && log.firstIndex === index + 1;
}

/** The log begins after what the newest sound snapshot holds. */
function gapBetween(log: LogOutline, snapshot: StoredSnapshot | undefined): LogGapError | undefined {
  const before = log.reset?.index ?? (log.firstIndex > 0 ? log.firstIndex - 1 : 0);
  const end = snapshot?.meta.index ?? 0;
  return before > end ? new LogGapError(before + 1, end) : undefined;
}

function gapReport(directory: string, gap: LogGapError): FileReport {
  const defect: Defect = { severity: 'damaged', offset: undefined, what: gap.message };
  return { path: directory, kind: 'raft log and snapshots', bytes: 0, detail: '', defects: [defect] };
}

async function inspectPeersFile(
  disk: Disk,
  directory: string,
  outline: RaftOutline,
): Promise<FileReport | undefined> {
  const bytes = await disk.read(`${directory}/peers.json`);
  if (bytes === undefined) return undefined;
  const report = { path: `${directory}/peers.json`, kind: 'raft recovery file', bytes: bytes.length };
  try {
    const peers = parsePeersFile(new TextDecoder().decode(bytes), outline.configuration.peers);
    return { ...report, detail: `${peers.length} servers, taken up at the next start`, defects: [] };
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    return { ...report, detail: '', defects: [{ severity: 'damaged', offset: undefined, what }] };
  }
}
