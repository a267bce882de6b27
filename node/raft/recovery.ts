/** Recovery by an operator after a quorum was lost for good: `peers.json`, and the note `peers.info` that explains it. */

import type { Logger } from '../../shared/log.ts';
import { asNodeId } from './core/entry.ts';
import type { RaftPeer } from './types.ts';
import { type Disk, writeFile } from './wal/disk.ts';

export const PEERS_INFO = `The file peers.json does not normally exist: the servers of this cluster keep their membership in the Raft
log. It is for recovery only, when so many servers are lost for good that the rest have no quorum.

To recover, stop all servers that are left, write raft/peers.json in the data directory of each of them, the
same contents everywhere, and start them. The file is read once at the start and then deleted; this file
(peers.info) stays and must not be deleted, since without it peers.json is ignored and removed.

Raft protocol 3 (recommended): a list of objects with the server's id (file node-id in its data directory), the
address of its server RPC port, and whether it is a non-voter (optional, false by default):

[
  {
    "id": "adf4238a-882b-9ddc-4a9d-5b6758e4159e",
    "address": "10.1.0.1:8300",
    "non_voter": false
  },
  {
    "id": "8b6dda82-3103-11e7-93ae-92361f002671",
    "address": "10.1.0.2:8300",
    "non_voter": false
  }
]

Raft protocol 2: a list of the addresses alone; each must be one that the servers knew before:

[
  "10.1.0.1:8300",
  "10.1.0.2:8300"
]
`;

/** The recovery file cannot be used; the server does not start, and the file stays where it is. */
export class PeersFileError extends Error {
  override readonly name = 'PeersFileError';

  constructor(what: string) {
    super(`recovery failed to parse peers.json: ${what}`);
  }
}

/**
 * The text of `peers.json`, if an operator put one there for this start. Writes `peers.info` at the first start; a
 * file that was there before it is of an old kind and is deleted.
 */
export async function findPeersFile(disk: Disk, directory: string, log: Logger): Promise<string | undefined> {
  const bytes = await disk.read(`${directory}/peers.json`);
  if ((await disk.read(`${directory}/peers.info`)) !== undefined) {
    if (bytes === undefined) return undefined;
    log.info('found peers.json file, recovering Raft configuration...');
    return new TextDecoder().decode(bytes);
  }
  if (bytes !== undefined) {
    await disk.remove(`${directory}/peers.json`);
    log.info('deleted peers.json file (see peers.info for details)');
  }
  await writeFile(disk, `${directory}/peers.info`, new TextEncoder().encode(PEERS_INFO), 0o755);
  await disk.syncDirectory(directory);
  return undefined;
}

export async function deletePeersFile(disk: Disk, directory: string, log: Logger): Promise<void> {
  await disk.remove(`${directory}/peers.json`);
  await disk.syncDirectory(directory);
  log.info('deleted peers.json file after successful recovery');
}

/**
 * Reads either form of the file.
 *
 * @param known the last configuration, which gives the ids for a list of bare addresses
 * @throws PeersFileError
 */
export function parsePeersFile(text: string, known: readonly RaftPeer[]): readonly RaftPeer[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PeersFileError(error instanceof Error ? error.message : String(error));
  }
  if (!Array.isArray(value)) throw new PeersFileError('it must be a list');
  const peers = value.map((item: unknown) =>
    typeof item === 'string' ? knownPeer(item, known) : describedPeer(item),
  );
  checkPeers(peers);
  return peers.sort((a, b) => (a.id < b.id ? -1 : 1));
}

function knownPeer(address: string, known: readonly RaftPeer[]): RaftPeer {
  const found = known.find((peer) => peer.address === address);
  if (found === undefined)
    throw new PeersFileError(
      `no server with address ${JSON.stringify(address)} was known; give its id: {"id":…,"address":…}`,
    );
  return { id: found.id, address, isVoter: true };
}

function describedPeer(item: unknown): RaftPeer {
  if (typeof item !== 'object' || item === null) throw new PeersFileError('an item is no object or address');
  const { id, address, non_voter: nonVoter = false } = item as Record<string, unknown>;
  if (typeof id !== 'string' || id === '') throw new PeersFileError('an item has no "id"');
  if (typeof address !== 'string' || address === '')
    throw new PeersFileError(`server ${id} has no "address"`);
  if (typeof nonVoter !== 'boolean')
    throw new PeersFileError(`"non_voter" of server ${id} is not true or false`);
  return { id: asNodeId(id), address, isVoter: !nonVoter };
}

function checkPeers(peers: readonly RaftPeer[]): void {
  const ids = new Set(peers.map((peer) => peer.id));
  if (ids.size < peers.length) throw new PeersFileError('an id is given twice');
  const addresses = new Set(peers.map((peer) => peer.address));
  if (addresses.size < peers.length) throw new PeersFileError('an address is given twice');
  if (!peers.some((peer) => peer.isVoter)) throw new PeersFileError('it names no voter');
}
