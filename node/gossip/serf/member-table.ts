/** Serf's record of members: it outlives the membership core's and knows who meant to go. */

import { ipText } from '../codec/ip-address.ts';
import { OWN_VERSIONS, type Versions } from '../codec/message-type.ts';
import { decodeTags, type Tags } from '../codec/tags.ts';
import type { NodeSnapshot } from '../swim/context.ts';
import type { GossipMember, MemberStatus } from '../types.ts';

export interface SerfMember {
  readonly name: string;
  address: Uint8Array;
  host: string;
  port: number;
  tags: Tags;
  versions: Versions;
  status: MemberStatus;
  /** Lamport time of the last intent that decided the status. */
  statusLTime: bigint;
  /** When it failed or left; meaningless while alive. */
  goneAtMs: number;
}

/** Invariant: `#list` is undefined or shows exactly the present members. */
export class MemberTable {
  readonly #byName = new Map<string, SerfMember>();
  #list: readonly GossipMember[] | undefined;

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): SerfMember | undefined {
    return this.#byName.get(name);
  }

  values(): Iterable<SerfMember> {
    return this.#byName.values();
  }

  add(member: SerfMember): void {
    this.#byName.set(member.name, member);
    this.#list = undefined;
  }

  /** Must follow every change of a member's fields. */
  changed(): void {
    this.#list = undefined;
  }

  erase(name: string): void {
    this.#byName.delete(name);
    this.#list = undefined;
  }

  withStatus(status: MemberStatus): SerfMember[] {
    return [...this.#byName.values()].filter((member) => member.status === status);
  }

  /** What the rest of the agent sees, in the order of first acquaintance. The array is shared until something changes. */
  list(): readonly GossipMember[] {
    this.#list ??= Array.from(this.#byName.values(), publicMember);
    return this.#list;
  }
}

export function publicMember(member: SerfMember): GossipMember {
  const { name, host, port, tags, status, versions } = member;
  return { name, address: host, port, tags, status, versions };
}

/** Takes over address, tags and versions as the membership core has them. */
export function takeOver(member: SerfMember, node: NodeSnapshot): void {
  member.address = node.address;
  member.host = node.host;
  member.port = node.port;
  member.tags = decodeTags(node.meta);
  member.versions = node.versions;
}

/** A node that is only heard of, as a merge check sees it. */
export function claimedMember(
  name: string,
  claim: {
    readonly address: Uint8Array;
    readonly port: number;
    readonly meta: Uint8Array;
    readonly versions: Versions | undefined;
  },
  status: MemberStatus,
): GossipMember {
  return {
    name,
    address: ipText(claim.address) ?? '',
    port: claim.port,
    tags: decodeTags(claim.meta),
    status,
    versions: claim.versions ?? OWN_VERSIONS,
  };
}
