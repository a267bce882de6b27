/** Keeps the servers of the own datacenter in the WAN pool, so that joining any one of them is enough. */

import type { Env, Timer } from '../../shared/env.ts';
import { toConsulError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { GossipMember, GossipPool } from '../gossip/types.ts';
import { hostPort, serverMember } from '../rpc/server-members.ts';

const INTERVAL_MS = 60_000;

export interface WanFloodOptions {
  readonly datacenter: string;
  readonly lan: GossipPool;
  readonly wan: GossipPool;
  readonly env: Env;
  readonly log: Logger;
}

/** Invariant: one round of joins is under way at a time; none begins after `stop`. */
export class WanFlood {
  readonly #o: WanFloodOptions;
  #timer: Timer | undefined;
  #isJoining = false;
  #isStopped = false;

  constructor(options: WanFloodOptions) {
    this.#o = options;
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Joins LAN servers that the WAN pool lacks, now and every minute from now. */
  async flood(): Promise<void> {
    if (this.#isJoining || this.#isStopped) return;
    this.#isJoining = true;
    this.#timer?.cancel();
    for (const address of missingInWan(this.#o)) {
      try {
        await this.#o.wan.join([address], true);
        this.#o.log.debug('Successfully performed flood-join for server', { address });
      } catch (error) {
        this.#o.log.debug('Failed to flood-join server', { address, error: toConsulError(error).message });
      }
    }
    this.#isJoining = false;
    if (!this.#isStopped) this.#timer = this.#o.env.clock.setTimer(INTERVAL_MS, () => void this.flood());
  }
}

/** `<node>.<dc>/<ip>:<port>` of every live LAN server that is not live in the WAN pool. */
export function missingInWan({
  datacenter,
  lan,
  wan,
}: Pick<WanFloodOptions, 'datacenter' | 'lan' | 'wan'>): string[] {
  const known = new Set(
    wan
      .members()
      .filter((member) => member.status === 'alive')
      .map((member) => member.name),
  );
  return lan
    .members()
    .filter((member) => member.status === 'alive' && member.tags.dc === datacenter)
    .map((member) => wanAddress(member, datacenter))
    .filter((entry) => entry !== undefined)
    .filter((entry) => !known.has(entry.name))
    .map((entry) => `${entry.name}/${entry.address}`);
}

function wanAddress(member: GossipMember, datacenter: string): { name: string; address: string } | undefined {
  const port = Number(member.tags.wan_join_port ?? '0');
  if (serverMember(member) === undefined || port === 0) return undefined;
  return { name: `${member.name}.${datacenter}`, address: hostPort(member.address, port) };
}
