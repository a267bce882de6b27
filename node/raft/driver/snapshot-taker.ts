/** Takes snapshots of this server's own state and says how much of the log may go. */

import type { RaftCore } from '../core/core.ts';
import { asIndex, entryBytes, type SnapshotMeta } from '../core/entry.ts';
import type { RaftLog } from '../core/log.ts';
import type { SnapshotStore } from '../snapshots/snapshot-store.ts';
import type { LogIndex, StateMachine } from '../types.ts';

/**
 * Writes the state as it is now; entries may be applied meanwhile.
 *
 * @param appliedIndex up to where the state machine is
 */
export async function writeSnapshot(
  core: RaftCore,
  stateMachine: StateMachine,
  store: SnapshotStore,
  appliedIndex: LogIndex,
): Promise<{ readonly meta: SnapshotMeta; readonly bytes: number }> {
  const term = core.state.log.termAt(appliedIndex);
  if (term === undefined) throw new Error(`raft: no term known for applied entry ${appliedIndex}`);
  const configuration = core.state.configurations.at(appliedIndex);
  const meta: SnapshotMeta = {
    index: appliedIndex,
    term,
    peers: configuration.peers,
    configurationIndex: configuration.index,
  };
  const view = stateMachine.snapshot();
  let bytes = 0;
  try {
    const sink = await store.create(meta);
    try {
      for await (const chunk of view.chunks()) {
        bytes += chunk.length;
        await sink.write(chunk);
      }
      await sink.finish();
    } catch (error) {
      await sink.abort();
      throw error;
    }
  } finally {
    view.release();
  }
  return { meta, bytes };
}

/** The index up to which entries may go after a snapshot at `snapshotIndex`: `trailing` stay, within `maxBytes`. */
export function compactionIndex(
  log: RaftLog,
  snapshotIndex: LogIndex,
  trailing: number,
  maxBytes: number,
): LogIndex {
  let index: number = snapshotIndex;
  let bytes = 0;
  while (index > log.baseIndex && snapshotIndex - index < trailing) {
    const entry = log.entryAt(index);
    if (entry === undefined) break;
    bytes += entryBytes(entry);
    if (bytes > maxBytes) break;
    index--;
  }
  return asIndex(index);
}
