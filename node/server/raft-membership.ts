/** Keeps Raft's configuration in step with the servers that gossip shows. Used by the leader only. */

import { NS_PER_MS } from '../../shared/durations.ts';
import type { Env, Timer } from '../../shared/env.ts';
import { refused, toConsulError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { AutopilotSettings } from '../../shared/types/autopilot.ts';
import type { MembershipChange, NodeId, RaftNode, RaftPeer } from '../raft/types.ts';
import type { ServerMember } from '../rpc/server-members.ts';

const PROMOTION_CHECK_MS = 1000;
/** A learner that was silent for longer is not stable. */
const MAX_SILENCE_MS = 2000;

export interface RaftMembershipOptions {
  readonly raft: RaftNode;
  readonly ownId: string;
  readonly env: Env;
  readonly log: Logger;
  /** How far behind a learner may be to count as caught up, and for how long it must be before it gets a vote. */
  readonly settings: () => Pick<AutopilotSettings, 'MaxTrailingLogs' | 'ServerStabilizationTime'>;
  /** Servers of the own datacenter by gossip. */
  readonly servers: () => readonly ServerMember[];
  /** Whether the server has begun to leave, though gossip may still show it alive. */
  readonly isLeaving: (id: string) => boolean;
}

/** Invariant: one change is under way at a time; `#caughtUpSinceMs` holds learners only. */
export class RaftMembership {
  readonly #o: RaftMembershipOptions;
  readonly #caughtUpSinceMs = new Map<NodeId, number>();
  #last: Promise<void> = Promise.resolve();
  #isStopped = false;
  #timer: Timer | undefined;

  constructor(options: RaftMembershipOptions) {
    this.#o = options;
  }

  start(): void {
    this.#timer = this.#o.env.clock.setTimer(PROMOTION_CHECK_MS, () => void this.#promote());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** A live server: joins as a learner, or has its address brought up to date. Rejects with a `ConsulError`. */
  async add(server: ServerMember): Promise<void> {
    const { log, ownId, raft } = this.#o;
    if (server.id === '') return;
    if (server.id === ownId) return this.#moveSelf(server.address);
    if (this.#o.isLeaving(server.id)) return;
    if (server.bootstrap && this.#o.servers().some((other) => other.bootstrap && other.id !== server.id)) {
      log.error(
        'Two nodes are in bootstrap mode. Only one node should be in bootstrap mode, not adding Raft peer.',
      );
      return;
    }
    const peers = raft.status().peers;
    if (peers.some((peer) => peer.id === server.id && peer.address === server.address)) return;
    const holder = peers.find((peer) => peer.address === server.address && peer.id !== server.id);
    if (holder !== undefined) await this.#vacate(holder);
    // Making room may have taken this server out: then it comes back as a learner.
    const isVoter = raft.status().peers.find((peer) => peer.id === server.id)?.isVoter ?? false;
    await this.#change({
      kind: 'add',
      peer: { id: server.id as NodeId, address: server.address, isVoter },
    });
    log.info('added raft peer', { server: server.name, address: server.address, voter: isVoter });
  }

  /** The leader itself has come back at another address. */
  async #moveSelf(address: string): Promise<void> {
    const { log, ownId, raft } = this.#o;
    const { peers } = raft.status();
    const self = peers.find((peer) => peer.id === ownId);
    if (self === undefined || self.address === address) return;
    const holder = peers.find((peer) => peer.address === address && peer.id !== ownId);
    if (holder !== undefined) await this.#vacate(holder);
    await this.#change({ kind: 'add', peer: { ...self, address } });
    log.info('updated own address in the Raft configuration', { address });
  }

  /**
   * Another server has the address of this one now. If it lives elsewhere it keeps its vote and gets its new address;
   * if that is taken as well, as when servers swap addresses, it is taken out and comes back by its own `add`.
   */
  async #vacate(holder: RaftPeer): Promise<void> {
    const { log, ownId, raft } = this.#o;
    const isTaken = (address: string) => raft.status().peers.some((peer) => peer.address === address);
    const live = this.#o.servers().find(({ id, status }) => id === holder.id && status === 'alive');
    if (live !== undefined && live.address !== holder.address) {
      // The leader must not take itself out: whoever holds its new address goes instead.
      if (holder.id === ownId) return this.#moveSelf(live.address);
      if (!isTaken(live.address)) {
        await this.#change({ kind: 'add', peer: { ...holder, address: live.address } });
        log.info('updated address of raft peer', { server: live.name, address: live.address });
        return;
      }
    }
    if (holder.id === ownId) throw refused(`address ${holder.address} is the leader's own`);
    log.info('removing server with duplicate address', { address: holder.address });
    await this.#change({ kind: 'remove', id: holder.id });
  }

  /** A server that left for good. The leader never removes itself here. Rejects with a `ConsulError`. */
  async remove(id: string): Promise<void> {
    if (id === this.#o.ownId) return;
    const peer = this.#o.raft.status().peers.find((known) => known.id === id);
    if (peer === undefined) return;
    // The same server under a new name: the old name has left, the server has not.
    if (this.#o.servers().some((server) => server.id === id && server.status === 'alive')) return;
    this.#o.log.info('removing server by ID', { id });
    await this.#change({ kind: 'remove', id: peer.id });
  }

  #change(change: MembershipChange): Promise<void> {
    const done = this.#last.then(() => this.#o.raft.changeMembership(change));
    this.#last = done.catch(() => {});
    return done;
  }

  async #promote(): Promise<void> {
    try {
      for (const peer of this.#stableLearners()) {
        this.#o.log.info('Promoting server to voter', { server: peer.id });
        await this.#change({ kind: 'add', peer: { ...peer, isVoter: true } });
      }
    } catch (error) {
      if (!this.#isStopped)
        this.#o.log.error('failed to promote server', { error: toConsulError(error).message });
    }
    if (this.#isStopped) return;
    this.#timer = this.#o.env.clock.setTimer(PROMOTION_CHECK_MS, () => void this.#promote());
  }

  #stableLearners(): readonly RaftPeer[] {
    const { env, raft } = this.#o;
    const { MaxTrailingLogs, ServerStabilizationTime } = this.#o.settings();
    const nowMs = env.clock.monotonicMs();
    const status = raft.status();
    const servers = new Map(this.#o.servers().map((server) => [server.id, server]));
    const stable: RaftPeer[] = [];
    for (const peer of status.peers) {
      const progress = status.progress.get(peer.id);
      const server = servers.get(peer.id);
      const isCaughtUp =
        !peer.isVoter &&
        server?.status === 'alive' &&
        !server.isNonVoter &&
        progress !== undefined &&
        progress.matchIndex + MaxTrailingLogs >= status.lastLogIndex &&
        progress.lastContactMs <= MAX_SILENCE_MS;
      if (!isCaughtUp) {
        this.#caughtUpSinceMs.delete(peer.id);
        continue;
      }
      const sinceMs = this.#caughtUpSinceMs.get(peer.id) ?? nowMs;
      this.#caughtUpSinceMs.set(peer.id, sinceMs);
      if (nowMs - sinceMs >= ServerStabilizationTime / NS_PER_MS) stable.push(peer);
    }
    return stable;
  }
}
