/** Opens what a server keeps on disk: recovery by an operator, newest snapshot, log. */

import type { Logger } from '../../../shared/log.ts';
import { asIndex } from '../core/entry.ts';
import { deletePeersFile, findPeersFile, PeersFileError, parsePeersFile } from '../recovery.ts';
import { createSnapshotStore, type SnapshotStore, type StoredSnapshot } from '../snapshots/snapshot-store.ts';
import type { StateMachine } from '../types.ts';
import type { Disk } from '../wal/disk.ts';
import { createVolatileLog, type LogStorage, type StoredLog } from '../wal/log-storage.ts';
import { createMemoryDisk } from '../wal/memory-disk.ts';
import { createNodeDisk } from '../wal/node-disk.ts';
import { LogGapError, type Restored, restoreState } from '../wal/restore.ts';
import { Wal } from '../wal/wal.ts';
import type { ResolvedOptions } from './options.ts';

export interface Opened {
  readonly storage: LogStorage;
  readonly snapshots: SnapshotStore;
  readonly restored: Restored;
}

/**
 * Reads log and snapshots and fills the state machine from the newest sound snapshot.
 *
 * @throws LogDamagedError, LogGapError, PeersFileError, or what the disk threw
 */
export async function openStorage(options: ResolvedOptions): Promise<Opened> {
  const { directory, env, log } = options;
  const nowMs = () => env.clock.nowMs();
  if (directory === undefined) {
    const snapshots = createSnapshotStore({
      disk: createMemoryDisk(),
      directory: 'snapshots',
      nowMs,
      retain: 1,
    });
    const storage = createVolatileLog();
    return { storage, snapshots, restored: restoreState(await storage.load(), undefined) };
  }
  const disk = options.disk ?? createNodeDisk();
  await disk.makeDirectory(directory);
  const snapshots = createSnapshotStore({ disk, directory: `${directory}/snapshots`, nowMs });
  const storage = new Wal({
    disk,
    directory,
    ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
  });
  const stored = await storage.load();
  await snapshots.cleanUp();
  const newest = await restoreNewest(await snapshots.list(), snapshots, stored, options.stateMachine, log);
  let restored = restoreState(stored, newest?.meta);
  if (restored.needsReset && newest !== undefined)
    await storage.append([{ kind: 'reset', index: newest.meta.index, term: newest.meta.term }]);
  restored = await recover(disk, directory, storage, restored, log);
  return { storage, snapshots, restored };
}

/** Restores the newest snapshot that is sound; an older one serves if the log reaches back to it. */
async function restoreNewest(
  found: readonly StoredSnapshot[],
  snapshots: SnapshotStore,
  stored: StoredLog,
  stateMachine: StateMachine,
  log: Logger,
): Promise<StoredSnapshot | undefined> {
  for (const snapshot of found) {
    try {
      restoreState(stored, snapshot.meta);
      await stateMachine.restore(snapshots.read(snapshot));
      stateMachine.applied(snapshot.meta.index);
      log.info('restored from snapshot', { id: snapshot.path.split('/').at(-1) });
      return snapshot;
    } catch (error) {
      if (error instanceof LogGapError) throw error;
      const text = error instanceof Error ? error.message : String(error);
      log.error('failed to restore snapshot', { id: snapshot.path.split('/').at(-1), error: text });
    }
  }
  return undefined;
}

/** Puts the membership of `peers.json` in force, if there is one, and deletes the file once that is durable. */
async function recover(
  disk: Disk,
  directory: string,
  storage: LogStorage,
  restored: Restored,
  log: Logger,
): Promise<Restored> {
  const text = await findPeersFile(disk, directory, log);
  if (text === undefined) return restored;
  const { lastIndex } = restored.log;
  if (lastIndex === 0)
    throw new PeersFileError(
      'refused to recover cluster with no initial state, this is probably an operator error',
    );
  const peers = parsePeersFile(text, restored.configurations.current.peers);
  const configuration = { index: asIndex(lastIndex), peers };
  await storage.append([{ kind: 'recovery', configuration }]);
  restored.configurations.reset(configuration);
  await deletePeersFile(disk, directory, log);
  return restored;
}
