/** The tags that an agent announces in gossip (reference: pools, names and tags), and what others may see of them. */

import { CONSUL_API_VERSION } from '../../shared/types/v1.ts';
import type { Config } from '../config/config.ts';
import { HTTP_ADDRESS_TAG } from '../rpc/server-members.ts';

export function lanTags(config: Config, nodeId: string): Record<string, string> {
  const common = {
    acls: '0',
    build: `${CONSUL_API_VERSION}:`,
    dc: config.datacenter,
    id: nodeId,
    segment: '',
    vsn: '2',
    vsn_max: '3',
    vsn_min: '2',
    ...httpAddressTag(config),
  };
  if (!config.isServer) return { ...common, role: 'node' };
  return {
    ...common,
    ...serverTags(config),
    ...(config.ports.serfWan > 0 ? { wan_join_port: String(config.ports.serfWan) } : {}),
  };
}

export function wanTags(config: Config, nodeId: string): Record<string, string> {
  const { wan_join_port: _lanOnly, [HTTP_ADDRESS_TAG]: _http, ...tags } = lanTags(config, nodeId);
  return tags;
}

/** Tags as `/v1/agent/members` shows them. */
export function visibleTags(tags: Readonly<Record<string, string>>): Record<string, string> {
  const { [HTTP_ADDRESS_TAG]: _own, ...visible } = tags;
  return visible;
}

function serverTags(config: Config): Record<string, string> {
  return {
    role: 'consul',
    port: String(config.ports.server),
    raft_vsn: '3',
    ft_fs: '1',
    ...(config.bootstrap && !config.isDev ? { bootstrap: '1' } : {}),
    ...(config.bootstrapExpect > 0 ? { expect: String(config.bootstrapExpect) } : {}),
  };
}

/** An API that listens on every address is told as the advertised one; a loopback one is of use on this host only. */
function httpAddressTag(config: Config): Record<string, string> {
  const listening = config.httpAddresses[0];
  if (listening === undefined || listening.startsWith('unix://') || config.ports.http <= 0) return {};
  const host =
    listening === '0.0.0.0' || listening === '::' || listening === '[::]'
      ? config.advertiseAddress
      : listening;
  return {
    [HTTP_ADDRESS_TAG]: `${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${config.ports.http}`,
  };
}
