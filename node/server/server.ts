/** A server as the agent runs it: the RPC port around the core, joined to the gossip pools. */

import { join } from 'node:path';
import { ConsulError, toConsulError } from '../../shared/errors.ts';
import { Metrics } from '../../shared/metrics.ts';
import type { GossipEvent } from '../gossip/types.ts';
import { createRaftNode } from '../raft/raft-node.ts';
import type { NodeId, RaftNode, StateMachine } from '../raft/types.ts';
import type { CallOptions, JsonReply, ReadOptions, ReadReply } from '../rpc/backend.ts';
import { ConnectionPool } from '../rpc/connection-pool.ts';
import type { ReadEndpoint, WriteEndpoint } from '../rpc/endpoint.ts';
import { statusPeers } from '../rpc/endpoints.ts';
import { createRpcListener, type RpcListener } from '../rpc/listener.ts';
import type { RpcService } from '../rpc/server-connection.ts';
import { describeServer, hostPort, type MemberView, serverMember } from '../rpc/server-members.ts';
import type { SavedSnapshot, SnapshotOptions } from '../rpc/snapshots.ts';
import { createStore } from '../state/store.ts';
import { bootstrapAlone, ExpectBootstrap } from './bootstrap.ts';
import { READ_HANDLERS, WRITE_HANDLERS } from './endpoints/all.ts';
import { createStateMachine } from './fsm.ts';
import { leaveCluster } from './graceful-leave.ts';
import { raftTimingOf, type Server, type ServerOptions, type ServerStats } from './options.ts';
import { createRaftNetwork, type RaftNetwork } from './raft-network.ts';
import type { ReadCall, ReadKind } from './read-path.ts';
import { createRpcService } from './rpc-service.ts';
import { ServerCore } from './server-core.ts';
import { createServerMetrics, replicationMetrics } from './server-metrics.ts';
import { consulSection, raftSection } from './stats.ts';
import { WanFlood } from './wan-flood.ts';

const LEAVE_DRAIN_MS = 5000;

/** How long the log of a server without a data directory gets: it is all in memory, and there is no disk to spare. */
const MEMORY_LOG_BYTES = 2 * 1024 * 1024;

/** Makes a server; nothing is opened before `start`. */
export function createServer(options: ServerOptions): Server {
  return new RunningServer(options);
}

interface Running {
  readonly core: ServerCore;
  readonly listener: RpcListener;
  readonly service: RpcService;
  readonly address: string;
}

/** Invariant: `#running` is set from the moment the port is bound until `stop`. */
class RunningServer implements Server {
  readonly #o: ServerOptions;
  readonly #pool: ConnectionPool;
  readonly #metrics: Metrics;
  #running: Running | undefined;
  #bootstrap: ExpectBootstrap | undefined;
  #flood: WanFlood | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(options: ServerOptions) {
    this.#o = options;
    this.#pool = new ConnectionPool(options.env, options.platform?.network);
    this.#metrics = options.metrics ?? new Metrics();
  }

  get raft(): RaftNode {
    return this.#core().raft;
  }

  async start(): Promise<void> {
    const { advertiseAddress, bindAddress, env, lan, log, platform, rpcPort } = this.#o;
    const network = createRaftNetwork(env, (id) => liveAddress(lan, id), platform?.network);
    // The port comes first: Raft must know its own address, and the system may choose the port.
    const listener = createRpcListener({
      bindAddress,
      port: rpcPort,
      env,
      log,
      network: platform?.network,
      service: { answer: async (request, signal) => this.#runningNow().service.answer(request, signal) },
      onRaftStream: (socket) => network.accept(socket),
      onSnapshotStream: (socket) => {
        if (this.#running === undefined) socket.destroy();
        else this.#running.core.snapshots.serve(socket);
      },
    });
    await listener.start();
    const address = hostPort(advertiseAddress, listener.port());
    const store = createStore();
    const metrics = createServerMetrics(this.#metrics);
    const core = new ServerCore(this.#o, {
      store,
      machine: createStateMachine(store, { clock: env.clock, metrics }),
      metrics,
      registry: this.#metrics,
      readHandlers: READ_HANDLERS,
      writeHandlers: WRITE_HANDLERS,
      pool: this.#pool,
      createRaft: (machine) => this.#createRaft(machine, network, address),
    });
    this.#running = { core, listener, address, service: createRpcService(core.reads, core.writes, metrics) };
    try {
      await core.raft.start();
      this.#followMembers();
      await this.#startBootstrap(core.raft, address);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#unsubscribe?.();
    this.#bootstrap?.stop();
    this.#flood?.stop();
    running.core.close();
    await running.core.raft.stop();
    this.#pool.close();
    await running.listener.stop();
  }

  async leave(): Promise<void> {
    const { env, lan, leaveDrainMs, log, nodeId, wan } = this.#o;
    log.info('server starting leave');
    this.#bootstrap?.stop();
    this.#flood?.stop();
    const drainMs = leaveDrainMs ?? LEAVE_DRAIN_MS;
    await leaveCluster({ ownId: nodeId, raft: this.raft, lan, wan, env, log, drainMs });
  }

  rpcAddress(): string {
    return this.#runningNow().address;
  }

  isLeader(): boolean {
    return this.#running?.core.leadership.isLeader ?? false;
  }

  stats(): ServerStats {
    const { datacenters, leadership, raft } = this.#core();
    return {
      consul: consulSection({
        bootstrap: this.#o.bootstrap && this.#o.isDev !== true,
        datacenters: datacenters.names().length,
        isLeader: leadership.isLeader,
        leaderAddress: leadership.leaderAddress,
      }),
      raft: raftSection(raft.status(), this.#o.nodeId),
    };
  }

  read<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    options: ReadOptions,
  ): Promise<ReadReply<Result>> {
    try {
      const { reads } = this.#core();
      const answer = reads.fast(endpoint.name, args, options);
      const reply =
        answer?.leaderRead() ??
        reads
          .answer(readCall('read', endpoint.name, args, options, false))
          .then((answered) => answered.reply);
      // The endpoint's name fixes the type of its result.
      return reply as Promise<ReadReply<Result>>;
    } catch (error) {
      return Promise.reject(toConsulError(error));
    }
  }

  readJson<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    options: ReadOptions & { readonly pretty: boolean },
  ): Promise<JsonReply> {
    try {
      const { reads } = this.#core();
      const answer = reads.fast(endpoint.name, args, options);
      if (answer !== undefined) return answer.leaderJson(options.pretty);
      const call = readCall('json', endpoint.name, args, options, options.pretty);
      return reads.answer(call).then((answered) => answered.reply as JsonReply);
    } catch (error) {
      return Promise.reject(toConsulError(error));
    }
  }

  readLocal<Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args): ReadReply<Result> | undefined {
    const reply = this.#running?.core.reads.local(endpoint.name, args);
    // The endpoint's name fixes the type of its result.
    return reply as ReadReply<Result> | undefined;
  }

  async write<Args, Result>(
    endpoint: WriteEndpoint<Args, Result>,
    args: Args,
    options: CallOptions,
  ): Promise<Result> {
    const { datacenter, requestId, token } = options;
    const call = { name: endpoint.name, args, datacenter, token, isForwarded: false, requestId };
    // The endpoint's name fixes the type of its result.
    return (await this.#core().writes.apply(call)) as Result;
  }

  async saveSnapshot(options: SnapshotOptions): Promise<SavedSnapshot> {
    return this.#core().snapshots.saveSnapshot(options);
  }

  async restoreSnapshot(options: SnapshotOptions, archive: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#core().snapshots.restoreSnapshot(options, archive);
  }

  #createRaft(stateMachine: StateMachine, network: RaftNetwork, address: string): RaftNode {
    const { dataDir, env, log, nodeId, platform, raft } = this.#o;
    const create = platform?.createRaft ?? createRaftNode;
    return create({
      id: nodeId as NodeId,
      address,
      directory: dataDir === undefined ? undefined : join(dataDir, 'raft'),
      stateMachine,
      network,
      env,
      log: log.named('raft'),
      timing: raftTimingOf(this.#o),
      snapshotThreshold: raft?.snapshotThreshold,
      snapshotIntervalMs: raft?.snapshotIntervalMs,
      trailingLogs: raft?.trailingLogs,
      snapshotThresholdBytes: dataDir === undefined ? MEMORY_LOG_BYTES : undefined,
      replication: replicationMetrics(this.#metrics),
    });
  }

  async #startBootstrap(raft: RaftNode, address: string): Promise<void> {
    const { bootstrap, bootstrapExpect, env, isDev, log, nodeId } = this.#o;
    if (bootstrap || isDev === true || bootstrapExpect === 1) return bootstrapAlone(raft, nodeId, address);
    if (bootstrapExpect < 2 || raft.hasState()) return;
    this.#bootstrap = new ExpectBootstrap({
      ownId: nodeId,
      expect: bootstrapExpect,
      raft,
      env,
      log,
      servers: () => this.#core().datacenters.localServers(),
      peersOf: (peer) => this.#peersOf(peer),
    });
    this.#bootstrap.start();
  }

  async #peersOf(address: string): Promise<readonly string[]> {
    const options: ReadOptions = { datacenter: '', token: '', consistency: 'default' };
    const call = readCall('read', statusPeers.name, {}, options, false);
    const { signal, ...request } = call;
    const reply = await this.#pool.call(
      address,
      { ...request, isForwarded: true, traceparent: undefined },
      signal,
    );
    const value = reply.kind === 'read' ? reply.reply.value : undefined;
    if (!Array.isArray(value)) throw new ConsulError('internal', 500, 'unexpected answer from peer');
    return value.map(String);
  }

  #followMembers(): void {
    const { datacenter, env, lan, log, wan } = this.#o;
    for (const member of lan.members()) {
      const server = serverMember(member);
      if (server?.status === 'alive') log.info('Adding LAN server', { server: describeServer(server) });
    }
    this.#unsubscribe = lan.subscribe((event) => this.#onGossip(event));
    if (wan === undefined) return;
    this.#flood = new WanFlood({ datacenter, lan, wan, env, log });
    void this.#flood.flood();
  }

  #onGossip(event: GossipEvent): void {
    const { log } = this.#o;
    if (event.kind === 'user') return;
    const servers = event.members.map(serverMember).filter((server) => server !== undefined);
    for (const server of servers) {
      if (event.kind === 'member-join') log.info('Adding LAN server', { server: describeServer(server) });
      else if (event.kind !== 'member-update')
        log.info('Removing LAN server', { server: describeServer(server) });
    }
    if (servers.length === 0) return;
    void this.#bootstrap?.check();
    if (event.kind === 'member-join') void this.#flood?.flood();
  }

  #core(): ServerCore {
    return this.#runningNow().core;
  }

  #runningNow(): Running {
    if (this.#running === undefined) throw new ConsulError('shutting-down', 500, 'server is not running');
    return this.#running;
  }
}

/** Where gossip shows the server with this id alive, `host:port`. */
function liveAddress(lan: MemberView, id: string): string | undefined {
  const member = lan.members().find(({ status, tags }) => status === 'alive' && tags.id === id);
  return member === undefined ? undefined : serverMember(member)?.address;
}

function readCall(
  kind: ReadKind,
  name: string,
  args: unknown,
  options: ReadOptions,
  pretty: boolean,
): ReadCall {
  return {
    kind,
    name,
    args,
    datacenter: options.datacenter,
    token: options.token,
    consistency: options.consistency,
    maxStaleMs: options.maxStaleMs,
    minIndex: options.minIndex ?? 0,
    waitMs: options.waitMs ?? 0,
    pretty,
    isForwarded: false,
    signal: options.signal,
  };
}
