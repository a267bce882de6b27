/** The agents of a simulated cluster: real servers and client agents on simulated machines, each life with fresh memory. */

import type { GossipPool } from '../../../node/gossip/types.ts';
import type { AgentApi, PoolAgent } from '../../../node/http/agent-api.ts';
import { AgentCache } from '../../../node/http/agent-cache.ts';
import { createDispatcher, type Dispatcher } from '../../../node/http/dispatch.ts';
import { DEFAULT_HTTP_CONFIG } from '../../../node/http/options.ts';
import { Router } from '../../../node/http/router.ts';
import { ROUTES } from '../../../node/http/routes/table.ts';
import { Waits } from '../../../node/http/waits.ts';
import type { PlantedBug } from '../../../node/raft/core/options.ts';
import { createRaftNode } from '../../../node/raft/raft-node.ts';
import type { RaftNode, StateMachine } from '../../../node/raft/types.ts';
import { SimulatedDisk } from '../../../node/raft/wal/simulated-disk.ts';
import type { Backend } from '../../../node/rpc/backend.ts';
import { createClientBackend } from '../../../node/rpc/client-backend.ts';
import { statusLeader } from '../../../node/rpc/endpoints.ts';
import type { Server } from '../../../node/server/options.ts';
import { createServer } from '../../../node/server/server.ts';
import { clientTags, serverTags } from '../../../node/server/testing/fake-gossip.ts';
import { type Env, type Random, randomUuid } from '../../../shared/env.ts';
import { ConsulError } from '../../../shared/errors.ts';
import { createLogger, formatLogLine, type Logger, silentLogger } from '../../../shared/log.ts';
import type { SimulatedClock } from '../../../shared/simulated-env.ts';
import { DEFAULT_AUTOPILOT } from '../../../shared/types/autopilot.ts';
import type { Host } from './host.ts';
import { HTTP_PORT, type HttpNetwork } from './http.ts';
import type { PoolOracle } from './pool-view.ts';
import type { SocketNetwork } from './sockets.ts';

/** What all agents of one world share. */
export interface Surroundings {
  readonly clock: SimulatedClock;
  readonly random: Random;
  readonly sockets: SocketNetwork;
  readonly http: HttpNetwork;
  readonly oracle: PoolOracle;
  readonly sizes: RaftSizes;
  readonly plantedBug: PlantedBug | undefined;
  readonly log: ((line: string) => void) | undefined;
}

/** Chosen small, so that files change, snapshots are taken and logs are cut within seconds. */
export interface RaftSizes {
  readonly segmentBytes: number;
  readonly snapshotThreshold: number;
  readonly snapshotIntervalMs: number;
  readonly trailingLogs: number;
  readonly maxEntriesPerAppend: number;
}

export interface ServerObserver {
  /** A command was applied by this server. */
  applied(server: ServerAgent, index: number, data: Uint8Array): void;
  /** The state was replaced by a snapshot. */
  restored(server: ServerAgent): void;
  /** Raft cannot go on; `error` says why. */
  failed(server: ServerAgent, error: Error): void;
}

const RPC_PORT = 8300;
/** Consul's bounds divided by ten, so that sessions end and dead servers go within the time of a history. */
const SESSION_TTL_MIN_MS = 1000;
const RECONCILE_MS = 6000;
export const SESSION_TTL_MS = 1000;
export const USUAL_DISK_MS = 0.3;

/** A server over all its lives. Invariant: `machine` and `server` belong to the current life. */
export class ServerAgent {
  readonly host: Host;
  readonly disk: SimulatedDisk;
  /** How long its disk takes at most; may be changed at any time. */
  readonly disks = { maxDelayMs: USUAL_DISK_MS };
  readonly #around: Surroundings;
  readonly #observer: ServerObserver;
  readonly #expect: number;
  readonly peer: { readonly id: string };
  #server: Server | undefined;
  #machine: StateMachine | undefined;
  /** For which state `machine` stands. */
  appliedIndex = 0;
  isReady = false;

  constructor(host: Host, around: Surroundings, observer: ServerObserver, expect: number) {
    this.host = host;
    this.#around = around;
    this.#observer = observer;
    this.#expect = expect;
    this.peer = { id: randomUuid(around.random) };
    const { disks } = this;
    this.disk = new SimulatedDisk({
      clock: around.clock,
      random: around.random,
      get maxDelayMs() {
        return disks.maxDelayMs;
      },
    });
  }

  get life(): number {
    return this.host.life;
  }

  get node(): RaftNode | undefined {
    return this.isReady ? this.#server?.raft : undefined;
  }

  get machine(): StateMachine | undefined {
    return this.isReady ? this.#machine : undefined;
  }

  get isLeader(): boolean {
    return this.isReady && this.#server?.isLeader() === true;
  }

  /** Begins a new life. @param failed told when the server could not start */
  boot(): void {
    const { host } = this;
    const { http, oracle, sockets, sizes } = this.#around;
    const env = host.boot();
    const { life } = host;
    this.isReady = false;
    this.appliedIndex = 0;
    const tags = { ...serverTags(this.peer.id, RPC_PORT, this.#expect), ...httpTag(host) };
    const lan = oracle.join(host, member(host, tags));
    const server = createServer({
      nodeName: host.name,
      nodeId: this.peer.id,
      datacenter: 'dc1',
      bindAddress: host.ip,
      rpcPort: RPC_PORT,
      advertiseAddress: host.ip,
      dataDir: 'data',
      bootstrap: false,
      bootstrapExpect: this.#expect,
      raft: { multiplier: 1, ...sizes },
      lan,
      wan: undefined,
      env,
      log: logOf(host, 'agent.server', this.#around),
      autopilot: { ...DEFAULT_AUTOPILOT, ServerStabilizationTime: 500 },
      sessionTtlMinMs: SESSION_TTL_MIN_MS,
      reconcileIntervalMs: RECONCILE_MS,
      onFatal: (error) => {
        if (host.life === life) this.#observer.failed(this, error);
      },
      platform: {
        network: sockets.of(host),
        createRaft: (options) =>
          createRaftNode({
            ...options,
            stateMachine: this.#observed(options.stateMachine, life),
            disk: this.disk.connect(),
            plantedBug: this.#around.plantedBug,
            segmentBytes: sizes.segmentBytes,
            maxEntriesPerAppend: sizes.maxEntriesPerAppend,
            endOfTurn: (run) => void env.clock.setTimer(0, run),
          }),
      },
    });
    this.#server = server;
    server.start().then(
      () => {
        if (host.life !== life) return;
        this.isReady = true;
        http.listen(host, dispatcherOf(host, server, lan, env, this.#around));
      },
      (error: unknown) => {
        if (host.life === life)
          this.#observer.failed(this, error instanceof Error ? error : new Error(String(error)));
      },
    );
  }

  /** The process ends at once. */
  end(): void {
    this.isReady = false;
    this.#server = undefined;
    endProcess(this.host, this.#around);
    this.disk.crash();
  }

  #observed(inner: StateMachine, life: number): StateMachine {
    this.#machine = inner;
    const isCurrent = () => this.host.life === life;
    return {
      apply: (data, index, term) => {
        const result = inner.apply(data, index, term);
        if (isCurrent()) {
          this.appliedIndex = index;
          this.#observer.applied(this, index, data);
        }
        return result;
      },
      applied: (lastIndex) => {
        if (isCurrent()) this.appliedIndex = lastIndex;
        inner.applied(lastIndex);
      },
      snapshot: () => inner.snapshot(),
      restore: async (chunks) => {
        await inner.restore(chunks);
        if (isCurrent()) this.#observer.restored(this);
      },
    };
  }
}

/** An agent without state of its own. */
export class ClientAgent {
  readonly host: Host;
  readonly #around: Surroundings;

  constructor(host: Host, around: Surroundings) {
    this.host = host;
    this.#around = around;
  }

  boot(): void {
    const { host } = this;
    const { http, oracle, random, sockets } = this.#around;
    const env = host.boot();
    const tags = { ...clientTags(randomUuid(random)), ...httpTag(host) };
    const lan = oracle.join(host, member(host, tags));
    const backend = createClientBackend({
      datacenter: 'dc1',
      lan,
      env,
      log: logOf(host, 'agent.client', this.#around),
      network: sockets.of(host),
    });
    backend.start();
    http.listen(host, dispatcherOf(host, backend, lan, env, this.#around));
  }

  end(): void {
    endProcess(this.host, this.#around);
  }
}

/** What the machine does when a process on it ends, or when it starts again. */
export function endProcess(host: Host, { http, sockets }: Surroundings): void {
  host.end();
  sockets.ended(host);
  http.ended(host);
}

export function announceRestart(host: Host, { http, sockets }: Surroundings): void {
  sockets.restarted(host);
  http.restarted(host);
}

function member(host: Host, tags: Readonly<Record<string, string>>) {
  const versions = [1, 5, 2, 2, 5, 4] as const;
  return { name: host.name, address: host.ip, port: 8301, tags, status: 'alive', versions } as const;
}

function httpTag(host: Host): Record<string, string> {
  return { pc_http: `${host.ip}:${HTTP_PORT}` };
}

export function logOf(host: Host, name: string, { clock, log }: Surroundings): Logger {
  if (log === undefined) return silentLogger;
  const sink = {
    wants: () => true,
    write: (record: Parameters<typeof formatLogLine>[0]) =>
      log(`${host.name}: ${formatLogLine(record).slice(25)}`),
  };
  return createLogger(name, [sink], () => clock.nowMs());
}

function dispatcherOf(
  host: Host,
  backend: Backend,
  lan: GossipPool,
  env: Env,
  around: Surroundings,
): Dispatcher {
  const agent: Pick<AgentApi, 'pool'> = { pool: () => listPool(backend, lan) };
  const dependencies = {
    backend,
    // Only what the gateway asks of an agent is there; local services and checks are not simulated.
    agent: agent as AgentApi,
    env,
    log: logOf(host, 'agent.http', around),
    compileFilter: () => () => true,
  };
  const config = { ...DEFAULT_HTTP_CONFIG, nodeName: host.name };
  return createDispatcher(new Router(ROUTES), dependencies, config, {
    waits: new Waits(),
    cache: new AgentCache(env),
  });
}

async function listPool(backend: Backend, lan: GossipPool): Promise<readonly PoolAgent[]> {
  const options = { datacenter: '', token: '', consistency: 'stale' } as const;
  const leader = await backend.read(statusLeader, {}, options).then(
    ({ value }) => value,
    (error: unknown) => {
      if (error instanceof ConsulError) return '';
      throw error;
    },
  );
  return lan.members().map(({ address, name, status, tags }) => ({
    node: name,
    id: tags.id ?? '',
    role: tags.role === 'consul' ? 'server' : 'client',
    status,
    httpAddress: `http://${tags.pc_http}`,
    isLeader: leader === `${address}:${tags.port}`,
  }));
}
