/** What the agent tells about itself: `/v1/agent/self`, `info`, host facts and metrics. */

import { isIPv6 } from 'node:net';
import os from 'node:os';
import { formatDurationMs } from '../../shared/durations.ts';
import { CONSUL_API_VERSION, type Member } from '../../shared/types/v1.ts';
import type { Config, HostPort } from '../config/config.ts';
import { type GossipMember, MEMBER_STATUS_NUMBER } from '../gossip/types.ts';
import { visibleTags } from './gossip-tags.ts';
import { taggedAddresses } from './settings.ts';

export type Stats = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** A gossip member in the API's form; tags of our own are left out. */
export function toApiMember(member: GossipMember): Member {
  const [protocolMin, protocolMax, protocolCur, delegateMin, delegateMax, delegateCur] = member.versions;
  return {
    Name: member.name,
    Addr: member.address,
    Port: member.port,
    Tags: visibleTags(member.tags),
    Status: MEMBER_STATUS_NUMBER[member.status],
    ProtocolMin: protocolMin,
    ProtocolMax: protocolMax,
    ProtocolCur: protocolCur,
    DelegateMin: delegateMin,
    DelegateMax: delegateMax,
    DelegateCur: delegateCur,
  };
}

export function buildStats(): Readonly<Record<string, string>> {
  return { prerelease: '', revision: '', version: CONSUL_API_VERSION };
}

/** Section `runtime`; `goroutines` is the number of active libuv handles and requests, the nearest thing here. */
export function runtimeStats(): Readonly<Record<string, string>> {
  return {
    arch: process.arch === 'x64' ? 'amd64' : process.arch,
    cpu_count: String(os.cpus().length),
    goroutines: String(process.getActiveResourcesInfo().length),
    max_procs: String(os.availableParallelism()),
    os: process.platform,
    version: process.version,
  };
}

/** The settings that tools read from `DebugConfig`; secrets are hidden. */
export function debugConfig(config: Config, nodeId: string): Record<string, unknown> {
  return {
    ACLDatacenter: config.primaryDatacenter,
    ACLDefaultPolicy: 'allow',
    ACLsEnabled: false,
    AdvertiseAddrLAN: config.advertiseAddress,
    AdvertiseAddrWAN: config.advertiseAddressWan,
    BindAddr: config.bindAddress,
    Bootstrap: config.bootstrap,
    BootstrapExpect: config.bootstrapExpect,
    CheckOutputMaxSize: config.checkOutputMaxSize,
    CheckUpdateInterval: formatDurationMs(config.checkUpdateIntervalMs),
    ClientAddrs: [...config.clientAddresses],
    DNSAddrs: ['tcp', 'udp'].flatMap((network) => listening(network, config.dnsAddresses, config.ports.dns)),
    DNSDomain: config.domain,
    DNSPort: config.ports.dns,
    DNSRecursors: [...config.recursors],
    DataDir: config.dataDir,
    Datacenter: config.datacenter,
    DevMode: config.isDev,
    EnableDebug: config.enableDebug,
    EnableUI: config.uiEnabled,
    // Hidden whether there is one or not.
    EncryptKey: 'hidden',
    GRPCPort: -1,
    HTTPAddrs: listening('tcp', config.httpAddresses, config.ports.http),
    HTTPPort: config.ports.http,
    KVMaxValueSize: config.kvMaxValueSize,
    LeaveOnTerm: config.leaveOnTerminate,
    Logging: { LogFilePath: config.log.file, LogJSON: config.log.json, LogLevel: config.log.level },
    NodeID: nodeId,
    NodeMeta: { ...config.nodeMeta },
    NodeName: config.nodeName,
    PrimaryDatacenter: config.primaryDatacenter,
    SerfPortLAN: config.ports.serfLan,
    SerfPortWAN: config.ports.serfWan,
    ServerMode: config.isServer,
    ServerPort: config.ports.server,
    SessionTTLMin: formatDurationMs(config.sessionTtlMinMs),
    SkipLeaveOnInt: config.skipLeaveOnInterrupt,
    TaggedAddresses: taggedAddresses(config),
    Telemetry: {
      MetricsPrefix: config.telemetry.prefix,
      DisableHostname: config.telemetry.disableHostname,
      DogstatsdAddr: collectorText(config.telemetry.dogstatsd),
      DogstatsdTags: [...config.telemetry.dogstatsdTags],
      FilterDefault: config.telemetry.filterDefault,
      PrometheusRetentionTime: formatDurationMs(config.telemetry.prometheusRetentionMs),
      StatsdAddr: collectorText(config.telemetry.statsd),
      StatsiteAddr: collectorText(config.telemetry.statsite),
    },
    TxnMaxReqLen: config.txnMaxReqLen,
    Version: CONSUL_API_VERSION,
  };
}

function listening(network: string, addresses: readonly string[], port: number): string[] {
  const hostOf = (address: string) => (isIPv6(address) ? `[${address}]` : address);
  // A unix socket brings its own scheme and has no port.
  return port <= 0
    ? []
    : addresses.map((address) =>
        address.startsWith('unix://') ? address : `${network}://${hostOf(address)}:${port}`,
      );
}

function collectorText(collector: HostPort | undefined): string {
  return collector === undefined ? '' : `${collector.host}:${collector.port}`;
}
