/** Takes servers that have failed out of the pool and out of Raft, as long as that is safe. Used by the leader only. */

import type { Env, Timer } from '../../shared/env.ts';
import { toConsulError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { AutopilotSettings } from '../../shared/types/autopilot.ts';
import type { GossipMember } from '../gossip/types.ts';
import type { RaftNode, RaftPeer } from '../raft/types.ts';
import { serverMember } from '../rpc/server-members.ts';

const CHECK_INTERVAL_MS = 10_000;

export interface DeadServersOptions {
  readonly raft: RaftNode;
  readonly ownId: string;
  readonly datacenter: string;
  readonly env: Env;
  readonly log: Logger;
  readonly settings: () => AutopilotSettings;
  /** Of the LAN pool. */
  readonly members: () => readonly GossipMember[];
  /** Declares that a failed member has left; the rest (catalog, Raft) follows from that. */
  readonly forceLeave: (name: string) => Promise<void>;
  readonly removePeer: (id: string) => Promise<void>;
}

/** Invariant: one check is under way at a time. */
export class DeadServers {
  readonly #o: DeadServersOptions;
  #isChecking = false;
  #isStopped = false;
  #timer: Timer | undefined;

  constructor(options: DeadServersOptions) {
    this.#o = options;
  }

  start(): void {
    this.#timer = this.#o.env.clock.setTimer(CHECK_INTERVAL_MS, () => {
      this.start();
      void this.check();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Removes what may be removed now. Failures are logged; the next check tries again. */
  async check(): Promise<void> {
    if (this.#isChecking || this.#isStopped || !this.#o.settings().CleanupDeadServers) return;
    this.#isChecking = true;
    try {
      await this.#remove();
    } catch (error) {
      if (!this.#isStopped)
        this.#o.log.error('failed to remove dead server', { error: toConsulError(error).message });
    } finally {
      this.#isChecking = false;
    }
  }

  async #remove(): Promise<void> {
    const { forceLeave, log, removePeer } = this.#o;
    const { failedVoters, failedOthers, stale } = this.#dead();
    // They have no vote: nothing depends on them.
    for (const name of failedOthers)
      await this.#attempt('failed server node', { name }, () => forceLeave(name));
    const removals = failedVoters.length + stale.length;
    if (removals === 0) return;
    const refusal = removalRefusal(this.#voters().length, removals, this.#o.settings().MinQuorum);
    if (refusal !== undefined) {
      log.debug('Failed to remove dead servers', { error: refusal });
      return;
    }
    for (const name of failedVoters)
      await this.#attempt('failed server node', { name }, () => forceLeave(name));
    for (const peer of stale) {
      const server = `${peer.id} (${peer.address})`;
      await this.#attempt('stale server', { server }, () => removePeer(peer.id));
    }
  }

  async #attempt(what: string, fields: Record<string, string>, work: () => Promise<void>): Promise<void> {
    if (this.#isStopped) return;
    this.#o.log.info(`Attempting removal of ${what}`, fields);
    await work();
  }

  #dead(): { failedVoters: string[]; failedOthers: string[]; stale: RaftPeer[] } {
    const { datacenter, members } = this.#o;
    const voters = new Set(this.#voters().map((peer) => peer.id as string));
    const known = new Set<string>();
    const failedVoters: string[] = [];
    const failedOthers: string[] = [];
    for (const member of members()) {
      const server = serverMember(member);
      if (server === undefined || server.datacenter !== datacenter) continue;
      known.add(server.id);
      if (member.status === 'failed') (voters.has(server.id) ? failedVoters : failedOthers).push(member.name);
    }
    return { failedVoters, failedOthers, stale: this.#stale(known) };
  }

  /** Gossip may only not have met them yet, so they must be silent in Raft as well. */
  #stale(known: ReadonlySet<string>): RaftPeer[] {
    const { ownId, raft } = this.#o;
    const { peers, progress } = raft.status();
    return peers.filter(
      ({ id }) =>
        id !== ownId && !known.has(id) && (progress.get(id)?.lastContactMs ?? 0) >= CHECK_INTERVAL_MS,
    );
  }

  #voters(): readonly RaftPeer[] {
    return this.#o.raft.status().peers.filter((peer) => peer.isVoter);
  }
}

/**
 * Why so many servers must not be removed at once, in Consul's words; undefined when they may.
 *
 * @param peers     voters now
 * @param removals  how many are dead
 * @param minQuorum fewer than that must never be left
 */
export function removalRefusal(peers: number, removals: number, minQuorum: number): string | undefined {
  if (peers - removals < minQuorum)
    return `denied, because removing ${removals}/${peers} servers would leave less then minimal allowed quorum of ${minQuorum} servers`;
  // With n = 2f + 1 servers, f may go.
  if (removals > Math.floor((peers - 1) / 2))
    return `denied, because removing the majority of servers ${removals}/${peers} is not safe`;
  return undefined;
}
