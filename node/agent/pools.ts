/** The agent's gossip pools: LAN for every agent, WAN for servers. */

import { join } from 'node:path';
import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { Metrics } from '../../shared/metrics.ts';
import { inNetworks } from '../config/cidr.ts';
import type { Config, GossipTuning } from '../config/config.ts';
import { createGossipPool, type KeyedGossipPool } from '../gossip/gossip-pool.ts';
import { LAN_TIMERS, WAN_TIMERS } from '../gossip/timers.ts';
import { createSocketTransport } from '../gossip/transport.ts';
import type { GossipConfig, GossipTimers } from '../gossip/types.ts';
import { countingTransport } from './counting-transport.ts';
import { lanTags, wanTags } from './gossip-tags.ts';
import { lanMergeProblem, wanMergeProblem } from './merge-check.ts';

export interface Pools {
  readonly lan: KeyedGossipPool;
  /** undefined on clients and where `ports.serf_wan` is off. */
  readonly wan: KeyedGossipPool | undefined;
}

/** @param log `agent.server` or `agent.client` */
export function createPools(config: Config, nodeId: string, env: Env, metrics: Metrics, log: Logger): Pools {
  const transport = () => countingTransport(createSocketTransport(env.clock), metrics);
  const create = (pool: GossipConfig) => createGossipPool(pool, { env, log, transport: transport() });
  const lan = create(lanConfig(config, nodeId));
  const hasWan = config.isServer && config.ports.serfWan > 0;
  const wan = hasWan ? create(wanConfig(config, nodeId)) : undefined;
  return { lan, wan };
}

function lanConfig(config: Config, nodeId: string): GossipConfig {
  const self = { nodeName: config.nodeName, nodeId, datacenter: config.datacenter };
  return {
    ...commonConfig(config),
    pool: 'lan',
    nodeName: config.nodeName,
    bindAddress: config.serfLanBind,
    bindPort: config.ports.serfLan,
    advertiseAddress: config.advertiseAddress,
    advertisePort: config.ports.serfLan,
    tags: lanTags(config, nodeId),
    timers: tuned(LAN_TIMERS, config.gossipLan, config.reconnectTimeoutMs),
    snapshotPath: dataFile(config, 'local.snapshot'),
    keyringPath: keyringFile(config, 'local.keyring'),
    mergeCheck: (members) => lanMergeProblem(self, members),
    isAllowedAddress: allowed(config.serfLanAllowedCidrs),
  };
}

function wanConfig(config: Config, nodeId: string): GossipConfig {
  return {
    ...commonConfig(config),
    pool: 'wan',
    nodeName: `${config.nodeName}.${config.datacenter}`,
    bindAddress: config.serfWanBind,
    bindPort: config.ports.serfWan,
    advertiseAddress: config.advertiseAddressWan,
    advertisePort: config.ports.serfWan,
    tags: wanTags(config, nodeId),
    timers: tuned(WAN_TIMERS, config.gossipWan, config.reconnectTimeoutWanMs),
    snapshotPath: dataFile(config, 'remote.snapshot'),
    keyringPath: keyringFile(config, 'remote.keyring'),
    mergeCheck: (members) => wanMergeProblem(members),
    isAllowedAddress: allowed(config.serfWanAllowedCidrs),
  };
}

function commonConfig(config: Config) {
  return {
    keys: config.encrypt === '' ? [] : [Buffer.from(config.encrypt, 'base64')],
    encryptVerifyIncoming: config.encryptVerifyIncoming,
    encryptVerifyOutgoing: config.encryptVerifyOutgoing,
    rejoinAfterLeave: config.rejoinAfterLeave,
  };
}

function allowed(networks: readonly string[]): ((address: string) => boolean) | undefined {
  return networks.length === 0 ? undefined : inNetworks(networks);
}

function tuned(profile: GossipTimers, tuning: GossipTuning, reconnectTimeoutMs: number): GossipTimers {
  return { ...profile, ...tuning, reconnectTimeoutMs };
}

function dataFile(config: Config, name: string): string | undefined {
  return config.dataDir === '' ? undefined : join(config.dataDir, 'serf', name);
}

function keyringFile(config: Config, name: string): string | undefined {
  return config.disableKeyringFile ? undefined : dataFile(config, name);
}
