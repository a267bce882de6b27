/** Moves floating services off agents that failed or left, to the next owner. Used by the leader only. */

import type { Clock, Timer } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import { byRendezvous } from '../../shared/rendezvous.ts';
import type { FloatingMove, FloatingPlace } from '../../shared/types/floating.ts';
import type { GossipMember } from '../gossip/types.ts';
import { floatingAssign, floatingList } from '../rpc/floating-endpoints.ts';
import { HTTP_ADDRESS_TAG } from '../rpc/server-members.ts';
import type { LocalState } from './catalog-reconciler.ts';
import { MAX_MOVES } from './endpoints/floating.ts';

/** Owners tried for one service: more than that all having another service of its ID is nobody's plan. */
const MAX_TRIES = 8;

export interface FloatingMoverOptions {
  readonly datacenter: string;
  readonly state: LocalState;
  /** Of the LAN pool. */
  readonly members: () => readonly GossipMember[];
  /** How long a failed agent keeps what it carries, milliseconds, ≥ 0. */
  readonly moveAfterMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when a failed agent's time is over: reconcile again. */
  readonly onDue: () => void;
}

/** `clear`: it carries nothing. `wait`: its time is not over, `onDue` will say so. `stuck`: there is nowhere to go. */
export type Clearance = 'clear' | 'wait' | 'stuck';

/** Invariant: `#failedSince` names failed members only, those that carried something when they were seen to fail. */
export class FloatingMover {
  readonly #o: FloatingMoverOptions;
  readonly #failedSince = new Map<string, number>();
  #timer: Timer | undefined;
  #isStranded = false;

  constructor(options: FloatingMoverOptions) {
    this.#o = options;
  }

  /** Something is carried by an agent that is gone, because there was nowhere to move it. */
  get isStranded(): boolean {
    return this.#isStranded;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** It lives: should it fail again, its time begins anew. */
  alive(node: string): void {
    this.#failedSince.delete(keyOf(node));
  }

  /** Moves everything away from a failed agent once its time is over. @throws ConsulError by rejection */
  async clearFailed(node: string): Promise<Clearance> {
    if (this.#carriedBy(node).length === 0) return 'clear';
    if (this.#leftMs(node) <= 0) return this.clear(node);
    this.#arm();
    return 'wait';
  }

  /** Moves everything away from an agent that is gone for good. @throws ConsulError by rejection */
  async clear(node: string): Promise<Clearance> {
    this.#failedSince.delete(keyOf(node));
    const carried = this.#carriedBy(node);
    if (carried.length === 0) return 'clear';
    const left = await this.#move(carried);
    if (left.length === 0) return 'clear';
    this.#isStranded = true;
    return 'stuck';
  }

  /** Moves everything that is carried by nobody who lives. @throws ConsulError by rejection */
  async sweep(): Promise<void> {
    const carriers = new Set(
      this.#o
        .members()
        .filter((member) => member.status !== 'left' && member.status !== 'failed')
        .map(({ name }) => keyOf(name)),
    );
    const waiting = (node: string) => this.#isFailed(node) && this.#leftMs(node) > 0;
    const orphans = this.#places().filter(({ node }) => !carriers.has(keyOf(node)) && !waiting(node));
    const left = orphans.length === 0 ? [] : await this.#move(orphans);
    this.#isStranded = left.length > 0;
  }

  /** @returns what could not be moved */
  async #move(places: readonly FloatingPlace[]): Promise<readonly FloatingPlace[]> {
    const plans = places.map((place) => ({ place, owners: this.#ownersFor(place) }));
    let left = plans;
    for (let attempt = 0; attempt < MAX_TRIES && left.length > 0; attempt++) {
      const moved = await this.#tryOwners(left, attempt);
      left = left.filter(({ place }) => !moved.has(place.id));
    }
    if (left.length === 0) return [];
    // What has changed meanwhile was somebody else's move.
    const now = new Map(this.#places().map(({ id, generation }) => [id, generation]));
    const stuck = left.map(({ place }) => place).filter(({ id, generation }) => now.get(id) === generation);
    if (stuck.length > 0)
      this.#o.log.warn('no agent can take over floating services', { services: stuck.length });
    return stuck;
  }

  async #tryOwners(
    plans: readonly { readonly place: FloatingPlace; readonly owners: readonly string[] }[],
    attempt: number,
  ): Promise<ReadonlySet<string>> {
    const moves = plans.flatMap(({ place, owners }): FloatingMove[] => {
      const node = owners[attempt];
      return node === undefined ? [] : [{ id: place.id, generation: place.generation, node }];
    });
    const moved = new Set<string>();
    for (let at = 0; at < moves.length; at += MAX_MOVES) {
      const batch = moves.slice(at, at + MAX_MOVES);
      for (const id of await this.#o.state.write(floatingAssign, { moves: batch })) moved.add(id);
    }
    if (moved.size > 0) this.#o.log.info('moved floating services', { services: moved.size });
    return moved;
  }

  /** Agents that live and can carry something. */
  able(): readonly GossipMember[] {
    const { datacenter, members } = this.#o;
    return members().filter(
      ({ status, tags }) =>
        // Who announces no address of its API is none of ours, or can't be reached by gateways.
        status === 'alive' && tags.dc === datacenter && tags[HTTP_ADDRESS_TAG] !== undefined,
    );
  }

  /** Live client agents in the order of their scores, then live servers. */
  #ownersFor({ id, node }: FloatingPlace): readonly string[] {
    const able = this.able().filter(({ name }) => keyOf(name) !== keyOf(node));
    const ranked = (role: string) =>
      byRendezvous(
        id,
        able.filter(({ tags }) => tags.role === role),
        ({ name }) => name,
      );
    return [...ranked('node'), ...ranked('consul')].map(({ name }) => name);
  }

  #carriedBy(node: string): readonly FloatingPlace[] {
    return this.#places().filter((place) => keyOf(place.node) === keyOf(node));
  }

  #places(): readonly FloatingPlace[] {
    return this.#o.state.read(floatingList, {});
  }

  #isFailed(node: string): boolean {
    return this.#o.members().some(({ name, status }) => keyOf(name) === keyOf(node) && status === 'failed');
  }

  /** Of the time that a failed agent keeps what it carries; it begins with the first question. */
  #leftMs(node: string): number {
    const { clock, moveAfterMs } = this.#o;
    const nowMs = clock.monotonicMs();
    const since = this.#failedSince.get(keyOf(node)) ?? nowMs;
    if (moveAfterMs > 0) this.#failedSince.set(keyOf(node), since);
    return since + moveAfterMs - nowMs;
  }

  #arm(): void {
    if (this.#timer !== undefined) return;
    const { clock, moveAfterMs, onDue } = this.#o;
    const dueMs = Math.min(...this.#failedSince.values()) + moveAfterMs;
    this.#timer = clock.setTimer(Math.max(0, dueMs - clock.monotonicMs()), () => {
      this.#timer = undefined;
      onDue();
    });
  }
}

/** Node names differ by more than case. */
function keyOf(name: string): string {
  return name.toLowerCase();
}
