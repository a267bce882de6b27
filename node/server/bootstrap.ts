/** The first Raft configuration of a cluster: alone, or together with the expected number of servers. */

import type { Env, Timer } from '../../shared/env.ts';
import { toConsulError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { NodeId, RaftNode, RaftPeer } from '../raft/types.ts';
import type { ServerMember } from '../rpc/server-members.ts';

const CHECK_INTERVAL_MS = 1000;

export interface BootstrapOptions {
  readonly ownId: string;
  /** ≥ 2. */
  readonly expect: number;
  readonly raft: RaftNode;
  readonly env: Env;
  readonly log: Logger;
  /** Servers of the own datacenter by gossip, this one included. */
  readonly servers: () => readonly ServerMember[];
  /** Asks another server for its Raft peers. Rejects when it can't be reached. */
  readonly peersOf: (address: string) => Promise<readonly string[]>;
}

/** Writes a configuration of this server alone unless there is state already. Rejects with Raft's error. */
export async function bootstrapAlone(raft: RaftNode, id: string, address: string): Promise<void> {
  if (!raft.hasState()) await raft.bootstrap([{ id: id as NodeId, address, isVoter: true }]);
}

/**
 * Waits for the expected servers, makes sure that none of them belongs to a cluster, and writes a configuration of
 * all. Every expected server does the same on its own: the configurations are equal. Ends for good once there is any
 * Raft state, by its own doing or because a leader has added this server.
 */
export class ExpectBootstrap {
  readonly #o: BootstrapOptions;
  #timer: Timer | undefined;
  #isChecking = false;
  #isDone = false;
  #lastComplaint = '';

  constructor(options: BootstrapOptions) {
    this.#o = options;
  }

  start(): void {
    void this.check();
  }

  stop(): void {
    this.#isDone = true;
    this.#timer?.cancel();
  }

  /** Looks now, for instance because a member joined. */
  async check(): Promise<void> {
    if (this.#isDone || this.#isChecking) return;
    this.#isChecking = true;
    this.#timer?.cancel();
    try {
      await this.#attempt();
    } catch (error) {
      this.#o.log.error('Failed to bootstrap cluster', { error: toConsulError(error).message });
    }
    this.#isChecking = false;
    if (!this.#isDone) this.#timer = this.#o.env.clock.setTimer(CHECK_INTERVAL_MS, () => void this.check());
  }

  async #attempt(): Promise<void> {
    const { expect, log, raft } = this.#o;
    if (raft.hasState()) {
      this.#isDone = true;
      return;
    }
    const servers = this.#candidates();
    if (servers === undefined || servers.filter((server) => !server.isNonVoter).length < expect) return;
    if (!(await this.#areAllNew(servers))) return;
    // Something may have arrived while the others were asked.
    if (this.#isDone || raft.hasState()) return;
    log.info('Found expected number of peers, attempting bootstrap', {
      peers: servers.map((server) => server.address).join(','),
    });
    await raft.bootstrap(servers.map(asPeer));
    this.#isDone = true;
  }

  /** The live servers to bootstrap with; undefined when one of them makes that impossible. */
  #candidates(): readonly ServerMember[] | undefined {
    const alive = this.#o.servers().filter((server) => server.status === 'alive' && server.id !== '');
    for (const server of alive) {
      if (server.expect !== 0 && server.expect !== this.#o.expect) {
        this.#complain(
          'Member has a conflicting expect value. All nodes should expect the same number.',
          server.name,
        );
        return undefined;
      }
      if (server.bootstrap) {
        this.#complain('Member has bootstrap mode. Expect disabled.', server.name);
        return undefined;
      }
    }
    // The same order on every server, so that their configurations are equal to the byte.
    return alive.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #areAllNew(servers: readonly ServerMember[]): Promise<boolean> {
    const { log, ownId, peersOf } = this.#o;
    for (const server of servers) {
      if (server.id === ownId) continue;
      let peers: readonly string[];
      try {
        peers = await peersOf(server.address);
      } catch (error) {
        const text = toConsulError(error).message;
        log.error('Failed to confirm peer status for server (will retry).', {
          server: server.name,
          error: text,
        });
        return false;
      }
      if (peers.length === 0) continue;
      log.info('Existing Raft peers reported by server, disabling bootstrap mode', { server: server.name });
      this.#isDone = true;
      return false;
    }
    return true;
  }

  #complain(text: string, member: string): void {
    const complaint = `${text} ${member}`;
    if (complaint === this.#lastComplaint) return;
    this.#lastComplaint = complaint;
    this.#o.log.error(text, { member });
  }
}

function asPeer(server: ServerMember): RaftPeer {
  return { id: server.id as NodeId, address: server.address, isVoter: !server.isNonVoter };
}
