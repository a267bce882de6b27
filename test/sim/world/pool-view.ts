/** What gossip would tell: who is alive, as each agent comes to know it, from an oracle that sees the links. */

import type { GossipEvent, GossipMember, MemberStatus } from '../../../node/gossip/types.ts';
import type { ServerPool } from '../../../node/server/operator-operations.ts';
import { type Random, randomInt } from '../../../shared/env.ts';
import type { SimulatedClock } from '../../../shared/simulated-env.ts';
import type { Host } from './host.ts';
import type { Links } from './links.ts';

const CHECK_MS = 500;
/** An agent that most others can't reach for so long is declared failed. */
const SUSPICION_MS = 2000;
const SPREAD_MS = 400;

interface View {
  readonly host: Host;
  readonly life: number;
  readonly members: Map<string, GossipMember>;
  readonly listeners: Set<(event: GossipEvent) => void>;
}

interface Known {
  readonly host: Host;
  member: GossipMember;
  unreachableSinceMs: number | undefined;
}

const EVENTS: Partial<Record<MemberStatus, 'member-join' | 'member-leave' | 'member-failed'>> = {
  alive: 'member-join',
  left: 'member-leave',
  failed: 'member-failed',
};

/** Invariant: one view per living agent; a view changes only by what reaches its agent, in the order of happening. */
export class PoolOracle {
  readonly #clock: SimulatedClock;
  readonly #links: Links;
  readonly #random: Random;
  readonly #known = new Map<string, Known>();
  readonly #views = new Map<Host, View>();

  constructor(clock: SimulatedClock, links: Links, random: Random) {
    this.#clock = clock;
    this.#links = links;
    this.#random = random;
    this.#clock.setTimer(CHECK_MS, () => this.#check());
  }

  /** The agent's process joins the pool. */
  join(host: Host, member: GossipMember): ServerPool {
    const members = new Map([...this.#known.values()].map((known) => [known.member.name, known.member]));
    const view: View = { host, life: host.life, members, listeners: new Set() };
    this.#views.set(host, view);
    members.set(member.name, member);
    this.#known.set(member.name, {
      host,
      member: { ...member, status: 'none' },
      unreachableSinceMs: undefined,
    });
    this.#tell(member.name, 'alive');
    return this.#poolOf(view, member.name);
  }

  forget(name: string): void {
    this.#tell(name, 'left');
  }

  #poolOf(view: View, name: string): ServerPool {
    return {
      start: async () => {},
      join: async () => 1,
      leave: async () => this.#tell(name, 'left'),
      shutdown: async () => {},
      members: () => [...view.members.values()],
      localMember: () => {
        const own = view.members.get(name);
        if (own === undefined) throw new Error(`no member ${name}`);
        return own;
      },
      setTags: () => {},
      forceLeave: async (other) => {
        if (this.#known.get(other)?.member.status === 'failed') this.#tell(other, 'left');
      },
      fireEvent: () => {},
      coordinate: () => ({ Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 1e-5 }),
      coordinateOf: () => undefined,
      stats: () => ({}),
      subscribe: (listener) => {
        view.listeners.add(listener);
        return () => view.listeners.delete(listener);
      },
      rejoinFromSnapshot: async () => 0,
    };
  }

  #check(): void {
    this.#clock.setTimer(CHECK_MS, () => this.#check());
    const nowMs = this.#clock.monotonicMs();
    for (const known of this.#known.values()) {
      const { name, status } = known.member;
      if (status === 'left' && !this.#isReachable(known.host)) continue;
      if (this.#isReachable(known.host)) {
        known.unreachableSinceMs = undefined;
        if (status !== 'alive' && this.#views.get(known.host)?.life === known.host.life)
          this.#tell(name, 'alive');
        continue;
      }
      known.unreachableSinceMs ??= nowMs;
      if (status === 'alive' && nowMs - known.unreachableSinceMs >= SUSPICION_MS) this.#tell(name, 'failed');
    }
  }

  #isReachable(host: Host): boolean {
    if (!host.isUp || host.isPaused) return false;
    const others = [...this.#views.keys()].filter((other) => other !== host && other.isUp);
    const reaching = others.filter((other) => this.#links.isWhole(host.ip, other.ip));
    return others.length === 0 || 2 * reaching.length >= others.length;
  }

  #tell(name: string, status: MemberStatus): void {
    const known = this.#known.get(name);
    if (known === undefined || known.member.status === status) return;
    known.member = { ...known.member, status };
    const { member } = known;
    for (const view of this.#views.values()) this.#spread(view, member, known.host);
  }

  /** Reaches the agent after a while, and only once there is a way to it. */
  #spread(view: View, member: GossipMember, subject: Host): void {
    const delayMs = view.host === subject ? 0 : 1 + randomInt(this.#random, SPREAD_MS);
    this.#clock.setTimer(delayMs, () => {
      if (this.#views.get(view.host) !== view) return;
      if (view.host !== subject && !this.#isReachable(view.host) && view.host.isUp) {
        this.#spread(view, member, subject);
        return;
      }
      view.host.run(view.life, () => {
        // Something newer may have come by another way.
        const newest = this.#known.get(member.name)?.member ?? member;
        const before = view.members.get(member.name);
        view.members.set(member.name, newest);
        const kind = EVENTS[newest.status];
        if (kind === undefined || (before?.status === newest.status && view.host !== subject)) return;
        for (const listener of [...view.listeners]) listener({ kind, members: [newest] });
      });
    });
  }
}
