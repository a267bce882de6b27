/** Which members a pool takes in (reference: Consul merge checks). */

import type { GossipMember } from '../gossip/types.ts';

export interface Self {
  readonly nodeName: string;
  readonly nodeId: string;
  readonly datacenter: string;
}

/** @returns why the members are refused, undefined when they are welcome */
export function lanMergeProblem(self: Self, members: readonly GossipMember[]): string | undefined {
  const nameById = new Map<string, string>();
  for (const member of members) {
    const { id = '', role = '', dc = '', segment = '' } = member.tags;
    if (id !== '' && member.status !== 'left') {
      if (id === self.nodeId && member.name !== self.nodeName) {
        return `Member '${member.name}' has conflicting node ID '${id}' with this agent's ID`;
      }
      const other = nameById.get(id);
      if (other !== undefined && other !== member.name) {
        return `Member '${member.name}' has conflicting node ID '${id}' with member '${other}'`;
      }
      nameById.set(id, member.name);
    }
    if (role !== 'node' && role !== 'consul') continue;
    if (dc !== self.datacenter) return `Member '${member.name}' part of wrong datacenter '${dc}'`;
    if (segment !== '') return `Member '${member.name}' part of wrong segment '${segment}' (expected '')`;
  }
  return undefined;
}

/** Only servers belong to the WAN pool. */
export function wanMergeProblem(members: readonly GossipMember[]): string | undefined {
  const stranger = members.find((member) => member.tags.role !== 'consul');
  return stranger === undefined ? undefined : `Member '${stranger.name}' is not a server`;
}
