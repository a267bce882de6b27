/** How far the servers of a simulated cluster are, and whether that is the same everywhere. */

import { coreOf } from '../../../node/raft/raft-node.ts';
import type { RaftNode } from '../../../node/raft/types.ts';
import type { ServerAgent } from './agents.ts';

/** Every server that the leader counts as a member has applied all that the leader has. */
export function haveCaughtUp(servers: readonly ServerAgent[]): boolean {
  const leader = servers.find(({ isLeader }) => isLeader)?.node?.status();
  if (leader === undefined || leader.appliedIndex < leader.lastLogIndex) return false;
  return leader.peers.every(({ id }) => {
    const server = servers.find(({ peer }) => peer.id === id);
    return server?.node?.status().appliedIndex === leader.appliedIndex;
  });
}

/** For the message of a cluster that does not get on. */
export function describeServers(servers: readonly ServerAgent[]): string {
  return servers
    .map(({ host, node }) => {
      if (node === undefined) return `${host.name} ${host.isUp ? 'is starting' : 'is down'}`;
      return `${host.name} ${describeNode(node)}`;
    })
    .join('; ');
}

function describeNode(node: RaftNode): string {
  const { appliedIndex, commitIndex, lastLogIndex, peers, role, term } = node.status();
  const members = peers.map((peer) => peer.address.split(':')[0] + (peer.isVoter ? '' : '?'));
  const core = coreOf(node);
  const progress = [...(core?.state.leadership?.progress.values() ?? [])].map(
    ({ match, next, state }) => `${state} match ${match} next ${next}`,
  );
  return (
    `${role} of term ${term}, applied ${appliedIndex}, committed ${commitIndex} of ${lastLogIndex}, members ${members} ` +
    `(${progress.join('; ')})${core?.state.installing === undefined ? '' : ' installing'}`
  );
}
