/** Autopilot: its replicated settings, and how the servers are. */

/** Durations are nanoseconds. */
export interface AutopilotSettings {
  readonly CleanupDeadServers: boolean;
  readonly LastContactThreshold: number;
  readonly MaxTrailingLogs: number;
  readonly MinQuorum: number;
  readonly ServerStabilizationTime: number;
  readonly RedundancyZoneTag: string;
  readonly DisableUpgradeMigration: boolean;
  readonly UpgradeVersionTag: string;
}

export interface AutopilotConfig extends AutopilotSettings {
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

export const DEFAULT_AUTOPILOT: AutopilotSettings = {
  CleanupDeadServers: true,
  LastContactThreshold: 200e6,
  MaxTrailingLogs: 250,
  MinQuorum: 0,
  ServerStabilizationTime: 10e9,
  RedundancyZoneTag: '',
  DisableUpgradeMigration: false,
  UpgradeVersionTag: '',
};

export interface ServerHealth {
  /** Node UUID. */
  readonly ID: string;
  /** '' when gossip does not know the server. */
  readonly Name: string;
  /** `host:port` of its RPC listener. */
  readonly Address: string;
  readonly SerfStatus: string;
  readonly Version: string;
  readonly Leader: boolean;
  /** Milliseconds; undefined: not reachable. */
  readonly LastContactMs: number | undefined;
  readonly LastTerm: number;
  readonly LastIndex: number;
  readonly Healthy: boolean;
  readonly Voter: boolean;
  /** Since when `Healthy` has this value, wall-clock milliseconds. */
  readonly StableSinceMs: number;
}

export interface ServerHealthReport {
  readonly Healthy: boolean;
  /** Servers that may still fail without loss of the quorum. */
  readonly FailureTolerance: number;
  readonly Servers: readonly ServerHealth[];
}
