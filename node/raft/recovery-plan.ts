/** What a recovery by an operator would change on one stopped server, worked out before anything is written. */

import type { RaftOutline } from './inspect.ts';
import { PEERS_INFO, PeersFileError } from './recovery.ts';
import type { NodeId, RaftPeer } from './types.ts';
import { type Disk, writeFile } from './wal/disk.ts';

export interface RecoveryPlan {
  readonly before: RaftOutline;
  /** The membership that the server starts with. */
  readonly peers: readonly RaftPeer[];
  /** In the old membership and not in the new one. */
  readonly dropped: readonly RaftPeer[];
  /** In the new membership and not in the old one. */
  readonly added: readonly RaftPeer[];
  /** Entries that are kept though they are not known to be committed: the new leader commits them. */
  readonly uncommitted: number;
}

/**
 * @param self this server
 * @throws PeersFileError when the server would not start with it, or not be part of it
 */
export function planRecovery(before: RaftOutline, peers: readonly RaftPeer[], self: NodeId): RecoveryPlan {
  if (before.lastIndex === 0)
    throw new PeersFileError(
      'refused to recover cluster with no initial state, this is probably an operator error',
    );
  if (!peers.some((peer) => peer.id === self))
    throw new PeersFileError(`it does not name this server, ${self}: on this server it would do nothing`);
  const known = before.configuration.peers;
  const isIn = (list: readonly RaftPeer[]) => (peer: RaftPeer) => list.some((other) => other.id === peer.id);
  return {
    before,
    peers,
    dropped: known.filter((peer) => !isIn(peers)(peer)),
    added: peers.filter((peer) => !isIn(known)(peer)),
    uncommitted: before.lastIndex - before.commitIndex,
  };
}

/** The text of a `peers.json` that says the same. */
export function peersFileText(peers: readonly RaftPeer[]): string {
  const rows = peers.map(({ id, address, isVoter }) => ({ id, address, non_voter: !isVoter }));
  return `${JSON.stringify(rows, null, 2)}\n`;
}

/**
 * Leaves a `peers.json` for the next start, whole and durable or not at all, and `peers.info`, without which it would
 * be ignored.
 */
export async function writePeersFile(
  disk: Disk,
  directory: string,
  peers: readonly RaftPeer[],
): Promise<void> {
  const path = `${directory}/peers.json`;
  const encoder = new TextEncoder();
  if ((await disk.read(`${directory}/peers.info`)) === undefined)
    await writeFile(disk, `${directory}/peers.info`, encoder.encode(PEERS_INFO), 0o755);
  await writeFile(disk, `${path}.tmp`, encoder.encode(peersFileText(peers)), 0o644);
  await disk.rename(`${path}.tmp`, path);
  await disk.syncDirectory(directory);
}
