/** Brings members of the LAN pool and the catalog into line. Used by the leader only (reference: leader duties). */

import { toConsulError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { EMPTY_PROXY, type HealthCheck, type RegisterRequest } from '../../shared/types/v1.ts';
import type { GossipMember } from '../gossip/types.ts';
import type { ReadEndpoint, WriteEndpoint } from '../rpc/endpoint.ts';
import {
  catalogDeregister,
  catalogNodeServices,
  catalogRegister,
  healthChecksInState,
  healthNodeChecks,
  NO_MODIFIERS,
} from '../rpc/endpoints.ts';
import { type ServerMember, serverMember } from '../rpc/server-members.ts';
import type { Clearance, FloatingMover } from './floating-mover.ts';

export const SERF_CHECK_ID = 'serfHealth';
const SERF_CHECK_NAME = 'Serf Health Status';
const ALIVE_OUTPUT = 'Agent alive and reachable';
const FAILED_OUTPUT = 'Agent not live or unreachable';
const CONSUL_SERVICE = 'consul';

/** The leader's own reads and writes, without detours. */
export interface LocalState {
  read<Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args): Result;
  write<Args, Result>(endpoint: WriteEndpoint<Args, Result>, args: Args): Promise<Result>;
}

/** A carrier may get another service while it is cleared; so often that this many rounds don't do is no accident. */
const MAX_CLEARINGS = 4;

/** Raft's side of servers that come and go. */
export interface ServerRoster {
  add(server: ServerMember): Promise<void>;
  remove(id: string): Promise<void>;
}

export interface CatalogReconcilerOptions {
  readonly datacenter: string;
  readonly ownName: string;
  readonly state: LocalState;
  readonly roster: ServerRoster;
  readonly floating: FloatingMover;
  readonly log: Logger;
}

export class CatalogReconciler {
  readonly #o: CatalogReconcilerOptions;

  constructor(options: CatalogReconcilerOptions) {
    this.#o = options;
  }

  /** One member by its status. Idempotent: writes only what differs. Rejects with a `ConsulError`. */
  async reconcile(member: GossipMember): Promise<void> {
    if (!this.#isOurs(member)) return;
    switch (member.status) {
      case 'alive':
        return this.#alive(member);
      case 'failed':
        return this.#failed(member);
      case 'left':
        return this.#gone(member.name, member.tags.id, serverMember(member) !== undefined, 'left');
      case 'leaving':
      case 'none':
        return;
    }
  }

  /** A member that the pool has forgotten. */
  async reaped(member: GossipMember): Promise<void> {
    if (!this.#isOurs(member)) return;
    return this.#gone(member.name, member.tags.id, serverMember(member) !== undefined, 'reaped');
  }

  /** Nodes that an agent once stood for (they carry the serf check) and that the pool no longer knows. */
  async reapStrangers(members: readonly GossipMember[]): Promise<void> {
    const known = new Set(members.map((member) => member.name.toLowerCase()));
    const checks = this.#o.state.read(healthChecksInState, { ...NO_MODIFIERS, state: 'any' });
    const strangers = checks.filter(
      (check) => check.CheckID === SERF_CHECK_ID && !known.has(check.Node.toLowerCase()),
    );
    for (const { Node } of strangers) {
      const found = this.#o.state.read(catalogNodeServices, { node: Node, filter: '' });
      const isServer = found !== null && Object.hasOwn(found.Services, CONSUL_SERVICE);
      await this.#gone(Node, found?.Node.ID, isServer, 'reaped');
    }
  }

  async #alive(member: GossipMember): Promise<void> {
    this.#o.floating.alive(member.name);
    const server = serverMember(member);
    if (server !== undefined) await this.#o.roster.add(server);
    const service = server === undefined ? null : consulService(member, server);
    if (this.#isRegistered(member, service)) return;
    this.#o.log.info('member joined, marking health alive', { member: member.name });
    await this.#o.state.write(catalogRegister, {
      ...this.#registration(member, 'passing', ALIVE_OUTPUT),
      Service: service,
    });
  }

  async #failed(member: GossipMember): Promise<void> {
    const found = this.#o.state.read(catalogNodeServices, { node: member.name, filter: '' });
    if (found === null) return;
    if (this.#serfCheck(member.name)?.Status === 'critical') return;
    await this.#afterClearing(
      () => this.#o.floating.clearFailed(member.name),
      async (isCleared) => {
        const registration = this.#registration(member, 'critical', FAILED_OUTPUT);
        await this.#o.state.write(catalogRegister, { ...registration, UnlessFloating: isCleared });
        this.#o.log.info('member failed, marking health critical', { member: member.name });
      },
    );
  }

  /**
   * What floats moves first, so that nobody ever sees it critical or gone because its carrier is. The write refuses
   * while the node carries something; then that is moved too.
   */
  async #afterClearing(
    clear: () => Promise<Clearance>,
    write: (isCleared: boolean) => Promise<void>,
  ): Promise<void> {
    for (let round = 1; ; round++) {
      const clearance = await clear();
      if (clearance === 'wait') return;
      if (clearance === 'stuck' && round === 1) {
        // Who could take over may be back for so short a time that the catalog still has it for dead.
        for (const member of this.#o.floating.able()) await this.#alive(member);
        continue;
      }
      const isCleared = clearance === 'clear' && round < MAX_CLEARINGS;
      try {
        return await write(isCleared);
      } catch (error) {
        if (!isCleared || toConsulError(error).code !== 'refused') throw error;
      }
    }
  }

  async #gone(
    name: string,
    id: string | undefined,
    isServer: boolean,
    reason: 'left' | 'reaped',
  ): Promise<void> {
    // Whoever leads is alive: an old rumour about itself must not take its own node away.
    if (name === this.#o.ownName) {
      this.#o.log.warn('deregistering self should be done by follower', { name });
      return;
    }
    if (isServer && id !== undefined && id !== '') await this.#o.roster.remove(id);
    if (this.#o.state.read(catalogNodeServices, { node: name, filter: '' }) === null) return;
    this.#o.log.info('deregistering member', { member: name, reason });
    await this.#afterClearing(
      () => this.#o.floating.clear(name),
      async (isCleared) => {
        const all = { Datacenter: this.#o.datacenter, Node: name, ServiceID: '', CheckID: '' };
        await this.#o.state.write(catalogDeregister, { ...all, KeepFloating: isCleared });
      },
    );
  }

  #isRegistered(member: GossipMember, service: RegisterRequest['Service']): boolean {
    const found = this.#o.state.read(catalogNodeServices, { node: member.name, filter: '' });
    // The address is the agent's to keep right: `SkipNodeUpdate` would not change it anyway.
    if (found === null) return false;
    if (this.#serfCheck(member.name)?.Status !== 'passing') return false;
    if (service === null) return true;
    const known = found.Services[CONSUL_SERVICE];
    return known !== undefined && known.Port === service.Port && isSameMeta(known.Meta, service.Meta);
  }

  #serfCheck(node: string): HealthCheck | undefined {
    const checks = this.#o.state.read(healthNodeChecks, { node, filter: '' });
    return checks.find((check) => check.CheckID === SERF_CHECK_ID);
  }

  #registration(member: GossipMember, status: 'passing' | 'critical', output: string): RegisterRequest {
    return {
      Datacenter: this.#o.datacenter,
      ID: member.tags.id ?? '',
      Node: member.name,
      Address: member.address,
      TaggedAddresses: null,
      NodeMeta: null,
      Service: null,
      Check: {
        Node: member.name,
        CheckID: SERF_CHECK_ID,
        Name: SERF_CHECK_NAME,
        Status: status,
        Notes: '',
        Output: output,
        ServiceID: '',
        ServiceName: '',
        ServiceTags: [],
        Type: '',
        Definition: {},
      },
      Checks: null,
      // What the agent itself has said about its node (meta, tagged addresses) stays.
      SkipNodeUpdate: true,
    };
  }

  #isOurs(member: GossipMember): boolean {
    const { role, dc } = member.tags;
    return dc === this.#o.datacenter && (role === 'node' || role === 'consul');
  }
}

function consulService(member: GossipMember, server: ServerMember): NonNullable<RegisterRequest['Service']> {
  const [protocolMin, protocolMax, protocolCurrent] = member.versions;
  return {
    ID: CONSUL_SERVICE,
    Service: CONSUL_SERVICE,
    Tags: [],
    Address: '',
    Meta: {
      non_voter: String(server.isNonVoter),
      raft_version: server.raftVersion,
      serf_protocol_current: String(protocolCurrent),
      serf_protocol_max: String(protocolMax),
      serf_protocol_min: String(protocolMin),
      version: server.build,
    },
    Port: Number(member.tags.port),
    Weights: { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
    Proxy: EMPTY_PROXY,
    Connect: {},
  };
}

function isSameMeta(a: Record<string, string> | null, b: Record<string, string> | null): boolean {
  const left = Object.entries(a ?? {});
  return left.length === Object.keys(b ?? {}).length && left.every(([key, value]) => b?.[key] === value);
}
