/** The autopilot configuration, one replicated record. */

import type { AutopilotConfig, AutopilotSettings } from '../../shared/types/autopilot.ts';
import type { Change } from './change.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer } from './types.ts';

const KEY = 'config';

/** The stored configuration; undefined until one was set: the leader's start-up sets the defaults. */
export function autopilotConfig(tables: Tables): Answer<AutopilotConfig | undefined> {
  const config = tables.autopilot.get(KEY);
  return {
    value: config,
    indexOf: (now) => now.autopilot.get(KEY)?.ModifyIndex ?? 1,
    topics: [topic.autopilot],
  };
}

/** @returns false when `ifModifyIndex` is given and is not the current one (0 means: none stored yet) */
export function setAutopilotConfig(
  { tables, watches, index }: Change,
  settings: AutopilotSettings,
  ifModifyIndex: number | bigint | undefined,
): boolean {
  const existing = tables.autopilot.get(KEY);
  if (ifModifyIndex !== undefined && Number(ifModifyIndex) !== (existing?.ModifyIndex ?? 0)) return false;
  tables.autopilot.set(KEY, {
    CleanupDeadServers: settings.CleanupDeadServers,
    LastContactThreshold: settings.LastContactThreshold,
    MaxTrailingLogs: settings.MaxTrailingLogs,
    MinQuorum: settings.MinQuorum,
    ServerStabilizationTime: settings.ServerStabilizationTime,
    RedundancyZoneTag: settings.RedundancyZoneTag,
    DisableUpgradeMigration: settings.DisableUpgradeMigration,
    UpgradeVersionTag: settings.UpgradeVersionTag,
    CreateIndex: existing?.CreateIndex ?? index,
    ModifyIndex: index,
  });
  watches.touch(topic.autopilot);
  return true;
}
