/** The composition root: one agent, server or client, built from its configuration. */

import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { Metrics } from '../../shared/metrics.ts';
import { metricsDump } from '../../shared/metrics-dump.ts';
import type { Config } from '../config/config.ts';
import { type HttpServer, startHttpServer } from '../http/http-server.ts';
import type { Backend } from '../rpc/backend.ts';
import { createClientBackend } from '../rpc/client-backend.ts';
import type { RateLimit } from '../rpc/rate-limiter.ts';
import { createSnapshotClient } from '../rpc/snapshot-client.ts';
import type { SnapshotAccess } from '../rpc/snapshots.ts';
import { createServer } from '../server/server.ts';
import { createAgentApi } from './agent-api.ts';
import {
  collectPool,
  collectPoolStats,
  collectRuntime,
  createMetrics,
  metricsFilter,
} from './agent-metrics.ts';
import { ensureDataDir, startFailure } from './data-dir.ts';
import { DataDirInUseError, type DataDirLock, lockDataDir } from './data-dir-lock.ts';
import { type AgentDns, startAgentDns } from './dns.ts';
import { createEventLog } from './events/event-log.ts';
import { compileFilter } from './filters.ts';
import { createJoiner } from './joining.ts';
import { createLocalAgent } from './local/local-agent.ts';
import type { LocalAgent } from './local/types.ts';
import type { MonitorSink } from './logging/monitor-sink.ts';
import { resolveNodeId } from './node-id.ts';
import { createPools, type Pools } from './pools.ts';
import { createRemoteExec } from './remote-exec/remote-exec.ts';
import type { Stats } from './self.ts';
import { httpConfig, listenAddresses, raftSettings, rpcRateLimit, taggedAddresses } from './settings.ts';
import { startTelemetrySinks } from './telemetry/sinks.ts';
import { loadUiAssets } from './ui-assets.ts';
import { uiFolder } from './ui-folder.ts';

/** What differs between a server and a client behind the same agent. */
export interface Core {
  readonly backend: Backend;
  readonly snapshots: SnapshotAccess;
  start(): Promise<void>;
  /** Announces the departure and waits until it is known (bounded). */
  leave(): Promise<void>;
  stop(): Promise<void>;
  /** Sections of `info` beyond those of every agent. */
  stats(): Stats;
  /** RPC address of the leader as far as this agent knows without asking. */
  isLeader(): boolean;
  /** Limits what this agent asks of servers; a server needs to ask none. */
  setRpcRate(limit: RateLimit): void;
}

export interface AgentOptions {
  readonly config: Config;
  readonly env: Env;
  /** `agent`. */
  readonly log: Logger;
  readonly monitor: MonitorSink;
  /** Reads flags and files again. @throws ConfigError */
  readonly reloadConfig: () => Config;
  /** Takes up what a reload changes outside of the agent: log level and watches. @throws Error when a watch makes no sense */
  readonly onReloaded: (config: Config) => void;
  /** The agent cannot go on; the process must end with code 1. */
  readonly onFatal: (error: Error) => void;
  /** `PUT /v1/agent/leave` was called: leave, then end with code 0. */
  readonly onLeaveRequested: () => void;
}

export interface Agent {
  readonly nodeId: string;
  /** Binds everything, joins, and resolves when requests are served. */
  start(): Promise<void>;
  leave(): Promise<void>;
  shutdown(): Promise<void>;
  reload(): Promise<void>;
  /** Everything counted in the last minute, a line each. */
  metricsDump(): string;
}

/** @throws Error when the data directory is unusable */
export function createAgent(options: AgentOptions): Agent {
  const { config, env, log } = options;
  const dataDir = config.dataDir === '' ? undefined : config.dataDir;
  if (dataDir !== undefined) ensureDataDir(dataDir);
  const nodeId = ownNodeId(dataDir, config.nodeId, env);
  const metrics = createMetrics(config.telemetry);
  const pools = createPools(config, nodeId, env, metrics, log.named(config.isServer ? 'server' : 'client'));
  const core = config.isServer
    ? createServerCore(options, nodeId, pools, metrics)
    : createClientCore(options, pools, metrics);
  const local = createLocal(options, nodeId, pools, core);
  const { nodeName } = config;
  const remoteExec = config.disableRemoteExec
    ? undefined
    : createRemoteExec({ nodeName, backend: core.backend, env, log });
  const execute = remoteExec?.run;
  const events = createEventLog({ nodeName, services: () => local.services(), execute, log });
  pools.lan.subscribe((event) => events.hear(event));
  for (const pool of [pools.lan, pools.wan]) if (pool !== undefined) collectPool(metrics, pool);
  const stopMetrics: (() => void)[] = [];
  const joiners = [createJoiner(pools.lan, 'LAN', config.lanJoin, env.clock, log)];
  if (pools.wan !== undefined) joiners.push(createJoiner(pools.wan, 'WAN', config.wanJoin, env.clock, log));
  let http: HttpServer | undefined;
  let dns: AgentDns | undefined;
  let lock: DataDirLock | undefined;

  const agent: Agent = {
    nodeId,
    async start() {
      if (dataDir !== undefined) lock = await takeDataDir(dataDir, env, log);
      stopMetrics.push(startTelemetrySinks(config.telemetry, metrics, env.clock, log));
      try {
        await pools.lan.start();
        await pools.wan?.start();
        await core.start();
        await local.start({ services: config.services, checks: config.checks });
      } catch (error) {
        throw startFailure(dataDir, error);
      }
      stopMetrics.push(collectRuntime(metrics), metrics.start(env.clock));
      collectPoolStats(metrics, pools.lan);
      dns = await startAgentDns(config, core.backend, env, metrics, log);
      http = await startHttp(options, core.backend, api, metrics);
      log.info('started state syncer');
      for (const joiner of joiners) await joiner.startJoin();
      for (const joiner of joiners) joiner.startRetrying(options.onFatal);
      void pools.lan.rejoinFromSnapshot();
      void pools.wan?.rejoinFromSnapshot();
    },
    async leave() {
      for (const joiner of joiners) joiner.stop();
      await core.leave();
    },
    async shutdown() {
      log.info('Requesting shutdown');
      for (const stop of stopMetrics.splice(0)) stop();
      for (const joiner of joiners) joiner.stop();
      remoteExec?.stop();
      await local.stop();
      await core.stop();
      await pools.lan.shutdown();
      await pools.wan?.shutdown();
      for (const address of http?.addresses ?? []) {
        log.info('Stopping server', {
          protocol: 'HTTP',
          address: `${address.host}:${address.port}`,
          network: 'tcp',
        });
      }
      await dns?.close();
      await http?.close();
      await lock?.release();
      log.info('Endpoints down');
    },
    async reload() {
      const next = options.reloadConfig();
      options.onReloaded(next);
      local.pauseSync();
      try {
        await local.reloadDefinitions({ services: next.services, checks: next.checks });
        local.setNodeMeta(next.nodeMeta);
        local.setDiscardCheckOutput(next.discardCheckOutput);
        dns?.reload(next);
        core.setRpcRate(rpcRateLimit(next));
        http?.setMaxConnectionsPerClient(next.http.maxConnsPerClient);
        metrics.setFilter(metricsFilter(next.telemetry));
      } finally {
        local.resumeSync();
      }
    },
    metricsDump: () => metricsDump(metrics.reports()),
  };
  const api = createAgentApi({
    config,
    nodeId,
    env,
    log,
    pools,
    core,
    local,
    monitor: options.monitor,
    events,
    metrics,
    reload: agent.reload,
    leave: options.onLeaveRequested,
  });
  return agent;
}

function ownNodeId(dataDir: string | undefined, configured: string, env: Env): string {
  try {
    return resolveNodeId(dataDir, configured, env.random);
  } catch (error) {
    throw startFailure(dataDir, error);
  }
}

/** @throws DataDirInUseError. A file system on which nothing can be locked is only worth a warning */
async function takeDataDir(dataDir: string, env: Env, log: Logger): Promise<DataDirLock | undefined> {
  try {
    return await lockDataDir(dataDir, env);
  } catch (error) {
    if (error instanceof DataDirInUseError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    log.warn('data_dir could not be locked: make sure that no other agent uses it', { error: text });
    return undefined;
  }
}

function createServerCore(options: AgentOptions, nodeId: string, pools: Pools, metrics: Metrics): Core {
  const { config, env, log } = options;
  const server = createServer({
    nodeName: config.nodeName,
    nodeId,
    datacenter: config.datacenter,
    bindAddress: config.bindAddress,
    rpcPort: config.ports.server,
    advertiseAddress: config.advertiseAddress,
    dataDir: config.dataDir === '' ? undefined : config.dataDir,
    bootstrap: config.bootstrap,
    isDev: config.isDev,
    bootstrapExpect: config.bootstrapExpect,
    raft: raftSettings(config),
    lan: pools.lan,
    wan: pools.wan,
    env,
    log: log.named('server'),
    rpcHoldTimeoutMs: config.rpcHoldTimeoutMs,
    sessionTtlMinMs: config.sessionTtlMinMs,
    floatingMoveAfterMs: config.floatingMoveAfterMs,
    leaveDrainMs: config.leaveDrainTimeMs,
    autopilot: config.autopilot,
    metrics,
    onFatal: options.onFatal,
  });
  return {
    backend: server,
    snapshots: server,
    start: () => server.start(),
    leave: () => server.leave(),
    stop: () => server.stop(),
    stats: () => ({ ...server.stats(), serf_wan: pools.wan?.stats() ?? {} }),
    isLeader: () => server.isLeader(),
    setRpcRate: () => undefined,
  };
}

function createClientCore(options: AgentOptions, pools: Pools, metrics: Metrics): Core {
  const { config, env, log } = options;
  const client = createClientBackend({
    datacenter: config.datacenter,
    lan: pools.lan,
    env,
    log: log.named('client'),
    metrics,
    rpcHoldTimeoutMs: config.rpcHoldTimeoutMs,
    rateLimit: rpcRateLimit(config),
  });
  const snapshots = createSnapshotClient({
    servers: () => client.serverAddresses(),
    env,
    holdMs: config.rpcHoldTimeoutMs,
  });
  return {
    backend: client,
    snapshots,
    start: async () => client.start(),
    leave: () => pools.lan.leave(),
    stop: async () => client.stop(),
    stats: () => ({
      consul: { acl: 'disabled', known_servers: String(client.knownServers()), server: 'false' },
    }),
    isLeader: () => false,
    setRpcRate: (limit) => client.setRateLimit(limit),
  };
}

function createLocal(options: AgentOptions, nodeId: string, pools: Pools, core: Core): LocalAgent {
  const { config, env, log } = options;
  const aliveMembers = () => pools.lan.members().filter((member) => member.status === 'alive').length;
  const local = createLocalAgent({
    nodeName: config.nodeName,
    nodeId,
    nodeAddress: config.advertiseAddress,
    taggedAddresses: taggedAddresses(config),
    nodeMeta: config.nodeMeta,
    datacenter: config.datacenter,
    dataDir: config.dataDir === '' ? undefined : config.dataDir,
    backend: core.backend,
    env,
    log,
    clusterSize: () => Math.max(1, aliveMembers()),
    enableScriptChecks: config.enableScriptChecks,
    enableLocalScriptChecks: config.enableLocalScriptChecks,
    checkOutputMaxSize: config.checkOutputMaxSize,
    checkUpdateIntervalMs: config.checkUpdateIntervalMs,
    discardCheckOutput: config.discardCheckOutput,
    sidecarPorts: { min: config.ports.sidecarMin, max: config.ports.sidecarMax },
    coordinate: config.disableCoordinates ? undefined : () => pools.lan.coordinate(),
    coordinateDelayMs: config.coordinateDelayMs,
  });
  pools.lan.subscribe((event) => {
    const hasServer =
      event.kind === 'member-join' && event.members.some((member) => member.tags.role === 'consul');
    const isNewLeader = event.kind === 'user' && event.name === 'consul:new-leader';
    if (isNewLeader)
      log.named('server').info('New leader elected', { payload: Buffer.from(event.payload).toString() });
    if (hasServer || isNewLeader) local.serverJoined();
  });
  return local;
}

async function startHttp(
  options: AgentOptions,
  backend: Backend,
  api: ReturnType<typeof createAgentApi>,
  metrics: Metrics,
): Promise<HttpServer | undefined> {
  const { config, env, log } = options;
  if (config.ports.http <= 0) return undefined;
  const settings = httpConfig(config);
  const builtIn = () => loadUiAssets(settings.uiContentPath, log);
  const uiAssets = config.uiDir === '' ? builtIn : () => uiFolder(config.uiDir);
  const server = await startHttpServer({
    listen: listenAddresses(config),
    dependencies: { backend, agent: api, env, metrics, log: log.named('http'), compileFilter },
    config: { ...settings, uiAssets: settings.uiEnabled ? uiAssets() : undefined },
  });
  for (const address of server.addresses) {
    log.info('Started HTTP server', { address: `${address.host}:${address.port}`, network: 'tcp' });
  }
  return server;
}
