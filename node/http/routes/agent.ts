/** `/v1/agent/*` but services, checks and health: what the agent says of itself and how it is steered. */

import { badRequest, ConsulError, refused } from '../../../shared/errors.ts';
import { MUX_PATH, MUX_PROTOCOL } from '../../../shared/mux/frames.ts';
import type { FloatingPlace } from '../../../shared/types/floating.ts';
import { floatingPlace } from '../../rpc/floating-endpoints.ts';
import type { AgentApi, AgentSelf } from '../agent-api.ts';
import { memberJson, sortedByKey, sortedDeep } from '../agent-json.ts';
import { PLAIN_READ, serveValue } from '../read.ts';
import { EMPTY_OK, jsonReply, NOT_FOUND, type Reply, textReply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { aclDisabled } from './acl.ts';
import { monitor } from './monitor.ts';
import { parseGoBool, requiredPart } from './parts.ts';

export const agentRoutes = [
  route('PUT', '/v1/agent/token/', () => {
    throw aclDisabled();
  }),
  route('GET', '/v1/agent/self', (request) => jsonReply(selfJson(agentOf(request).self()), request.isPretty)),
  route('GET', '/v1/agent/host', async (request) =>
    jsonReply(await agentOf(request).host(), request.isPretty),
  ),
  route('PUT', '/v1/agent/maintenance', nodeMaintenance),
  route('PUT', '/v1/agent/reload', async (request) => done(agentOf(request).reload())),
  route('GET', '/v1/agent/monitor', monitor),
  route('GET', '/v1/agent/metrics', metrics),
  route('GET', '/v1/agent/members', members),
  route('PUT', '/v1/agent/join/', (request) =>
    done(agentOf(request).join(request.after('/v1/agent/join/'), hasText(request, 'wan'))),
  ),
  route('PUT', '/v1/agent/leave', (request) => done(agentOf(request).leave())),
  route('PUT', '/v1/agent/force-leave/', (request) =>
    done(
      agentOf(request).forceLeave(
        request.after('/v1/agent/force-leave/'),
        request.rawQuery !== '' && request.query.has('prune'),
      ),
    ),
  ),
  // Ours: how a gateway follows the pool.
  route('GET', '/v1/internal/proconsul/pool', async (request) =>
    jsonReply(await agentOf(request).pool(), request.isPretty),
  ),
  // Ours: where a gateway finds a floating service, by its ID or by that of one of its checks.
  route('GET', '/v1/internal/proconsul/floating/service/', floatingPlaceOf('service')),
  route('GET', '/v1/internal/proconsul/floating/check/', floatingPlaceOf('check')),
  // With the right upgrade the connection never gets here.
  route('GET', MUX_PATH, () =>
    textReply(426, `This path is for connections that upgrade to ${MUX_PROTOCOL}.`, [
      'Upgrade',
      MUX_PROTOCOL,
    ]),
  ),
];

function floatingPlaceOf(kind: 'service' | 'check') {
  const prefix = `/v1/internal/proconsul/floating/${kind}/`;
  return (request: HttpRequest): Promise<Reply> => {
    const id = requiredPart(request, prefix, `Missing ${kind} ID`);
    return serveValue(request, floatingPlace, { kind, id }, PLAIN_READ, (place, headers) =>
      place === null ? { ...NOT_FOUND, headers } : jsonReply(placeJson(place), request.isPretty, headers),
    );
  };
}

function placeJson({ id, node, generation }: FloatingPlace): unknown {
  return { ID: id, Node: node, Generation: generation };
}

export function agentOf(request: HttpRequest): AgentApi {
  return request.context.dependencies.agent;
}

export async function done(work: Promise<void>): Promise<Reply> {
  await work;
  return EMPTY_OK;
}

function selfJson(self: AgentSelf): unknown {
  const { config } = self;
  return {
    Config: {
      Datacenter: config.datacenter,
      NodeName: config.nodeName,
      NodeID: config.nodeId,
      Revision: config.revision,
      Server: config.isServer,
      Version: config.version,
    },
    DebugConfig: sortedDeep(self.debugConfig),
    Coord: self.coordinate,
    Member: memberJson(self.member),
    Stats: sortedDeep(self.stats),
    Meta: sortedByKey(self.meta),
  };
}

const NO_SEGMENTS = 'Network segments are not supported in this version of Consul';

function members(request: HttpRequest): Reply {
  const isWan = hasText(request, 'wan');
  const segment = request.query.text('segment');
  if (segment !== '' && segment !== '_all') {
    if (isWan) throw badRequest('Cannot provide a segment with wan=true');
    throw refused(NO_SEGMENTS);
  }
  const list = agentOf(request).members(isWan);
  return jsonReply(list === null ? null : list.map(memberJson), request.isPretty);
}

function metrics(request: HttpRequest): Reply {
  const accept = request.header('accept') ?? '';
  const wantsPrometheus =
    request.query.text('format') === 'prometheus' ||
    /application\/openmetrics-text|text\/plain;version=0\.4\.0/.test(accept);
  if (!wantsPrometheus) return jsonReply(agentOf(request).metrics(), request.isPretty);
  const text = agentOf(request).prometheusMetrics();
  if (text === undefined) throw new ConsulError('refused', 415, PROMETHEUS_OFF);
  return { status: 200, headers: PROMETHEUS_HEADERS, body: text };
}

const PROMETHEUS_OFF = 'Prometheus is not enabled since its retention time is not positive';
const PROMETHEUS_HEADERS = ['Content-Type', 'text/plain; version=0.0.4; charset=utf-8'];

function nodeMaintenance(request: HttpRequest): Promise<Reply> {
  const enable = maintenanceFlag(request);
  return done(agentOf(request).setNodeMaintenance(enable, request.query.text('reason')));
}

/** `?enable`. @throws ConsulError 400 */
export function maintenanceFlag(request: HttpRequest): boolean {
  const text = request.query.get('enable');
  if (text === undefined) throw badRequest('Missing value for enable');
  const enable = parseGoBool(text);
  if (enable === undefined) throw badRequest(`Invalid value for enable: ${JSON.stringify(text)}`);
  return enable;
}

/** A value key: its empty form counts as absent. */
function hasText(request: HttpRequest, key: string): boolean {
  return request.rawQuery !== '' && request.query.text(key) !== '';
}
