/** A gossip pool without a network, for tests: all pools of one `FakeLan` see the same members at once. */

import type { GossipEvent, GossipMember, GossipPool, MemberStatus } from '../../gossip/types.ts';

export class FakeLan {
  readonly #members = new Map<string, GossipMember>();
  readonly #listeners = new Set<(event: GossipEvent) => void>();
  /** Names of user events that were fired, in order. */
  readonly fired: string[] = [];

  members(): readonly GossipMember[] {
    return [...this.#members.values()];
  }

  /** Adds or replaces a member and tells everyone. */
  set(member: GossipMember): void {
    this.#members.set(member.name, member);
    const kinds: Partial<Record<MemberStatus, 'member-join' | 'member-leave' | 'member-failed'>> = {
      alive: 'member-join',
      left: 'member-leave',
      failed: 'member-failed',
    };
    const kind = kinds[member.status];
    if (kind !== undefined) this.tell({ kind, members: [member] });
  }

  setStatus(name: string, status: MemberStatus): void {
    const member = this.#members.get(name);
    if (member !== undefined) this.set({ ...member, status });
  }

  reap(name: string): void {
    const member = this.#members.get(name);
    this.#members.delete(name);
    if (member !== undefined) this.tell({ kind: 'member-reap', members: [member] });
  }

  tell(event: GossipEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }

  pool(name: string): GossipPool {
    return {
      start: async () => {},
      join: async () => 1,
      leave: async () => this.setStatus(name, 'left'),
      shutdown: async () => {},
      members: () => this.members(),
      localMember: () => {
        const own = this.#members.get(name);
        if (own === undefined) throw new Error(`no member ${name}`);
        return own;
      },
      setTags: () => {},
      forceLeave: async (other) => this.setStatus(other, 'left'),
      fireEvent: (event, payload) => {
        this.fired.push(event);
        this.tell({ kind: 'user', lTime: 1n, name: event, payload });
      },
      coordinate: () => ({ Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 1e-5 }),
      coordinateOf: () => undefined,
      stats: () => ({}),
      subscribe: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      rejoinFromSnapshot: async () => 0,
    };
  }
}

export function fakeMember(name: string, tags: Readonly<Record<string, string>>): GossipMember {
  return { name, address: '127.0.0.1', port: 8301, tags, status: 'alive', versions: [1, 5, 2, 2, 5, 4] };
}

/** Tags of a server of datacenter dc1. */
export function serverTags(id: string, port: number, expect = 0): Record<string, string> {
  return {
    role: 'consul',
    dc: 'dc1',
    id,
    vsn: '2',
    raft_vsn: '3',
    build: '1.8.5:',
    port: String(port),
    ...(expect === 0 ? {} : { expect: String(expect) }),
  };
}

/** Tags of a client agent of datacenter dc1. */
export function clientTags(id: string): Record<string, string> {
  return { role: 'node', dc: 'dc1', id, vsn: '2', build: '1.8.5:' };
}
