/** `/v1/operator/autopilot/*`: the settings, and how the servers are. */

import { formatDurationMs, formatDurationNs } from '../../../shared/durations.ts';
import { badRequest, ConsulError } from '../../../shared/errors.ts';
import type { AutopilotConfig, ServerHealth, ServerHealthReport } from '../../../shared/types/autopilot.ts';
import type { Uint64 } from '../../../shared/types/v1.ts';
import {
  operatorAutopilotGet,
  operatorAutopilotSet,
  operatorServerHealth,
} from '../../rpc/operator-endpoints.ts';
import {
  asUint64,
  bool,
  decodeJson,
  durationAsNs,
  GoJsonError,
  ignored,
  int,
  struct,
  text,
} from '../go-json.ts';
import { NO_META, serveValue } from '../read.ts';
import { booleanReply, jsonReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { callOptions } from './parts.ts';

export const autopilotRoutes = [
  route('GET PUT', '/v1/operator/autopilot/configuration', (request) =>
    request.method === 'GET'
      ? serveValue(request, operatorAutopilotGet, {}, NO_META, (config) =>
          jsonReply(configJson(config), request.isPretty),
        )
      : setConfiguration(request),
  ),
  route('GET', '/v1/operator/autopilot/health', (request) =>
    serveValue(request, operatorServerHealth, {}, NO_META, (report) => healthReply(report, request.isPretty)),
  ),
  // From Consul 1.9 on.
  route('GET', '/v1/operator/autopilot/state', (request) =>
    serveValue(request, operatorServerHealth, {}, NO_META, (report) =>
      jsonReply(stateJson(report), request.isPretty),
    ),
  ),
];

const settingsBody = struct({
  CleanupDeadServers: bool,
  LastContactThreshold: durationAsNs,
  MaxTrailingLogs: int,
  MinQuorum: int,
  ServerStabilizationTime: durationAsNs,
  RedundancyZoneTag: text,
  DisableUpgradeMigration: bool,
  UpgradeVersionTag: text,
  CreateIndex: ignored,
  ModifyIndex: ignored,
});

async function setConfiguration(request: HttpRequest): Promise<Reply> {
  const settings = settingsOf(await request.jsonBody());
  const cas = casOf(request);
  const { backend } = request.context.dependencies;
  const isSet = await backend.write(operatorAutopilotSet, { settings, cas }, callOptions(request));
  return booleanReply(isSet, request.isPretty);
}

function settingsOf(body: Uint8Array) {
  try {
    const { CreateIndex: _created, ModifyIndex: _modified, ...settings } = decodeJson(body, settingsBody);
    return settings;
  } catch (error) {
    if (!(error instanceof GoJsonError)) throw error;
    throw badRequest(`Bad request: Error parsing autopilot config: ${error.message}`);
  }
}

/** undefined when the caller does not compare. */
function casOf(request: HttpRequest): Uint64 | undefined {
  const given = request.rawQuery === '' ? undefined : request.query.get('cas');
  if (given === undefined) return undefined;
  const problem = !/^\d+$/.test(given)
    ? 'invalid syntax'
    : BigInt(given) >= 1n << 64n
      ? 'value out of range'
      : undefined;
  if (problem !== undefined)
    throw badRequest(
      `Bad request: Error parsing cas value: strconv.ParseUint: parsing ${JSON.stringify(given)}: ${problem}`,
    );
  return asUint64(BigInt(given));
}

function configJson(config: AutopilotConfig): Record<string, unknown> {
  return {
    CleanupDeadServers: config.CleanupDeadServers,
    LastContactThreshold: formatDurationNs(config.LastContactThreshold),
    MaxTrailingLogs: config.MaxTrailingLogs,
    MinQuorum: config.MinQuorum,
    ServerStabilizationTime: formatDurationNs(config.ServerStabilizationTime),
    RedundancyZoneTag: config.RedundancyZoneTag,
    DisableUpgradeMigration: config.DisableUpgradeMigration,
    UpgradeVersionTag: config.UpgradeVersionTag,
    CreateIndex: config.CreateIndex,
    ModifyIndex: config.ModifyIndex,
  };
}

/** 429 while a server is unhealthy: Consul sends the status before the type of the body. */
function healthReply(report: ServerHealthReport, pretty: boolean): Reply {
  const servers = report.Servers.map((server) => ({
    ID: server.ID,
    Name: server.Name,
    Address: server.Address,
    SerfStatus: server.SerfStatus,
    Version: server.Version,
    Leader: server.Leader,
    LastContact: lastContact(server),
    LastTerm: server.LastTerm,
    LastIndex: server.LastIndex,
    Healthy: server.Healthy,
    Voter: server.Voter,
    StableSince: stableSince(server),
  }));
  const { FailureTolerance, Healthy } = report;
  const body = { Healthy, FailureTolerance, Servers: servers.length === 0 ? null : servers };
  const reply = jsonReply(body, pretty);
  if (Healthy) return reply;
  return { ...reply, status: 429, headers: ['Content-Type', 'text/plain; charset=utf-8'] };
}

function stateJson(report: ServerHealthReport): Record<string, unknown> {
  const leader = report.Servers.find((server) => server.Leader);
  if (leader === undefined) throw new ConsulError('no-leader', 500, 'No cluster leader');
  const voters = report.Servers.filter((server) => server.Voter);
  const others = voters.filter((server) => server !== leader);
  return {
    Healthy: report.Healthy,
    FailureTolerance: report.FailureTolerance,
    OptimisticFailureTolerance: report.FailureTolerance,
    Servers: Object.fromEntries(
      [...report.Servers]
        .sort((a, b) => (a.ID < b.ID ? -1 : 1))
        .map((server) => [server.ID, stateOf(server)]),
    ),
    Leader: leader.ID,
    Voters: [leader, ...others].map((server) => server.ID),
  };
}

function stateOf(server: ServerHealth): Record<string, unknown> {
  return {
    ID: server.ID,
    Name: server.Name,
    Address: server.Address,
    NodeStatus: server.SerfStatus,
    Version: server.Version,
    LastContact: lastContact(server),
    LastTerm: server.LastTerm,
    LastIndex: server.LastIndex,
    Healthy: server.Healthy,
    StableSince: stableSince(server),
    ReadReplica: false,
    Status: server.Leader ? 'leader' : server.Voter ? 'voter' : 'non-voter',
    Meta: null,
    NodeType: 'voter',
  };
}

function lastContact({ LastContactMs, Leader }: ServerHealth): string {
  if (Leader) return '0s';
  return LastContactMs === undefined ? '-1ns' : formatDurationMs(LastContactMs);
}

/** Whole seconds. */
function stableSince({ StableSinceMs }: ServerHealth): string {
  return `${new Date(StableSinceMs).toISOString().slice(0, 19)}Z`;
}
