/** `/v1/agent/checks`, `/v1/agent/check/*`: the agent's own checks. */

import { badRequest, ConsulError, refused } from '../../../shared/errors.ts';
import type { CheckStatus } from '../../../shared/types/v1.ts';
import { agentCheck, sortedByKey } from '../agent-json.ts';
import { checkDefinitionBody } from '../definition-body.ts';
import { struct, text } from '../go-json.ts';
import { jsonReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { agentOf, done } from './agent.ts';
import { withToken } from './agent-services.ts';
import { decodeBody } from './parts.ts';

export const agentCheckRoutes = [
  route('GET', '/v1/agent/checks', list),
  route('PUT', '/v1/agent/check/register', register),
  route('PUT', '/v1/agent/check/deregister/', deregister),
  route('PUT', '/v1/agent/check/pass/', report('/v1/agent/check/pass/', 'passing')),
  route('PUT', '/v1/agent/check/warn/', report('/v1/agent/check/warn/', 'warning')),
  route('PUT', '/v1/agent/check/fail/', report('/v1/agent/check/fail/', 'critical')),
  route('PUT', '/v1/agent/check/update/', update),
];

function list(request: HttpRequest): Reply {
  request.refuseNamespace();
  const filter = request.query.text('filter');
  const keeps = filter === '' ? () => true : checkFilter(request, filter);
  const kept = [...agentOf(request).checks()].filter(([, check]) => keeps(check));
  const shown = kept.map(([id, check]): [string, unknown] => [id, agentCheck(check)]);
  return jsonReply(sortedByKey(Object.fromEntries(shown)), request.isPretty);
}

const FILTER_PREFIX = 'Failed to create boolean expression evaluator: ';

/** Here, and only here, Consul reports a bad selector without the usual prefix. */
function checkFilter(request: HttpRequest, filter: string): (candidate: unknown) => boolean {
  try {
    return request.context.dependencies.compileFilter('check', filter);
  } catch (error) {
    if (error instanceof ConsulError && error.message.startsWith(`${FILTER_PREFIX}Selector `))
      throw refused(error.message.slice(FILTER_PREFIX.length));
    throw error;
  }
}

async function register(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const definition = await decodeBody(request, checkDefinitionBody);
  return done(agentOf(request).registerCheck(withToken(definition, request)));
}

function deregister(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const id = request.after('/v1/agent/check/deregister/');
  if (id === '') throw refused('CheckID missing');
  return done(agentOf(request).deregisterCheck(id));
}

function report(prefix: string, status: CheckStatus) {
  return (request: HttpRequest): Promise<Reply> => {
    request.refuseNamespace();
    const note = request.rawQuery === '' ? '' : request.query.text('note');
    return done(agentOf(request).updateTtl(request.after(prefix), status, note));
  };
}

const updateBody = struct({ Status: text, Output: text });

async function update(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const body = await decodeBody(request, updateBody);
  if (!isCheckStatus(body.Status)) throw badRequest(`Invalid check status: '${body.Status}'`);
  const id = request.after('/v1/agent/check/update/');
  return done(agentOf(request).updateTtl(id, body.Status, body.Output));
}

function isCheckStatus(status: string): status is CheckStatus {
  return status === 'passing' || status === 'warning' || status === 'critical';
}
