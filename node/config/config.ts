/** The agent's settings after flags and files are merged and validated: one frozen value that everything reads. */

import type { LogLevel } from '../../shared/log.ts';
import type { AutopilotSettings } from '../../shared/types/autopilot.ts';
import type { CheckDefinition, ServiceDefinition } from '../../shared/types/definitions.ts';
import type { Tree } from './decode.ts';

/** Numbers > 0 are ports; −1 is disabled. */
export interface Ports {
  readonly dns: number;
  readonly http: number;
  readonly https: number;
  readonly grpc: number;
  readonly server: number;
  readonly serfLan: number;
  readonly serfWan: number;
  readonly sidecarMin: number;
  readonly sidecarMax: number;
}

export interface GossipTuning {
  readonly gossipNodes: number;
  readonly gossipIntervalMs: number;
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly suspicionMult: number;
  readonly retransmitMult: number;
}

export interface DnsSettings {
  readonly allowStale: boolean;
  readonly maxStaleMs: number;
  readonly nodeTtlMs: number;
  readonly serviceTtlMs: Readonly<Record<string, number>>;
  readonly onlyPassing: boolean;
  readonly enableTruncate: boolean;
  readonly udpAnswerLimit: number;
  readonly aRecordLimit: number;
  readonly disableCompression: boolean;
  readonly recursorTimeoutMs: number;
  readonly enableAdditionalNodeMetaTxt: boolean;
  /** Seconds. */
  readonly soa: {
    readonly refresh: number;
    readonly retry: number;
    readonly expire: number;
    readonly minTtl: number;
  };
}

export interface JoinSettings {
  /** Once at start; failure is fatal. */
  readonly startJoin: readonly string[];
  /** In the background until it works. */
  readonly retryJoin: readonly string[];
  readonly retryIntervalMs: number;
  /** 0 means for ever. */
  readonly retryMax: number;
}

export interface LogSettings {
  readonly level: LogLevel;
  readonly json: boolean;
  /** '' means no file. */
  readonly file: string;
  readonly rotateDurationMs: number;
  /** 0 means no limit. */
  readonly rotateBytes: number;
  /** 0 keeps all, −1 none of the old ones. */
  readonly rotateMaxFiles: number;
}

export interface TelemetrySettings {
  readonly prefix: string;
  readonly disableHostname: boolean;
  readonly filterDefault: boolean;
  readonly prefixFilter: readonly string[];
  /** 0 means that Prometheus gets nothing. */
  readonly prometheusRetentionMs: number;
  /** Where metrics are sent by UDP; undefined means nowhere. */
  readonly statsd: HostPort | undefined;
  /** By TCP. */
  readonly statsite: HostPort | undefined;
  /** By UDP, with tags. */
  readonly dogstatsd: HostPort | undefined;
  readonly dogstatsdTags: readonly string[];
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Durations in milliseconds. Meaning and defaults of each key: Consul's configuration reference. */
export interface Config {
  readonly isDev: boolean;
  readonly isServer: boolean;
  readonly bootstrap: boolean;
  readonly bootstrapExpect: number;
  readonly nodeName: string;
  /** '' means: from the data directory, or random. */
  readonly nodeId: string;
  readonly nodeMeta: Readonly<Record<string, string>>;
  readonly datacenter: string;
  readonly primaryDatacenter: string;
  /** '' only in dev mode. */
  readonly dataDir: string;
  readonly bindAddress: string;
  readonly advertiseAddress: string;
  readonly advertiseAddressWan: string;
  readonly taggedAddresses: Readonly<Record<string, string>>;
  readonly serfLanBind: string;
  readonly serfWanBind: string;
  /** Networks whose members the pool takes in; empty means all. */
  readonly serfLanAllowedCidrs: readonly string[];
  readonly serfWanAllowedCidrs: readonly string[];
  readonly httpAddresses: readonly string[];
  readonly dnsAddresses: readonly string[];
  /** What the banner shows. */
  readonly clientAddresses: readonly string[];
  readonly ports: Ports;
  readonly domain: string;
  readonly altDomain: string;
  readonly recursors: readonly string[];
  readonly dns: DnsSettings;
  readonly log: LogSettings;
  readonly lanJoin: JoinSettings;
  readonly wanJoin: JoinSettings;
  readonly rejoinAfterLeave: boolean;
  readonly leaveOnTerminate: boolean;
  readonly skipLeaveOnInterrupt: boolean;
  readonly leaveDrainTimeMs: number;
  readonly rpcHoldTimeoutMs: number;
  /** 1–10. Stretches Raft's timings. */
  readonly raftMultiplier: number;
  readonly raftSnapshotThreshold: number;
  readonly raftSnapshotIntervalMs: number;
  readonly raftTrailingLogs: number;
  readonly gossipLan: GossipTuning;
  readonly gossipWan: GossipTuning;
  readonly reconnectTimeoutMs: number;
  readonly reconnectTimeoutWanMs: number;
  /** '' means none. */
  readonly encrypt: string;
  readonly encryptVerifyIncoming: boolean;
  readonly encryptVerifyOutgoing: boolean;
  readonly disableKeyringFile: boolean;
  readonly http: {
    readonly blockEndpoints: readonly string[];
    readonly responseHeaders: Readonly<Record<string, string>>;
    readonly allowWriteHttpFrom: readonly string[];
    /** Whether `?cached` means anything. */
    readonly useCache: boolean;
    readonly maxConnsPerClient: number;
  };
  /** Requests that a client sends the servers in a second; 0 and below: no limit. */
  readonly rpcRate: number;
  readonly rpcMaxBurst: number;
  readonly kvMaxValueSize: number;
  readonly txnMaxReqLen: number;
  readonly defaultQueryTimeMs: number;
  readonly maxQueryTimeMs: number;
  readonly discoveryMaxStaleMs: number;
  readonly disableHttpUnprintableCharFilter: boolean;
  readonly sessionTtlMinMs: number;
  /** How long a failed agent keeps its floating services. */
  readonly floatingMoveAfterMs: number;
  readonly checkUpdateIntervalMs: number;
  readonly checkOutputMaxSize: number;
  readonly discardCheckOutput: boolean;
  readonly enableScriptChecks: boolean;
  readonly enableLocalScriptChecks: boolean;
  readonly enableDebug: boolean;
  readonly disableRemoteExec: boolean;
  /** As given; checked when they are started. */
  readonly watches: readonly Tree[];
  readonly disableCoordinates: boolean;
  /** Until the first network coordinate is sent; as for later ones when absent. */
  readonly coordinateDelayMs: number | undefined;
  readonly translateWanAddrs: boolean;
  readonly uiEnabled: boolean;
  /** Folder from which the UI is served in place of the built-in one; '' means the built-in one. */
  readonly uiDir: string;
  readonly uiContentPath: string;
  readonly telemetry: TelemetrySettings;
  /** What the first leader stores. */
  readonly autopilot: AutopilotSettings;
  readonly pidFile: string;
  readonly services: readonly ServiceDefinition[];
  readonly checks: readonly CheckDefinition[];
  /** Sentences for the log's first lines, level WARN. */
  readonly warnings: readonly string[];
}
