/** What `agent` prints before its log starts. */

import { CONSUL_API_VERSION } from '../../shared/types/v1.ts';
import type { Config } from '../config/config.ts';

/** The lines up to `Log data will now stream in`, labels right-aligned to 18 columns. */
export function startBanner(config: Config, nodeId: string): string {
  const { ports } = config;
  const rows: [label: string, value: string][] = [
    ['Version', `'${CONSUL_API_VERSION}'`],
    ['Node ID', `'${nodeId}'`],
    ['Node name', `'${config.nodeName}'`],
    ['Datacenter', `'${config.datacenter}' (Segment: '${config.isServer ? '<all>' : ''}')`],
    ['Server', `${config.isServer} (Bootstrap: ${config.bootstrap})`],
    [
      'Client Addr',
      `[${config.clientAddresses.join(' ')}] (HTTP: ${ports.http}, HTTPS: ${ports.https}, gRPC: -1, DNS: ${ports.dns})`,
    ],
    ['Cluster Addr', `${config.advertiseAddress} (LAN: ${ports.serfLan}, WAN: ${ports.serfWan})`],
    [
      'Encrypt',
      `Gossip: ${config.encrypt !== ''}, TLS-Outgoing: false, TLS-Incoming: false, Auto-Encrypt-TLS: false`,
    ],
  ];
  const table = rows.map(([label, value]) => `${`${label}:`.padStart(19)} ${value}\n`).join('');
  return `==> Starting Consul agent...\n${table}\n==> Log data will now stream in as it occurs:\n\n`;
}
