/** `/v1/agent/services`, `/v1/agent/service/*`: the agent's own services. */

import { hash } from 'node:crypto';
import { badRequest, notFound, refused } from '../../../shared/errors.ts';
import { renderJson } from '../../../shared/json.ts';
import type { Service } from '../../../shared/types/v1.ts';
import { agentService, sortedByKey } from '../agent-json.ts';
import { serviceDefinitionBody } from '../definition-body.ts';
import { boundedWaitMs, durationOr } from '../read-options.ts';
import { jsonReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { agentOf, done, maintenanceFlag } from './agent.ts';
import { decodeBody } from './parts.ts';

export const agentServiceRoutes = [
  route('GET', '/v1/agent/services', list),
  route('GET', '/v1/agent/service/', one),
  route('PUT', '/v1/agent/service/register', register),
  route('PUT', '/v1/agent/service/deregister/', deregister),
  route('PUT', '/v1/agent/service/maintenance/', maintenance),
];

function list(request: HttpRequest): Reply {
  request.refuseNamespace();
  const { agent, compileFilter } = request.context.dependencies;
  const filter = request.query.text('filter');
  const keeps = filter === '' ? () => true : compileFilter('agent-service', filter);
  const kept = [...agent.services()].filter(([, service]) => keeps(service));
  const shown = kept.map(([id, service]): [string, unknown] => [id, agentService(service)]);
  return jsonReply(sortedByKey(Object.fromEntries(shown)), request.isPretty);
}

/** Blocks while the content's hash is the caller's. */
async function one(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const id = request.after('/v1/agent/service/');
  const { query } = request;
  const known = query.text('hash');
  const wait = query.text('wait');
  const requestedMs = wait === '' ? 0 : durationOr(wait, 'Invalid wait time');
  if (known !== '' && contentHash(localService(request, id)) === known)
    await changedFrom(request, id, known, boundedWaitMs(requestedMs, request));
  const service = localService(request, id);
  const current = contentHash(service);
  return jsonReply(agentService(service, current), request.isPretty, ['X-Consul-Contenthash', current]);
}

function localService(request: HttpRequest, id: string): Service {
  const service = agentOf(request).services().get(id);
  if (service === undefined) throw notFound(`unknown service ID: ${id}`);
  return service;
}

/** 64 bits in hex; only equality means anything. */
export function contentHash(service: Service): string {
  return hash('sha256', renderJson(agentService(service), false), 'hex').slice(0, 16);
}

/** Consul spreads the ends of waits that began together over an extra sixteenth. */
const JITTER_FRACTION = 16;

/** Resolves when the hash is no longer `known`, the service is gone or the time is up; rejects when aborted. */
function changedFrom(request: HttpRequest, id: string, known: string, waitMs: number): Promise<void> {
  const { agent, env } = request.context.dependencies;
  const signal = request.waitSignal();
  return new Promise((resolve, reject) => {
    let cancelChange = () => {};
    const finish = (settle: () => void) => {
      cancelChange();
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const onAbort = () => finish(() => reject(signal.reason));
    const look = () => {
      const service = agent.services().get(id);
      if (service === undefined || contentHash(service) !== known) finish(resolve);
      else cancelChange = agent.onServiceChange(id, look);
    };
    const jitterMs = (env.random.next() * waitMs) / JITTER_FRACTION;
    const timer = env.clock.setTimer(waitMs + jitterMs, () => finish(resolve));
    signal.addEventListener('abort', onAbort, { once: true });
    look();
  });
}

async function register(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const definition = await decodeBody(request, serviceDefinitionBody);
  const replace = request.query.get('replace-existing-checks');
  const replaceExistingChecks = replace === '' || replace === 'true';
  const agent = agentOf(request);
  const isFloating = asksToFloat(request);
  return done(agent.registerService(withToken(definition, request), { replaceExistingChecks, isFloating }));
}

/**
 * Gateways say by this header that they stand for all agents: the service belongs to the cluster rather than to the
 * agent that was asked. It needs no more permission than the registration itself.
 */
const FLOATING_HEADER = 'x-proconsul-floating';

function asksToFloat(request: HttpRequest): boolean {
  return request.header(FLOATING_HEADER) === '1';
}

/** The token in the body is the one for syncing; the request's own stands in when there is none. */
export function withToken<T extends { readonly token: string }>(definition: T, request: HttpRequest): T {
  return definition.token === '' ? { ...definition, token: explicitToken(request) } : definition;
}

function explicitToken(request: HttpRequest): string {
  const token = request.token();
  return token === request.context.config.defaultToken ? '' : token;
}

function deregister(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const id = request.after('/v1/agent/service/deregister/');
  if (id === '') throw refused('ServiceID missing');
  return done(agentOf(request).deregisterService(id, { isFloating: asksToFloat(request) }));
}

function maintenance(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const id = request.after('/v1/agent/service/maintenance/');
  if (id === '') throw badRequest('Missing service ID');
  const enable = maintenanceFlag(request);
  return done(agentOf(request).setServiceMaintenance(id, enable, request.query.text('reason')));
}
