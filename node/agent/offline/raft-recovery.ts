/** Recovery of a stopped server by an operator: looks at its data directory, says what would change, prepares the next start. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asNodeId } from '../../raft/core/entry.ts';
import { inspectRaft, type RaftOutline } from '../../raft/inspect.ts';
import { type FileReport, soundnessOf } from '../../raft/inspect-report.ts';
import { parsePeersFile } from '../../raft/recovery.ts';
import { planRecovery, type RecoveryPlan, writePeersFile } from '../../raft/recovery-plan.ts';
import type { NodeId, RaftPeer } from '../../raft/types.ts';
import { createNodeDisk } from '../../raft/wal/node-disk.ts';
import { DataDirInUseError, isInUse } from '../data-dir-lock.ts';
import { isNodeId } from '../node-id.ts';
import { describeState, requireDirectory } from './storage-check.ts';

/** Who is to be in the cluster: the text of a peers.json, or one server alone. */
export type WantedPeers =
  | { readonly kind: 'file'; readonly text: string }
  /** Absent parts are this server's own: the ID of its `node-id` file, the address that the log knows. */
  | { readonly kind: 'alone'; readonly id: string | undefined; readonly address: string | undefined };

export interface RecoveryOptions {
  readonly dataDir: string;
  readonly wanted: WantedPeers;
  readonly isDryRun: boolean;
}

export interface RecoveryOutcome {
  readonly self: NodeId;
  readonly plan: RecoveryPlan;
  /** What the next start puts right by itself. */
  readonly repairable: readonly FileReport[];
}

/** The log or a snapshot is damaged: a server that was recovered from it would not be what it was. */
export class DamagedDataError extends Error {
  override readonly name = 'DamagedDataError';
  readonly files: readonly FileReport[];

  constructor(files: readonly FileReport[]) {
    super('the raft directory of this server is damaged');
    this.files = files;
  }
}

/**
 * Without `isDryRun` it leaves a peers.json in the raft directory, which the server takes up at its next start.
 *
 * @throws DataDirInUseError, DamagedDataError, PeersFileError, NoDataDirectoryError, or what the file system threw
 */
export async function recoverRaft(options: RecoveryOptions): Promise<RecoveryOutcome> {
  const { dataDir, isDryRun, wanted } = options;
  await requireDirectory(dataDir);
  if (await isInUse(dataDir)) throw new DataDirInUseError(dataDir);
  const directory = `${dataDir}/raft`;
  const disk = createNodeDisk();
  const { files, outline } = await inspectRaft({ disk, directory, checkState: describeState });
  const needed = files.filter((file) => file.path !== `${directory}/peers.json`);
  const damaged = needed.filter(({ defects }) => soundnessOf(defects) === 'damaged');
  if (damaged.length > 0) throw new DamagedDataError(damaged);
  const self = await ownId(dataDir);
  const plan = planRecovery(outline, wantedPeers(wanted, self, outline), self);
  if (!isDryRun) await writePeersFile(disk, directory, plan.peers);
  return { self, plan, repairable: needed.filter(({ defects }) => defects.length > 0) };
}

function wantedPeers(wanted: WantedPeers, self: NodeId, outline: RaftOutline): readonly RaftPeer[] {
  const known = outline.configuration.peers;
  if (wanted.kind === 'file') return parsePeersFile(wanted.text, known);
  const id = wanted.id ?? self;
  const address = wanted.address ?? known.find((peer) => peer.id === id)?.address;
  if (address === undefined)
    throw new Error(`the log knows no address of server ${id}: give -address=host:port`);
  return parsePeersFile(JSON.stringify([{ id, address, non_voter: false }]), known);
}

async function ownId(dataDir: string): Promise<NodeId> {
  const path = join(dataDir, 'node-id');
  const content = await readFile(path, 'utf8');
  if (!isNodeId(content)) throw new Error(`${path} does not hold a node ID`);
  return asNodeId(content.trim().toLowerCase());
}
