/** Puts the log on disk and the newest snapshot together into what the core starts from. */

import { ConfigurationHistory, decodePeers } from '../core/configuration.ts';
import { asIndex, type SnapshotMeta, ZERO_INDEX, ZERO_TERM } from '../core/entry.ts';
import { RaftLog } from '../core/log.ts';
import type { RestoredState } from '../core/state.ts';
import type { LogIndex, Term } from '../types.ts';
import type { StoredLog } from './log-storage.ts';

export interface Restored extends RestoredState {
  /** The log on disk does not lead up to the snapshot and must first be replaced by it, with a `reset` item. */
  readonly needsReset: boolean;
}

/** The log begins after the end of the newest snapshot that can be read. */
export class LogGapError extends Error {
  override readonly name = 'LogGapError';

  constructor(logStart: number, snapshotEnd: number) {
    super(
      `raft log begins at entry ${logStart}, but the newest sound snapshot ends at ${snapshotEnd}: entries are missing. ` +
        'Restore the snapshots directory from a copy, or move the raft directory and the node-id file of this server ' +
        'away and let it join as a new one.',
    );
  }
}

/** @throws LogGapError */
export function restoreState(stored: StoredLog, snapshot: SnapshotMeta | undefined): Restored {
  const log = logAfter(stored, snapshot);
  const needsReset = snapshot !== undefined && log.termAt(snapshot.index) !== snapshot.term;
  if (needsReset) log.reset(snapshot.index, snapshot.term);
  const configurations = configurationsOf(log, snapshot, needsReset ? undefined : stored.recovery);
  const commitIndex = Math.min(Math.max(snapshot?.index ?? 0, stored.commitIndex), log.lastIndex);
  return {
    hardState: stored.hardState,
    log,
    configurations,
    commitIndex: asIndex(commitIndex),
    snapshot,
    needsReset,
  };
}

function logAfter(stored: StoredLog, snapshot: SnapshotMeta | undefined): RaftLog {
  const first = stored.entries[0];
  const snapshotEnd = snapshot?.index ?? 0;
  const base = baseOf(stored, snapshot);
  if (base.index > snapshotEnd) throw new LogGapError(first?.index ?? base.index + 1, snapshotEnd);
  const log = new RaftLog(base.index, base.term);
  for (const entry of stored.entries) if (entry.index > base.index) log.append(entry);
  return log;
}

function baseOf(
  stored: StoredLog,
  snapshot: SnapshotMeta | undefined,
): { readonly index: LogIndex; readonly term: Term } {
  const first = stored.entries[0];
  if (stored.reset !== undefined) return stored.reset;
  if (first === undefined) return snapshot ?? { index: ZERO_INDEX, term: ZERO_TERM };
  if (first.index === 1) return { index: ZERO_INDEX, term: ZERO_TERM };
  // The term before the first entry is on no disk any more. The snapshot may know it; else, since the snapshot
  // covers the first entry, that one can stand for all before.
  return snapshot !== undefined && snapshot.index === first.index - 1 ? snapshot : first;
}

function configurationsOf(
  log: RaftLog,
  snapshot: SnapshotMeta | undefined,
  recovery: StoredLog['recovery'],
): ConfigurationHistory {
  const history = new ConfigurationHistory(
    snapshot === undefined ? undefined : { index: snapshot.configurationIndex, peers: snapshot.peers },
  );
  if (recovery !== undefined && recovery.index >= history.current.index) history.reset(recovery);
  for (const entry of log.between(log.firstIndex, log.lastIndex))
    if (entry.kind === 'configuration' && entry.index > history.current.index)
      history.append({ index: entry.index, peers: decodePeers(entry.data) });
  return history;
}
