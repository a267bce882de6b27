/** The agent as its HTTP routes see it: local services, membership, and what it knows about itself. */

import type { Env } from '../../shared/env.ts';
import { ConsulError, refused } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Metrics } from '../../shared/metrics.ts';
import { CONSUL_API_VERSION } from '../../shared/types/v1.ts';
import type { Config } from '../config/config.ts';
import type { GossipMember, GossipPool } from '../gossip/types.ts';
import type { AgentApi, PoolAgent } from '../http/agent-api.ts';
import { statusLeader } from '../rpc/endpoints.ts';
import { HTTP_ADDRESS_TAG } from '../rpc/server-members.ts';
import type { Core } from './agent.ts';
import type { EventLog } from './events/event-log.ts';
import { fireUserEvent } from './events/fire-event.ts';
import { hostFacts } from './host/host-facts.ts';
import { keyringOperation } from './keyring.ts';
import type { LocalAgent } from './local/types.ts';
import type { MonitorSink } from './logging/monitor-sink.ts';
import type { Pools } from './pools.ts';
import { buildStats, debugConfig, runtimeStats, type Stats, toApiMember } from './self.ts';

export interface AgentApiParts {
  readonly config: Config;
  readonly nodeId: string;
  readonly env: Env;
  readonly log: Logger;
  readonly pools: Pools;
  readonly core: Core;
  readonly local: LocalAgent;
  readonly monitor: MonitorSink;
  readonly events: EventLog;
  readonly metrics: Metrics;
  readonly reload: () => Promise<void>;
  readonly leave: () => void;
}

export function createAgentApi(parts: AgentApiParts): AgentApi {
  const { config, nodeId, env, pools, core, local } = parts;

  function stats(): Stats {
    const agent = Object.entries(local.stats()).map(([key, value]): [string, string] => [key, String(value)]);
    return {
      agent: Object.fromEntries(agent),
      build: buildStats(),
      ...core.stats(),
      runtime: runtimeStats(),
      serf_lan: pools.lan.stats(),
    };
  }

  return {
    self: () => ({
      config: {
        datacenter: config.datacenter,
        nodeName: config.nodeName,
        nodeId,
        revision: '',
        isServer: config.isServer,
        version: CONSUL_API_VERSION,
      },
      debugConfig: debugConfig(config, nodeId),
      coordinate: config.disableCoordinates ? null : pools.lan.coordinate(),
      member: toApiMember(pools.lan.localMember()),
      stats: stats(),
      meta: { ...config.nodeMeta, 'consul-network-segment': '' },
    }),
    members(wan) {
      if (!wan) return pools.lan.members().map(toApiMember);
      return pools.wan === undefined ? null : pools.wan.members().map(toApiMember);
    },
    async pool() {
      const leader = await leaderAddress(core);
      return pools.lan.members().map((member) => poolAgent(member, leader));
    },
    async join(address, wan) {
      if (wan && !config.isServer) throw refused('Must be a server to join WAN cluster');
      const pool = wan ? pools.wan : pools.lan;
      if (pool === undefined) throw refused('WAN join is disabled');
      parts.log.info(wan ? '(WAN) joining' : '(LAN) joining', {
        [wan ? 'wan_addresses' : 'lan_addresses']: `[${address}]`,
      });
      const joined = await asRefusal(() => pool.join([address], true));
      parts.log.info(wan ? '(WAN) joined' : '(LAN) joined', { number_of_nodes: joined });
    },
    async leave() {
      parts.leave();
    },
    forceLeave: (node, prune) => forceLeave(pools, node, prune),
    reload: () => asRefusal(parts.reload),

    services: () => local.services(),
    checks: () => local.checks(),
    onServiceChange: (serviceId, changed) => local.onServiceChange(serviceId, changed),
    registerService: (definition, { replaceExistingChecks, isFloating }) =>
      local.registerService(definition, { source: 'api', replaceExistingChecks, isFloating }),
    deregisterService: (serviceId, { isFloating }) => local.deregisterService(serviceId, { isFloating }),
    registerCheck: (definition) => local.registerCheck(definition, { source: 'api' }),
    deregisterCheck: (checkId) => local.deregisterCheck(checkId),
    updateTtl: (checkId, status, output) => local.updateTtl(checkId, status, output),
    setNodeMaintenance: (enable, reason) => local.setNodeMaintenance(enable, reason),
    setServiceMaintenance: (serviceId, enable, reason) =>
      local.setServiceMaintenance(serviceId, enable, reason),

    fireEvent: (event, options) => fireUserEvent(core.backend, env.random, event, options),
    events: () => parts.events.list(),
    onEvent: (arrived) => parts.events.onNext(arrived),

    saveSnapshot: (options) => core.snapshots.saveSnapshot(options),
    restoreSnapshot: (options, archive) => core.snapshots.restoreSnapshot(options, archive),

    keyring(args, isLocalOnly, token) {
      const { datacenter, isServer } = config;
      const keyring = { isServer, datacenter, pools, backend: core.backend };
      return asRefusal(() => keyringOperation(keyring, args, isLocalOnly, token));
    },

    monitor: (level, receive) => parts.monitor.subscribe(level, receive),
    metrics: () => parts.metrics.report(),
    prometheusMetrics: () => (parts.metrics.isPrometheusOn ? parts.metrics.prometheusText() : undefined),
    host: () => hostFacts(config.dataDir, env.clock),
  };
}

/** RPC address of the leader; '' while there is none or no server can say. */
async function leaderAddress(core: Core): Promise<string> {
  try {
    const options = { datacenter: '', token: '', consistency: 'stale' } as const;
    return (await core.backend.read(statusLeader, {}, options)).value;
  } catch (error) {
    // Without a server in reach nobody is known to lead; the member list is still worth having.
    if (error instanceof ConsulError) return '';
    throw error;
  }
}

function poolAgent(member: GossipMember, leader: string): PoolAgent {
  const isServer = member.tags.role === 'consul';
  const http = member.tags[HTTP_ADDRESS_TAG];
  const host = member.address.includes(':') ? `[${member.address}]` : member.address;
  return {
    node: member.name,
    id: member.tags.id ?? '',
    role: isServer ? 'server' : 'client',
    status: member.status,
    httpAddress: http === undefined ? '' : `http://${http}`,
    isLeader: isServer && leader !== '' && leader === `${host}:${member.tags.port}`,
  };
}

async function forceLeave(pools: Pools, node: string, prune: boolean): Promise<void> {
  const knows = (pool: GossipPool | undefined) =>
    pool?.members().some((member) => member.name === node) ?? false;
  const known = [pools.lan, pools.wan].filter((pool) => pool !== undefined && knows(pool));
  if (known.length === 0) throw refused(`agent: No node found with name '${node}'`);
  for (const pool of known) await asRefusal(async () => pool?.forceLeave(node, prune));
}

/** Failures of gossip and configuration are plain errors; clients see their text with status 500. */
async function asRefusal<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof ConsulError
      ? error
      : refused(error instanceof Error ? error.message : String(error));
  }
}
