/** Which server a client agent talks to: it stays with one until that one fails, and moves on now and then. */

import { type Env, shuffle } from '../../shared/env.ts';
import type { ServerMember } from './server-members.ts';

/** Invariant: `#order` holds each known live server once; the first is the one in use. */
export class ServerRotation {
  readonly #env: Env;
  #order: ServerMember[] = [];

  constructor(env: Env) {
    this.#env = env;
  }

  get size(): number {
    return this.#order.length;
  }

  addresses(): readonly string[] {
    return this.#order.map((server) => server.address);
  }

  /** The server in use; undefined when none is known. */
  current(): ServerMember | undefined {
    return this.#order[0];
  }

  /**
   * Takes over what gossip shows. Known servers keep their places; new ones come in at random places, so that agents
   * that see them at the same time spread over them.
   *
   * @returns the servers that were not known before
   */
  update(alive: readonly ServerMember[]): readonly ServerMember[] {
    const byAddress = new Map(alive.map((server) => [server.address, server]));
    const kept: ServerMember[] = [];
    for (const { address } of this.#order) {
      const server = byAddress.get(address);
      if (server === undefined) continue;
      kept.push(server);
      byAddress.delete(address);
    }
    const added = [...byAddress.values()];
    const isFirst = kept.length === 0;
    this.#order = isFirst ? shuffle(this.#env.random, [...added]) : kept;
    if (!isFirst) for (const server of added) this.#insert(server);
    return added;
  }

  /** The server failed a request: it goes last, unless another failure has moved it already. */
  failed(address: string): void {
    const [first, ...others] = this.#order;
    if (first?.address === address) this.#order = [...others, first];
  }

  /** Begins with another server at random, so that load spreads again after restarts. */
  rebalance(): void {
    shuffle(this.#env.random, this.#order);
  }

  #insert(server: ServerMember): void {
    // Never first: who is served well stays where it is.
    const at = 1 + Math.floor(this.#env.random.next() * this.#order.length);
    this.#order.splice(at, 0, server);
  }
}
