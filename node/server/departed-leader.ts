/**
 * Remembers the leader that took itself out of the Raft configuration: it is about to leave the gossip pool too, and
 * until it has, it looks alive there. Whoever leads next must not take it in again for that moment.
 */

import type { Clock } from '../../shared/env.ts';
import type { GossipEvent } from '../gossip/types.ts';
import type { NodeId, RaftEvent } from '../raft/types.ts';

/** A graceful leave that takes longer is given up (reference: leaving); whoever is still there then has stayed. */
const LEAVE_LIMIT_MS = 15_000;

/**
 * Fed on every server, because each may lead next. While a server still catches up, it may take a leader for departed
 * that its log has not added yet; that is corrected before it can lead. Invariant: `#departed` is not in `#peers`.
 */
export class DepartedLeader {
  readonly #clock: Clock;
  #leader: NodeId | undefined;
  /** undefined until a configuration is reported. */
  #peers: ReadonlySet<NodeId> | undefined;
  #departed: { readonly id: NodeId; readonly untilMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Every change of the configuration goes through the leader: one without it is its own doing. Leader and
   * configuration may become known in either order, as when one message tells of both.
   */
  onRaft(event: RaftEvent): void {
    if (event.kind === 'leadership') {
      if (event.leader === undefined || event.leader.id === this.#leader) return;
      this.#leader = event.leader.id;
    } else if (event.kind === 'configuration') {
      this.#peers = new Set(event.peers.map(({ id }) => id));
      if (this.#departed !== undefined && this.#peers.has(this.#departed.id)) this.#departed = undefined;
    } else {
      return;
    }
    if (this.#leader === undefined || this.#peers === undefined || this.#peers.has(this.#leader)) return;
    this.#departed = { id: this.#leader, untilMs: this.#clock.monotonicMs() + LEAVE_LIMIT_MS };
  }

  /** Once it has gone, whatever comes under its id is a new beginning. */
  onGossip(event: GossipEvent): void {
    if (event.kind === 'user' || event.kind === 'member-update') return;
    if (event.members.some(({ tags }) => tags.id === this.#departed?.id)) this.#departed = undefined;
  }

  /** @param id node UUID */
  isLeaving(id: string): boolean {
    return this.#departed?.id === id && this.#clock.monotonicMs() < this.#departed.untilMs;
  }
}
