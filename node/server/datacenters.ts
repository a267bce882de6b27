/** Servers by datacenter as the gossip pools show them: the own one from the LAN pool, the others from the WAN pool. */

import { type Env, randomInt } from '../../shared/env.ts';
import type { PoolMember, ServerMember } from '../rpc/server-members.ts';
import { serverMember } from '../rpc/server-members.ts';

interface MemberList {
  members(): readonly PoolMember[];
}

export class Datacenters {
  readonly #own: string;
  readonly #lan: MemberList;
  readonly #wan: MemberList | undefined;
  readonly #env: Env;

  constructor(own: string, lan: MemberList, wan: MemberList | undefined, env: Env) {
    this.#own = own;
    this.#lan = lan;
    this.#wan = wan;
    this.#env = env;
  }

  /** Servers of the own datacenter that are not gone for good, any other status included. */
  localServers(): readonly ServerMember[] {
    return serversOf(this.#lan).filter((server) => server.datacenter === this.#own);
  }

  /** RPC addresses of the live servers of another datacenter, in random order so that load spreads. */
  remoteAddresses(datacenter: string): readonly string[] {
    const alive = this.#wanServers().filter(
      (server) => server.datacenter === datacenter && server.status === 'alive',
    );
    const start = randomInt(this.#env.random, Math.max(1, alive.length));
    return [...alive.slice(start), ...alive.slice(0, start)].map((server) => server.address);
  }

  isKnown(datacenter: string): boolean {
    return datacenter === this.#own || this.#wanServers().some((server) => server.datacenter === datacenter);
  }

  /** The own datacenter first, the others by name. */
  names(): string[] {
    const others = new Set(this.#wanServers().map((server) => server.datacenter));
    others.delete(this.#own);
    return [this.#own, ...[...others].sort()];
  }

  #wanServers(): readonly ServerMember[] {
    return this.#wan === undefined ? [] : serversOf(this.#wan).filter((server) => server.status !== 'left');
  }
}

function serversOf(pool: MemberList): readonly ServerMember[] {
  return pool
    .members()
    .map(serverMember)
    .filter((server) => server !== undefined);
}
