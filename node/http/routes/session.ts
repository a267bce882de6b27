/** `/v1/session/*`. */

import { NS_PER_MS } from '../../../shared/durations.ts';
import { ConsulError } from '../../../shared/errors.ts';
import {
  type SessionCreateArgs,
  sessionCreate,
  sessionDestroy,
  sessionGet,
  sessionList,
  sessionNodeSessions,
  sessionRenew,
} from '../../rpc/endpoints.ts';
import {
  type Decoded,
  type Decoder,
  durationNs,
  listOf,
  optional,
  rawNode,
  struct,
  text,
} from '../go-json.ts';
import type { JsonNode } from '../go-json-parse.ts';
import { PLAIN_READ, serveRead } from '../read.ts';
import { booleanReply, jsonReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { callOptions, decodeBytes, requiredPart } from './parts.ts';

export const sessionRoutes = [
  route('PUT', '/v1/session/create', create),
  route('PUT', '/v1/session/destroy/', destroy),
  route('PUT', '/v1/session/renew/', renew),
  route('GET', '/v1/session/info/', (request) => {
    request.refuseNamespace();
    const id = requiredPart(request, '/v1/session/info/', 'Missing session');
    return serveRead(request, sessionGet, { id }, PLAIN_READ);
  }),
  route('GET', '/v1/session/node/', (request) => {
    request.refuseNamespace();
    const node = requiredPart(request, '/v1/session/node/', 'Missing node name');
    return serveRead(request, sessionNodeSessions, { node }, PLAIN_READ);
  }),
  route('GET', '/v1/session/list', (request) => {
    request.refuseNamespace();
    return serveRead(request, sessionList, {}, PLAIN_READ);
  }),
];

const sessionBody = struct(
  {
    Name: text,
    Node: rawNode,
    LockDelay: rawNode,
    Behavior: text,
    TTL: text,
    NodeChecks: rawNode,
    ServiceChecks: listOf(struct({ ID: text, Namespace: text }, { ignoreUnknown: true })),
    Checks: rawNode,
  },
  { ignoreUnknown: true },
);

const checkNames = listOf(text);

async function create(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const body = await request.jsonBody();
  // A body that does not announce its length is not looked at, as in Consul.
  const isGiven = body.length > 0 && (request.contentLength ?? 0) > 0;
  const decoded = isGiven ? decodeBytes(body, sessionDefinition) : undefined;
  const args = sessionArgs(decoded, request.context.config.nodeName);
  const { backend } = request.context.dependencies;
  const ID = await backend.write(sessionCreate, args, callOptions(request));
  return jsonReply({ ID }, request.isPretty);
}

interface SessionDefinition extends SessionChecks {
  /** undefined: not given, which means the agent's own; an empty name is refused by the servers. */
  readonly node: string | undefined;
  readonly body: Decoded<typeof sessionBody>;
  readonly lockDelayNs: number;
}

interface SessionChecks {
  readonly nodeChecks: readonly string[];
  readonly checks: readonly string[] | undefined;
}

const DEFAULT_CHECKS: readonly string[] = ['serfHealth'];

/** The fields whose absence differs from their zero value are looked at here. */
const sessionDefinition: Decoder<SessionDefinition> = {
  get zero() {
    const defaults = effectiveChecks(DEFAULT_CHECKS, DEFAULT_CHECKS);
    return { node: undefined, body: sessionBody.zero, lockDelayNs: DEFAULT_LOCK_DELAY_NS, ...defaults };
  },
  decode(node, state, field) {
    const body = sessionBody.decode(node, state, field);
    const list = (value: JsonNode | undefined, path: string) =>
      value === undefined ? DEFAULT_CHECKS : checkNames.decode(value, state, path);
    return {
      node: optional(text).decode(body.Node ?? null, state, '.Node'),
      body,
      lockDelayNs:
        body.LockDelay === undefined ? DEFAULT_LOCK_DELAY_NS : lockDelay(durationNs(body.LockDelay)),
      ...effectiveChecks(list(body.NodeChecks, '.NodeChecks'), list(body.Checks, '.Checks')),
    };
  },
};

/** How the old `Checks` and the new `NodeChecks` go together. null: given as such. */
function effectiveChecks(
  nodeChecks: readonly string[] | null,
  checks: readonly string[] | null,
): SessionChecks {
  if (checks?.length === 0) return { nodeChecks: [], checks: undefined };
  const isDefault = checks?.length === 1 && checks[0] === DEFAULT_CHECKS[0];
  const isDropped = checks === null || isDefault || nodeChecks === null || nodeChecks.length === 0;
  return { nodeChecks: nodeChecks ?? [], checks: isDropped ? undefined : checks };
}

const DEFAULT_LOCK_DELAY_NS = 15_000 * NS_PER_MS;
const SECOND_NS = 1000 * NS_PER_MS;

/** Clients that mean seconds send small plain numbers: what is below 1000 ns counts as seconds. Wraps like an int64. */
function lockDelay(ns: number): number {
  if (ns >= 1000) return ns;
  return Number(BigInt.asIntN(64, BigInt(ns) * BigInt(SECOND_NS)));
}

function sessionArgs(definition: SessionDefinition | undefined, nodeName: string): SessionCreateArgs {
  const given = definition ?? sessionDefinition.zero;
  return {
    name: given.body.Name,
    node: given.node ?? nodeName,
    lockDelayNs: given.lockDelayNs,
    behavior: given.body.Behavior === '' ? 'release' : given.body.Behavior,
    ttl: given.body.TTL,
    nodeChecks: given.nodeChecks,
    serviceChecks: given.body.ServiceChecks,
    checks: given.checks,
  };
}

async function destroy(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const id = requiredPart(request, '/v1/session/destroy/', 'Missing session');
  const { backend } = request.context.dependencies;
  const done = await backend.write(sessionDestroy, { id }, callOptions(request));
  return booleanReply(done, request.isPretty);
}

async function renew(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const id = requiredPart(request, '/v1/session/renew/', 'Missing session');
  const { backend } = request.context.dependencies;
  const sessions = await backend.write(sessionRenew, { id }, callOptions(request));
  if (sessions.length === 0) throw new ConsulError('not-found', 404, `Session id '${id}' not found`);
  return jsonReply(sessions, request.isPretty);
}
