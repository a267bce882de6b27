/** What Raft logs, in Consul's words. */

import type { Logger } from '../../../shared/log.ts';
import type { Configuration } from '../core/configuration.ts';
import type { Notice } from '../core/outbox.ts';
import type { NodeId, RaftPeer } from '../types.ts';

/** `[{Suffrage:Voter ID:… Address:…} …]`, as Consul prints a configuration in logs and in `info`. */
export function formatServers(peers: readonly RaftPeer[]): string {
  const servers = peers.map(
    (peer) => `{Suffrage:${peer.isVoter ? 'Voter' : 'Nonvoter'} ID:${peer.id} Address:${peer.address}}`,
  );
  return `[${servers.join(' ')}]`;
}

export function logInitialConfiguration(log: Logger, configuration: Configuration): void {
  log.info('initial configuration', {
    index: configuration.index,
    servers: formatServers(configuration.peers),
  });
}

export function logFollower(log: Logger, address: string, leader: string): void {
  log.info('entering follower state', { follower: `Node at ${address} [Follower]`, leader });
}

/**
 * @param address   this server's
 * @param addressOf of a server by id, empty when unknown
 */
export function logNotice(
  log: Logger,
  notice: Notice,
  address: string,
  addressOf: (id: NodeId | undefined) => string,
): void {
  switch (notice.kind) {
    case 'became-follower':
      logFollower(log, address, addressOf(notice.leader));
      return;
    case 'heartbeat-timeout':
      log.warn('heartbeat timeout reached, starting election', {
        'last-leader': addressOf(notice.lastLeader),
      });
      return;
    case 'became-candidate':
      log.info('entering candidate state', { node: `Node at ${address} [Candidate]`, term: notice.term });
      return;
    case 'won-election':
      log.info('election won', { tally: notice.tally });
      log.info('entering leader state', { leader: `Node at ${address} [Leader]` });
      return;
    case 'lost-quorum':
      log.warn('failed to contact quorum of nodes, stepping down');
      return;
    case 'no-known-peers':
      log.warn('no known peers, aborting election');
      return;
    case 'not-a-voter':
      log.warn('not part of stable configuration, aborting election');
      return;
    case 'transfer-aborted':
      log.warn('leadership transfer timed out', { id: notice.to });
      return;
    case 'storage-stuck':
      log.warn('disk takes no more writes, giving up leadership');
      return;
    case 'configuration':
    case 'reads-confirmed':
    case 'reads-failed':
      return;
  }
}
