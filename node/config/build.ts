/** Turns the merged tree into the validated, frozen `Config`, with Consul's defaults and sentences. */

import { statSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { NS_PER_MS, parseDurationMs } from '../../shared/durations.ts';
import { parseLogLevel } from '../../shared/log.ts';
import { type AutopilotSettings, DEFAULT_AUTOPILOT } from '../../shared/types/autopilot.ts';
import { detectAdvertiseAddress, expandAddress, type Interfaces } from './addresses.ts';
import type {
  Config,
  DnsSettings,
  GossipTuning,
  HostPort,
  JoinSettings,
  LogSettings,
  Ports,
  TelemetrySettings,
} from './config.ts';
import { ConfigError } from './config-error.ts';
import { isTree, listErrors, type Tree } from './decode.ts';
import {
  checkFromTree,
  list,
  number,
  serviceFromTree,
  serviceProblem,
  text,
  textMap,
  texts,
} from './definitions.ts';
import type { LoadedConfig } from './load.ts';
import { locating } from './locate.ts';
import { validateConfig, warningsFor } from './validate.ts';

export interface HostFacts {
  readonly hostname: string;
  readonly interfaces: Interfaces;
  /** Why the path cannot be a data directory, in Consul's sentence; one that does not exist yet is fine. */
  readonly dataDirProblem?: (path: string) => string | undefined;
}

export function realHostFacts(): HostFacts {
  return { hostname: hostname(), interfaces: networkInterfaces(), dataDirProblem };
}

function dataDirProblem(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? undefined : `data_dir ${JSON.stringify(path)} is not a directory`;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    return `Error getting info on data_dir: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** @throws ConfigError with the sentence that `agent` prints after `==> ` */
export function buildConfig(loaded: LoadedConfig, host: HostFacts): Config {
  const config = locating(loaded.sources, () => {
    const reader = new TreeReader(loaded.tree);
    const assembled = assemble(reader, loaded, host);
    reader.finish();
    validateConfig(assembled, loaded.tree, host.dataDirProblem);
    return assembled;
  });
  return deepFreeze({ ...config, warnings: [...loaded.warnings, ...warningsFor(config, loaded.tree)] });
}

function assemble(reader: TreeReader, loaded: LoadedConfig, host: HostFacts): Config {
  const { isDev } = loaded;
  const isServer = isDev || reader.bool('server', false);
  const bindAddress = expandAddress(
    reader.text('bind_addr', isDev ? '127.0.0.1' : '0.0.0.0'),
    host.interfaces,
  );
  const advertise = expandAddress(reader.text('advertise_addr', ''), host.interfaces);
  const advertiseAddress =
    advertise === '' ? detectAdvertiseAddress(bindAddress, host.interfaces) : advertise;
  const advertiseAddressWan =
    expandAddress(reader.text('advertise_addr_wan', ''), host.interfaces) || advertiseAddress;
  const clientAddresses = split(expandAddress(reader.text('client_addr', '127.0.0.1'), host.interfaces));
  const addressesFor = (key: string) => {
    const own = split(expandAddress(reader.text(`addresses.${key}`, ''), host.interfaces));
    return own.length > 0 ? own : clientAddresses;
  };
  const datacenter = reader.text('datacenter', 'dc1').toLowerCase();
  const enableScriptChecks = reader.bool('enable_script_checks', false);
  const expect = reader.int('bootstrap_expect', 0);
  const uiDir = reader.text('ui_config.dir', reader.text('ui_dir', ''));
  return {
    isDev,
    isServer,
    bootstrap: reader.bool('bootstrap', false) || (expect === 1 && isServer),
    bootstrapExpect: expect === 1 ? 0 : expect,
    nodeName: reader.text('node_name', host.hostname),
    nodeId: reader.text('node_id', '').toLowerCase(),
    nodeMeta: textMap(reader.raw('node_meta')),
    datacenter,
    primaryDatacenter: reader.text('primary_datacenter', datacenter).toLowerCase(),
    dataDir: isDev ? '' : reader.text('data_dir', ''),
    bindAddress,
    advertiseAddress,
    advertiseAddressWan,
    taggedAddresses: textMap(reader.raw('tagged_addresses')),
    serfLanBind: expandAddress(reader.text('serf_lan', ''), host.interfaces) || bindAddress,
    serfLanAllowedCidrs: texts(reader.raw('serf_lan_allowed_cidrs')),
    serfWanAllowedCidrs: texts(reader.raw('serf_wan_allowed_cidrs')),
    serfWanBind: expandAddress(reader.text('serf_wan', ''), host.interfaces) || bindAddress,
    httpAddresses: addressesFor('http'),
    dnsAddresses: addressesFor('dns'),
    clientAddresses,
    ports: ports(reader, isDev),
    domain: reader.text('domain', 'consul.').toLowerCase().replace(/\.?$/, '.'),
    altDomain: reader
      .text('alt_domain', '')
      .toLowerCase()
      .replace(/^(.+?)\.?$/, '$1.'),
    recursors: texts(reader.raw('recursors')).map((address) => expandAddress(address, host.interfaces)),
    dns: dnsSettings(reader),
    log: logSettings(reader, isDev),
    lanJoin: joinSettings(reader, ''),
    wanJoin: joinSettings(reader, '_wan'),
    rejoinAfterLeave: reader.bool('rejoin_after_leave', false),
    leaveOnTerminate: reader.bool('leave_on_terminate', !isServer),
    skipLeaveOnInterrupt: reader.bool('skip_leave_on_interrupt', isServer),
    leaveDrainTimeMs: reader.duration('performance.leave_drain_time', 5000),
    rpcHoldTimeoutMs: reader.duration('performance.rpc_hold_timeout', 7000),
    raftMultiplier: reader.int('performance.raft_multiplier', isDev ? 1 : 5),
    raftSnapshotThreshold: reader.int('raft_snapshot_threshold', 0) || 16384,
    raftSnapshotIntervalMs: reader.duration('raft_snapshot_interval', 0) || 30_000,
    raftTrailingLogs: reader.int('raft_trailing_logs', 0) || 10240,
    gossipLan: gossip(reader, 'gossip_lan', isDev ? DEV_GOSSIP : LAN_GOSSIP),
    gossipWan: gossip(reader, 'gossip_wan', isDev ? DEV_GOSSIP : WAN_GOSSIP),
    reconnectTimeoutMs: reader.duration('reconnect_timeout', 72 * 3_600_000),
    reconnectTimeoutWanMs: reader.duration('reconnect_timeout_wan', 72 * 3_600_000),
    encrypt: reader.text('encrypt', ''),
    encryptVerifyIncoming: reader.bool('encrypt_verify_incoming', true),
    encryptVerifyOutgoing: reader.bool('encrypt_verify_outgoing', true),
    disableKeyringFile: reader.bool('disable_keyring_file', isDev),
    http: {
      blockEndpoints: texts(reader.raw('http_config.block_endpoints')),
      responseHeaders: textMap(reader.raw('http_config.response_headers')),
      allowWriteHttpFrom: texts(reader.raw('http_config.allow_write_http_from')),
      useCache: reader.bool('http_config.use_cache', true),
      maxConnsPerClient: reader.int('limits.http_max_conns_per_client', 200),
    },
    rpcRate: number(reader.raw('limits.rpc_rate'), -1),
    rpcMaxBurst: reader.int('limits.rpc_max_burst', 1000),
    kvMaxValueSize: reader.int('limits.kv_max_value_size', 524_288),
    txnMaxReqLen: reader.int('limits.txn_max_req_len', 524_288),
    defaultQueryTimeMs: reader.duration('default_query_time', 300_000),
    maxQueryTimeMs: reader.duration('max_query_time', 600_000),
    discoveryMaxStaleMs: reader.duration('discovery_max_stale', 0),
    disableHttpUnprintableCharFilter: reader.bool('disable_http_unprintable_char_filter', false),
    floatingMoveAfterMs: reader.duration('floating_move_after', 0),
    sessionTtlMinMs: reader.duration('session_ttl_min', 10_000),
    checkUpdateIntervalMs: reader.duration('check_update_interval', 300_000),
    checkOutputMaxSize: reader.int('check_output_max_size', 4096),
    discardCheckOutput: reader.bool('discard_check_output', false),
    enableScriptChecks,
    enableLocalScriptChecks: reader.bool('enable_local_script_checks', enableScriptChecks),
    enableDebug: reader.bool('enable_debug', isDev),
    disableRemoteExec: reader.bool('disable_remote_exec', true),
    watches: list(reader.raw('watches')).filter(isTree),
    disableCoordinates: reader.bool('disable_coordinates', false),
    coordinateDelayMs: isDev ? 100 : undefined,
    translateWanAddrs: reader.bool('translate_wan_addrs', false),
    uiEnabled: uiDir !== '' || reader.bool('ui_config.enabled', reader.bool('ui', isDev)),
    uiDir,
    uiContentPath: reader.text('ui_config.content_path', reader.text('ui_content_path', '/ui/')),
    telemetry: telemetrySettings(reader, isDev),
    autopilot: autopilotSettings(reader),
    pidFile: reader.text('pid_file', ''),
    services: reader.convert('services', serviceFromTree, serviceProblem),
    checks: reader.convert('checks', checkFromTree),
    warnings: [],
  };
}

function ports(reader: TreeReader, isDev: boolean): Ports {
  const port = (key: string, fallback: number) => {
    const value = reader.int(`ports.${key}`, fallback);
    if (value > 65_535)
      throw new ConfigError(`ports.${key}: invalid port: ${value}`, { keys: [`ports.${key}`] });
    return value <= 0 ? -1 : value;
  };
  return {
    dns: port('dns', 8600),
    http: port('http', 8500),
    https: port('https', -1),
    grpc: port('grpc', isDev ? 8502 : -1),
    server: port('server', 8300),
    serfLan: port('serf_lan', 8301),
    serfWan: port('serf_wan', 8302),
    sidecarMin: port('sidecar_min_port', 21_000),
    sidecarMax: port('sidecar_max_port', 21_255),
  };
}

function dnsSettings(reader: TreeReader): DnsSettings {
  const serviceTtl = reader.raw('dns_config.service_ttl');
  return {
    allowStale: reader.bool('dns_config.allow_stale', true),
    maxStaleMs: reader.duration('dns_config.max_stale', 87_600 * 3_600_000),
    nodeTtlMs: reader.duration('dns_config.node_ttl', 0),
    serviceTtlMs: Object.fromEntries(
      Object.keys(isTree(serviceTtl) ? serviceTtl : {}).map((name) => [
        name,
        reader.durationText(
          `dns_config.service_ttl[${name}]`,
          isTree(serviceTtl) ? text(serviceTtl[name]) : '',
        ),
      ]),
    ),
    onlyPassing: reader.bool('dns_config.only_passing', false),
    enableTruncate: reader.bool('dns_config.enable_truncate', false),
    udpAnswerLimit: reader.int('dns_config.udp_answer_limit', 3),
    aRecordLimit: reader.int('dns_config.a_record_limit', 0),
    disableCompression: reader.bool('dns_config.disable_compression', false),
    recursorTimeoutMs: reader.duration('dns_config.recursor_timeout', 2000),
    enableAdditionalNodeMetaTxt: reader.bool('dns_config.enable_additional_node_meta_txt', true),
    soa: {
      refresh: reader.int('dns_config.soa.refresh', 3600),
      retry: reader.int('dns_config.soa.retry', 600),
      expire: reader.int('dns_config.soa.expire', 86_400),
      minTtl: reader.int('dns_config.soa.min_ttl', 0),
    },
  };
}

function logSettings(reader: TreeReader, isDev: boolean): LogSettings {
  const given = reader.text('log_level', isDev ? 'DEBUG' : 'INFO');
  const level = parseLogLevel(given);
  if (level === undefined) {
    throw new ConfigError(
      `Invalid log level: ${given}. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]`,
      { keys: ['log_level'] },
    );
  }
  return {
    level,
    json: reader.bool('log_json', false),
    file: reader.text('log_file', ''),
    rotateDurationMs: reader.duration('log_rotate_duration', 24 * 3_600_000),
    rotateBytes: reader.int('log_rotate_bytes', 0),
    rotateMaxFiles: reader.int('log_rotate_max_files', 0),
  };
}

function telemetrySettings(reader: TreeReader, isDev: boolean): TelemetrySettings {
  return {
    prefix: reader.text('telemetry.metrics_prefix', 'consul'),
    disableHostname: reader.bool('telemetry.disable_hostname', isDev),
    filterDefault: reader.bool('telemetry.filter_default', true),
    prefixFilter: texts(reader.raw('telemetry.prefix_filter')),
    prometheusRetentionMs: reader.duration('telemetry.prometheus_retention_time', 0),
    statsd: collector(reader, 'telemetry.statsd_address'),
    statsite: collector(reader, 'telemetry.statsite_address'),
    dogstatsd: collector(reader, 'telemetry.dogstatsd_addr'),
    dogstatsdTags: texts(reader.raw('telemetry.dogstatsd_tags')),
  };
}

/** `host:port`, `[v6]:port` or `:port` of this machine. @throws ConfigError */
function collector(reader: TreeReader, key: string): HostPort | undefined {
  const given = reader.text(key, '');
  if (given === '') return undefined;
  const [, v6, host = v6, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(given) ?? [];
  if (host === undefined || !(Number(port) > 0 && Number(port) <= 65_535))
    throw new ConfigError(`${key}: invalid address: ${JSON.stringify(given)}, want host:port`, {
      keys: [key],
    });
  return { host: host === '' ? 'localhost' : host, port: Number(port) };
}

function autopilotSettings(reader: TreeReader): AutopilotSettings {
  const ns = (key: string, defaultNs: number) =>
    reader.duration(`autopilot.${key}`, defaultNs / NS_PER_MS) * NS_PER_MS;
  return {
    CleanupDeadServers: reader.bool('autopilot.cleanup_dead_servers', DEFAULT_AUTOPILOT.CleanupDeadServers),
    LastContactThreshold: ns('last_contact_threshold', DEFAULT_AUTOPILOT.LastContactThreshold),
    MaxTrailingLogs: reader.int('autopilot.max_trailing_logs', DEFAULT_AUTOPILOT.MaxTrailingLogs),
    MinQuorum: reader.int('autopilot.min_quorum', DEFAULT_AUTOPILOT.MinQuorum),
    ServerStabilizationTime: ns('server_stabilization_time', DEFAULT_AUTOPILOT.ServerStabilizationTime),
    RedundancyZoneTag: reader.text('autopilot.redundancy_zone_tag', ''),
    DisableUpgradeMigration: reader.bool('autopilot.disable_upgrade_migration', false),
    UpgradeVersionTag: reader.text('autopilot.upgrade_version_tag', ''),
  };
}

function joinSettings(reader: TreeReader, suffix: '' | '_wan'): JoinSettings {
  return {
    startJoin: texts(reader.raw(`start_join${suffix}`)),
    retryJoin: texts(reader.raw(`retry_join${suffix}`)),
    retryIntervalMs: reader.duration(`retry_interval${suffix}`, 30_000),
    retryMax: reader.int(`retry_max${suffix}`, 0),
  };
}

const LAN_GOSSIP: GossipTuning = {
  gossipNodes: 3,
  gossipIntervalMs: 200,
  probeIntervalMs: 1000,
  probeTimeoutMs: 500,
  suspicionMult: 4,
  retransmitMult: 4,
};
const WAN_GOSSIP: GossipTuning = {
  gossipNodes: 3,
  gossipIntervalMs: 500,
  probeIntervalMs: 5000,
  probeTimeoutMs: 3000,
  suspicionMult: 6,
  retransmitMult: 4,
};
const DEV_GOSSIP: GossipTuning = {
  gossipNodes: 3,
  gossipIntervalMs: 100,
  probeIntervalMs: 100,
  probeTimeoutMs: 100,
  suspicionMult: 3,
  retransmitMult: 4,
};

function gossip(reader: TreeReader, block: string, defaults: GossipTuning): GossipTuning {
  return {
    gossipNodes: reader.int(`${block}.gossip_nodes`, defaults.gossipNodes),
    gossipIntervalMs: reader.duration(`${block}.gossip_interval`, defaults.gossipIntervalMs),
    probeIntervalMs: reader.duration(`${block}.probe_interval`, defaults.probeIntervalMs),
    probeTimeoutMs: reader.duration(`${block}.probe_timeout`, defaults.probeTimeoutMs),
    suspicionMult: reader.int(`${block}.suspicion_mult`, defaults.suspicionMult),
    retransmitMult: reader.int(`${block}.retransmit_mult`, defaults.retransmitMult),
  };
}

/** Typed look-ups by dotted key; duration errors are collected so that all are reported together. */
class TreeReader {
  readonly #tree: Tree;
  readonly #errors: string[] = [];
  readonly #badKeys: string[] = [];

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  raw(key: string) {
    let value: Tree[string] | undefined = this.#tree;
    for (const part of key.split('.')) value = isTree(value) ? value[part] : undefined;
    return value;
  }

  text(key: string, fallback: string): string {
    return text(this.raw(key), fallback);
  }

  int(key: string, fallback: number): number {
    return number(this.raw(key), fallback);
  }

  bool(key: string, fallback: boolean): boolean {
    const value = this.raw(key);
    return typeof value === 'boolean' ? value : fallback;
  }

  duration(key: string, fallbackMs: number): number {
    const given = this.text(key, '');
    return given === '' ? fallbackMs : this.durationText(key, given);
  }

  durationText(key: string, given: string): number {
    try {
      return parseDurationMs(given);
    } catch (error) {
      this.#badKeys.push(key);
      this.#errors.push(`${key}: invalid duration: ${JSON.stringify(given)}: ${messageOf(error)}`);
      return 0;
    }
  }

  /** @param problemOf what is wrong with an item that could be read */
  convert<T>(
    key: string,
    from: (tree: Tree) => T,
    problemOf: (item: T) => string | undefined = () => undefined,
  ): T[] {
    return list(this.raw(key)).flatMap((item, i) => {
      if (!isTree(item)) return [];
      try {
        const converted = from(item);
        const problem = problemOf(converted);
        if (problem !== undefined) {
          this.#badKeys.push(`${key}[${i}]`);
          this.#errors.push(problem);
        }
        return [converted];
      } catch (error) {
        this.#badKeys.push(`${key}[${i}]`);
        this.#errors.push(`${key}[${i}]: invalid duration: ${messageOf(error)}`);
        return [];
      }
    });
  }

  /** @throws ConfigError listing everything that was wrong */
  finish(): void {
    if (this.#errors.length > 0) throw new ConfigError(listErrors(this.#errors), { keys: this.#badKeys });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function split(addresses: string): string[] {
  return addresses.split(/\s+/).filter((address) => address !== '');
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
