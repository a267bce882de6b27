/** The `/v1/agent` part of a fake agent: services and checks of its own, with the reference's texts. */

import type { FakeNode, FakeReply } from './fake-pool.ts';

export interface FakeService {
  readonly ID: string;
  readonly Service: string;
  readonly Port: number;
}

export interface FakeCheck {
  readonly Node: string;
  readonly CheckID: string;
  readonly ServiceID: string;
  Status: string;
  Output: string;
}

const EMPTY_REPLY: FakeReply = { status: 200, text: '' };

export function answerAgent(
  node: FakeNode,
  method: string,
  path: string,
  query: URLSearchParams,
  body: string,
): FakeReply | undefined {
  const rest = path.slice('/v1/agent/'.length);
  if (rest === 'self')
    return json({ Config: { NodeName: node.name, Server: node.role === 'server' } }, query);
  if (rest === 'services') return json(Object.fromEntries(node.services), query);
  if (rest === 'checks') return json(listChecks(node, query.get('filter')), query);
  if (rest === 'service/register' && method === 'PUT') return registerService(node, body);
  if (rest === 'check/register' && method === 'PUT') return registerCheck(node, body);
  if (rest === 'maintenance' && method === 'PUT') {
    node.isInMaintenance = query.get('enable') === 'true';
    return EMPTY_REPLY;
  }
  if (rest === 'members') return json([{ Name: node.name }], query);
  return answerForId(node, method, rest, query);
}

function answerForId(
  node: FakeNode,
  method: string,
  rest: string,
  query: URLSearchParams,
): FakeReply | undefined {
  const [, verb = '', id = ''] =
    /^(service\/deregister|service\/maintenance|check\/deregister|check\/(?:pass|warn|fail|update)|health\/service\/id|health\/service\/name|service)\/(.+)$/s.exec(
      rest,
    ) ?? [];
  const service = node.services.get(id);
  switch (verb) {
    case 'service/deregister':
      node.services.delete(id);
      return EMPTY_REPLY;
    case 'service/maintenance':
      return service === undefined ? text(404, `No service registered with ID "${id}"`) : EMPTY_REPLY;
    case 'check/deregister':
      node.checks.delete(id);
      return EMPTY_REPLY;
    case 'service':
      if (method !== 'GET') return text(405, `method ${method} not allowed`);
      return service === undefined ? text(404, `unknown service ID: ${id}`) : json(service, query);
    case 'health/service/id':
      return service === undefined
        ? { status: 404, text: '{"AggregatedStatus":"critical","Service":null,"Checks":null}' }
        : json({ AggregatedStatus: 'passing', Service: service, Checks: [] }, query);
    case 'health/service/name':
      return healthByName(node, id, query);
    case '':
      return undefined;
    default:
      return updateTtl(node, verb, id, query);
  }
}

function registerService(node: FakeNode, body: string): FakeReply {
  const { ID, Name, Port, Check } = JSON.parse(body) as Record<string, unknown>;
  const id = String(ID ?? Name);
  node.services.set(id, { ID: id, Service: String(Name), Port: Number(Port ?? 0) });
  if (Check !== undefined) addCheck(node, `service:${id}`, id);
  return EMPTY_REPLY;
}

function registerCheck(node: FakeNode, body: string): FakeReply {
  const { ID, Name, ServiceID } = JSON.parse(body) as Record<string, unknown>;
  const serviceId = String(ServiceID ?? '');
  if (serviceId !== '' && !node.services.has(serviceId))
    return text(500, `ServiceID "${serviceId}" does not exist`);
  addCheck(node, String(ID ?? Name), serviceId);
  return EMPTY_REPLY;
}

function addCheck(node: FakeNode, id: string, serviceId: string): void {
  node.checks.set(id, { Node: node.name, CheckID: id, ServiceID: serviceId, Status: 'critical', Output: '' });
}

function updateTtl(node: FakeNode, verb: string, id: string, query: URLSearchParams): FakeReply {
  const check = node.checks.get(id);
  if (check === undefined) return text(500, `CheckID "${id}" does not have associated TTL`);
  check.Status = { 'check/pass': 'passing', 'check/warn': 'warning' }[verb] ?? 'critical';
  check.Output = query.get('note') ?? '';
  return EMPTY_REPLY;
}

function listChecks(node: FakeNode, filter: string | null): Record<string, FakeCheck> {
  const wanted = /^CheckID == [`"](.*)[`"]$/s.exec(filter ?? '')?.[1];
  return Object.fromEntries([...node.checks].filter(([id]) => wanted === undefined || id === wanted));
}

function healthByName(node: FakeNode, name: string, query: URLSearchParams): FakeReply {
  const entries = [...node.services.values()]
    .filter(({ Service }) => Service === name)
    .map((service) => {
      const checks = [...node.checks.values()].filter(({ ServiceID }) => ServiceID === service.ID);
      return { AggregatedStatus: checks[0]?.Status ?? 'passing', Service: service, Checks: checks };
    });
  const statuses = entries.map(({ AggregatedStatus }) => AggregatedStatus);
  const worst = ['critical', 'warning', 'passing'].find((status) => statuses.includes(status));
  if (worst === undefined) return { status: 404, text: '[]', headers: { 'X-Consul-Reason': 'not found' } };
  const status = { critical: 503, warning: 429, passing: 200 }[worst] ?? 500;
  const isText = query.get('format') === 'text';
  const headers = {
    'X-Consul-Reason': worst,
    'Content-Type': isText ? 'text/plain' : 'application/json',
  };
  return { status, text: isText ? worst : JSON.stringify(entries), headers };
}

function json(value: unknown, query: URLSearchParams): FakeReply {
  const body = query.has('pretty') ? `${JSON.stringify(value, null, 4)}\n` : JSON.stringify(value);
  return { status: 200, text: body };
}

function text(status: number, body: string): FakeReply {
  return { status, text: body };
}
