/** `/v1/agent/health/service/*`: one local service's health as a status code that a load balancer understands. */

import { refused } from '../../../shared/errors.ts';
import type { HealthCheck, Service } from '../../../shared/types/v1.ts';
import { agentService, apiCheck } from '../agent-json.ts';
import { headerText, jsonReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { agentOf } from './agent.ts';

type Aggregate = 'passing' | 'warning' | 'critical' | 'maintenance';

const STATUS_CODES: Readonly<Record<Aggregate, number>> = {
  passing: 200,
  warning: 429,
  critical: 503,
  maintenance: 503,
};

/** Worst last. */
const SEVERITY: readonly Aggregate[] = ['passing', 'warning', 'critical', 'maintenance'];

const BY_ID = '/v1/agent/health/service/id/';
const BY_NAME = '/v1/agent/health/service/name/';

export const agentHealthRoutes = [route('GET', BY_ID, byId), route('GET', BY_NAME, byName)];

function byId(request: HttpRequest): Reply {
  request.refuseNamespace();
  const id = request.after(BY_ID);
  if (id === '') throw refused('Bad request: Missing serviceID');
  const service = agentOf(request).services().get(id);
  if (service === undefined) return unknownId(request, `ServiceId ${id} not found`);
  const entry = healthOf(request, service);
  return healthReply(request, entry.AggregatedStatus, entry);
}

function byName(request: HttpRequest): Reply {
  request.refuseNamespace();
  const name = request.after(BY_NAME);
  if (name === '') throw refused('Bad request: Missing service Name');
  const services = [...agentOf(request).services().values()].filter((service) => service.Service === name);
  const entries = services.map((service) => healthOf(request, service));
  if (entries.length === 0) {
    const reason = `ServiceName ${name} Not Found`;
    return wantsText(request)
      ? plainReply(404, reason)
      : withReason(jsonReply([], request.isPretty, [], 404), reason);
  }
  return healthReply(request, worst(entries.map((entry) => entry.AggregatedStatus)), entries);
}

/** In text mode too this is JSON: a quirk that callers have met for years. */
function unknownId(request: HttpRequest, reason: string): Reply {
  const missing = { AggregatedStatus: 'critical', Service: null, Checks: null };
  const body = wantsText(request) ? reason : missing;
  return withReason(jsonReply(body, request.isPretty, [], 404), reason);
}

interface ServiceHealth {
  readonly AggregatedStatus: Aggregate;
  readonly Service: unknown;
  readonly Checks: unknown[];
}

/** The service's own checks and those of the node. */
function healthOf(request: HttpRequest, service: Service): ServiceHealth {
  const checks = [...agentOf(request).checks().values()].filter(
    (check) => check.ServiceID === service.ID || check.ServiceID === '',
  );
  return {
    AggregatedStatus: worst(checks.map(severityOf)),
    Service: agentService(service),
    Checks: checks.map(apiCheck),
  };
}

function severityOf(check: HealthCheck): Aggregate {
  const isMaintenance =
    check.CheckID === '_node_maintenance' || check.CheckID.startsWith('_service_maintenance:');
  if (isMaintenance) return 'maintenance';
  return check.Status === 'passing' || check.Status === 'warning' ? check.Status : 'critical';
}

function worst(statuses: readonly Aggregate[]): Aggregate {
  const ranks = statuses.map((status) => SEVERITY.indexOf(status));
  return SEVERITY[Math.max(0, ...ranks)] ?? 'critical';
}

function healthReply(request: HttpRequest, status: Aggregate, body: unknown): Reply {
  const code = STATUS_CODES[status];
  if (wantsText(request)) return plainReply(code, status);
  return withReason(jsonReply(body, request.isPretty, [], code), status);
}

function wantsText(request: HttpRequest): boolean {
  if (request.header('accept')?.startsWith('text/plain')) return true;
  return request.rawQuery !== '' && request.query.text('format') === 'text';
}

function plainReply(status: number, text: string): Reply {
  return withReason({ status, headers: ['Content-Type', 'text/plain'], body: text }, text);
}

function withReason(reply: Reply, reason: string): Reply {
  return { ...reply, headers: [...reply.headers, 'X-Consul-Reason', headerText(reason)] };
}
