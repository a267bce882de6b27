/** The API as a table: one line an operation. Agents' routes are held against it; the OpenAPI document is made from it. */

import type { QueryParameter } from './parameters.ts';
import { anyObject, anything, flag, list, mapOf, orNull, part, type Schema, text, texts } from './schema.ts';
import { ref } from './schemas.ts';

export type HttpMethod = 'GET' | 'PUT' | 'POST' | 'DELETE';

/** JSON of a schema, or bytes of a media type. */
export type Content = { readonly schema: Schema } | { readonly bytes: string };

export interface Operation {
  /** Unique; the first word is the group. */
  readonly id: string;
  readonly method: HttpMethod;
  /** `{…}` stands for one part, `{key}`, `{name}` and `{gateway}` for all the rest. */
  readonly path: string;
  readonly summary: string;
  readonly query: readonly QueryParameter[];
  readonly body: Content | undefined;
  /** undefined: 200 without a body. */
  readonly answer: Content | undefined;
  /** What other statuses mean, where one status is part of the normal use. */
  readonly otherwise?: Readonly<Record<number, string>>;
}

type Extra = Partial<Pick<Operation, 'query' | 'body' | 'otherwise'>>;

const CONSISTENCY = ['dc', 'stale', 'consistent', 'max_stale'] as const;
/** The parameters that most reads take. */
const READ = [...CONSISTENCY, 'index', 'wait'] as const;
const DISCOVERY = [...READ, 'filter'] as const;
const LISTING = [...DISCOVERY, 'near', 'node-meta'] as const;
const INSTANCES = [...LISTING, 'cached', 'passing'] as const;

const MISSING = { 404: 'There is none.' };
const TOKEN_NEEDED = { 401: 'Access control is off.' };

function operation(method: HttpMethod) {
  return (id: string, path: string, summary: string, answer?: Schema, extra: Extra = {}): Operation => ({
    id,
    method,
    path,
    summary,
    query: [],
    body: undefined,
    answer: answer === undefined ? undefined : { schema: answer },
    ...extra,
  });
}

const get = operation('GET');
const put = operation('PUT');
const post = operation('POST');
const remove = operation('DELETE');

const AGENT: readonly Operation[] = [
  get('agentSelf', '/v1/agent/self', 'What the agent is and how it is set up.', ref('AgentSelf')),
  get('agentHost', '/v1/agent/host', 'Memory, processors and disk of its machine.', anyObject),
  get('agentMembers', '/v1/agent/members', 'Members of its gossip pool.', orNull(list(ref('Member'))), {
    query: ['wan', 'segment'],
  }),
  get('agentMetrics', '/v1/agent/metrics', 'Its counters.', ref('AgentMetrics'), { query: ['format'] }),
  {
    ...get('agentMonitor', '/v1/agent/monitor', 'Its log as it is written, without end.'),
    query: ['loglevel', 'logjson'],
    answer: { bytes: 'text/plain' },
  },
  put('agentMaintenance', '/v1/agent/maintenance', 'Takes the node out of service, or back.', undefined, {
    query: ['enable', 'reason'],
  }),
  put('agentReload', '/v1/agent/reload', 'Reads the configuration files again.'),
  put('agentJoin', '/v1/agent/join/{address}', 'Joins the pool of another agent.', undefined, {
    query: ['wan'],
  }),
  put('agentLeave', '/v1/agent/leave', 'Leaves the pool and ends the agent.'),
  put('agentForceLeave', '/v1/agent/force-leave/{node}', 'Declares a failed member gone.', undefined, {
    query: ['prune'],
  }),
  put('agentToken', '/v1/agent/token/{kind}', 'Sets a token that the agent uses.', undefined, {
    body: { schema: part({ Token: text }) },
    otherwise: TOKEN_NEEDED,
  }),
  get('agentServices', '/v1/agent/services', 'Services of the agent by ID.', mapOf(ref('AgentService')), {
    query: ['filter'],
  }),
  get('agentService', '/v1/agent/service/{serviceId}', 'One service of the agent.', ref('AgentService'), {
    query: ['hash', 'wait'],
    otherwise: MISSING,
  }),
  put('agentServiceRegister', '/v1/agent/service/register', 'Registers a service.', undefined, {
    query: ['replace-existing-checks'],
    body: { schema: ref('ServiceRegistration') },
  }),
  put(
    'agentServiceDeregister',
    '/v1/agent/service/deregister/{serviceId}',
    'Removes a service and its checks.',
  ),
  put(
    'agentServiceMaintenance',
    '/v1/agent/service/maintenance/{serviceId}',
    'Takes a service out of service, or back.',
    undefined,
    { query: ['enable', 'reason'], otherwise: MISSING },
  ),
  get('agentChecks', '/v1/agent/checks', 'Checks of the agent by ID.', mapOf(ref('HealthCheck')), {
    query: ['filter'],
  }),
  put('agentCheckRegister', '/v1/agent/check/register', 'Registers a check.', undefined, {
    body: { schema: ref('CheckRegistration') },
  }),
  put('agentCheckDeregister', '/v1/agent/check/deregister/{check}', 'Removes a check.'),
  put('agentCheckPass', '/v1/agent/check/pass/{check}', 'A TTL check passes.', undefined, {
    query: ['note'],
  }),
  put('agentCheckWarn', '/v1/agent/check/warn/{check}', 'A TTL check warns.', undefined, { query: ['note'] }),
  put('agentCheckFail', '/v1/agent/check/fail/{check}', 'A TTL check fails.', undefined, { query: ['note'] }),
  put('agentCheckUpdate', '/v1/agent/check/update/{check}', 'State and output of a TTL check.', undefined, {
    body: { schema: ref('CheckUpdate') },
  }),
  get(
    'agentHealthById',
    '/v1/agent/health/service/id/{serviceId}',
    'Health of one service of the agent; the status says it too.',
    ref('AgentServiceHealth'),
    {
      query: ['format'],
      otherwise: { 429: 'Warning.', 503: 'Critical, or in maintenance.', ...MISSING },
    },
  ),
  get(
    'agentHealthByName',
    '/v1/agent/health/service/name/{service}',
    'Health of all instances of a service of the agent; the status is that of the worst.',
    list(ref('AgentServiceHealth')),
    {
      query: ['format'],
      otherwise: { 429: 'Warning.', 503: 'Critical, or in maintenance.', ...MISSING },
    },
  ),
];

const CATALOG: readonly Operation[] = [
  put('catalogRegister', '/v1/catalog/register', 'Writes a node, a service and checks.', flag, {
    body: { schema: ref('CatalogRegistration') },
  }),
  put('catalogDeregister', '/v1/catalog/deregister', 'Removes a service, a check or a node.', flag, {
    body: { schema: ref('CatalogDeregistration') },
  }),
  get('catalogDatacenters', '/v1/catalog/datacenters', 'Known datacenters, the nearest first.', texts, {
    query: ['cached'],
  }),
  get('catalogNodes', '/v1/catalog/nodes', 'All nodes.', list(ref('Node')), { query: LISTING }),
  get('catalogServices', '/v1/catalog/services', 'Names of all services with their tags.', mapOf(texts), {
    query: [...READ, 'cached', 'node-meta'],
  }),
  get(
    'catalogService',
    '/v1/catalog/service/{service}',
    'Instances of a service.',
    list(ref('ServiceNode')),
    {
      query: [...LISTING, 'cached', 'tag'],
    },
  ),
  get(
    'catalogConnect',
    '/v1/catalog/connect/{service}',
    'Mesh proxies of a service.',
    list(ref('ServiceNode')),
    {
      query: [...LISTING, 'cached'],
    },
  ),
  get('catalogNode', '/v1/catalog/node/{node}', 'A node and its services.', orNull(ref('NodeWithServices')), {
    query: DISCOVERY,
  }),
  get(
    'catalogNodeServices',
    '/v1/catalog/node-services/{node}',
    'A node and its services as a list.',
    ref('NodeWithServiceList'),
    { query: DISCOVERY },
  ),
  get(
    'catalogGatewayServices',
    '/v1/catalog/gateway-services/{gateway}',
    'Services behind a mesh gateway.',
    orNull(list(anyObject)),
    { query: READ },
  ),
];

const HEALTH: readonly Operation[] = [
  get('healthNode', '/v1/health/node/{node}', 'Checks of a node.', list(ref('HealthCheck')), {
    query: DISCOVERY,
  }),
  get('healthChecks', '/v1/health/checks/{service}', 'Checks of a service.', list(ref('HealthCheck')), {
    query: LISTING,
  }),
  get('healthState', '/v1/health/state/{state}', 'Checks in a state.', list(ref('HealthCheck')), {
    query: LISTING,
  }),
  get(
    'healthService',
    '/v1/health/service/{service}',
    'Instances of a service with their checks.',
    list(ref('HealthEntry')),
    { query: [...INSTANCES, 'tag'] },
  ),
  get(
    'healthConnect',
    '/v1/health/connect/{service}',
    'Mesh proxies of a service with their checks.',
    list(ref('HealthEntry')),
    { query: INSTANCES },
  ),
  get(
    'healthIngress',
    '/v1/health/ingress/{service}',
    'Ingress gateways of a service with their checks.',
    list(ref('HealthEntry')),
    { query: INSTANCES },
  ),
];

const KV_AND_TXN: readonly Operation[] = [
  get(
    'kvGet',
    '/v1/kv/{key}',
    'A value, with `recurse` all below it, with `keys` their names, with `raw` only its bytes.',
    { anyOf: [list(ref('KvEntry')), texts] },
    { query: [...READ, 'recurse', 'keys', 'separator', 'raw'], otherwise: MISSING },
  ),
  put('kvPut', '/v1/kv/{key}', 'Writes a value; `false` if a condition did not hold.', flag, {
    query: ['dc', 'flags', 'cas', 'acquire', 'release'],
    body: { bytes: 'application/octet-stream' },
    otherwise: { 413: 'The value is too large.' },
  }),
  remove('kvDelete', '/v1/kv/{key}', 'Deletes a key, with `recurse` all below it.', flag, {
    query: ['dc', 'recurse', 'cas'],
  }),
  put('txn', '/v1/txn', 'Applies operations together or not at all.', ref('TxnOutcome'), {
    query: CONSISTENCY,
    body: { schema: list(ref('TxnOperation')) },
    otherwise: { 409: 'Refused, and nothing was applied: `Errors` says why.', 413: 'Too large.' },
  }),
];

const SESSION: readonly Operation[] = [
  put('sessionCreate', '/v1/session/create', 'Opens a session.', ref('CreatedId'), {
    query: ['dc'],
    body: { schema: ref('SessionRequest') },
  }),
  put('sessionDestroy', '/v1/session/destroy/{session}', 'Ends a session; its locks fall free.', flag, {
    query: ['dc'],
  }),
  put('sessionRenew', '/v1/session/renew/{session}', 'Keeps a session alive.', list(ref('Session')), {
    query: ['dc'],
    otherwise: MISSING,
  }),
  get('sessionInfo', '/v1/session/info/{session}', 'One session, or none.', list(ref('Session')), {
    query: READ,
  }),
  get('sessionNode', '/v1/session/node/{node}', 'Sessions of a node.', list(ref('Session')), { query: READ }),
  get('sessionList', '/v1/session/list', 'All sessions.', list(ref('Session')), { query: READ }),
];

const QUERY: readonly Operation[] = [
  get('queryList', '/v1/query', 'All prepared queries.', list(ref('PreparedQuery')), { query: READ }),
  post('queryCreate', '/v1/query', 'Makes a prepared query.', ref('CreatedId'), {
    query: ['dc'],
    body: { schema: ref('QueryRequest') },
  }),
  get('queryGet', '/v1/query/{id}', 'One prepared query.', list(ref('PreparedQuery')), {
    query: READ,
    otherwise: MISSING,
  }),
  put('queryUpdate', '/v1/query/{id}', 'Replaces a prepared query.', undefined, {
    query: ['dc'],
    body: { schema: ref('QueryRequest') },
  }),
  remove('queryDelete', '/v1/query/{id}', 'Deletes a prepared query.', undefined, { query: ['dc'] }),
  get('queryExecute', '/v1/query/{query}/execute', 'Finds what it looks for.', ref('QueryResult'), {
    query: [...CONSISTENCY, 'cached', 'near', 'limit', 'connect'],
    otherwise: MISSING,
  }),
  get('queryExplain', '/v1/query/{query}/explain', 'What it would look for.', ref('QueryExplanation'), {
    query: [...CONSISTENCY, 'near', 'limit'],
    otherwise: MISSING,
  }),
];

const EVENT: readonly Operation[] = [
  put('eventFire', '/v1/event/fire/{name}', 'Tells an event to all agents.', ref('Event'), {
    query: ['dc', 'node', 'service', 'tag'],
    body: { bytes: 'application/octet-stream' },
  }),
  get('eventList', '/v1/event/list', 'Events that the agent has heard, oldest first.', list(ref('Event')), {
    query: ['name', 'index', 'wait'],
  }),
];

const COORDINATE: readonly Operation[] = [
  get('coordinateNodes', '/v1/coordinate/nodes', 'Where all nodes are.', list(ref('NodeCoordinate')), {
    query: [...READ, 'segment'],
  }),
  get('coordinateNode', '/v1/coordinate/node/{node}', 'Where a node is.', list(ref('NodeCoordinate')), {
    query: [...READ, 'segment'],
    otherwise: MISSING,
  }),
  put('coordinateUpdate', '/v1/coordinate/update', 'Moves a node.', undefined, {
    query: ['dc'],
    body: { schema: ref('CoordinateUpdate') },
  }),
];

const OPERATOR: readonly Operation[] = [
  get(
    'operatorRaft',
    '/v1/operator/raft/configuration',
    'The Raft configuration.',
    ref('RaftConfiguration'),
    {
      query: ['dc', 'stale'],
    },
  ),
  remove('operatorRaftRemove', '/v1/operator/raft/peer', 'Takes a server out.', undefined, {
    query: ['dc', 'id', 'address'],
  }),
  get('statusLeader', '/v1/status/leader', 'Address of the leader, empty if there is none.', text, {
    query: ['dc'],
  }),
  get('statusPeers', '/v1/status/peers', 'Addresses of all servers.', texts, { query: ['dc'] }),
];

const CONFIG: readonly Operation[] = [
  put('configPut', '/v1/config', 'Writes a configuration entry.', flag, {
    query: ['dc', 'cas'],
    body: { schema: anyObject },
  }),
  get('configList', '/v1/config/{kind}', 'Entries of a kind.', list(anyObject), { query: READ }),
  get('configGet', '/v1/config/{kind}/{name}', 'One entry.', anyObject, { query: READ, otherwise: MISSING }),
  remove('configDelete', '/v1/config/{kind}/{name}', 'Deletes an entry.', anyObject, { query: ['dc'] }),
];

const INTERNAL: readonly Operation[] = [
  get('internalUiNodes', '/v1/internal/ui/nodes', 'Nodes with everything on them.', list(ref('UiNode')), {
    query: DISCOVERY,
  }),
  get('internalUiNode', '/v1/internal/ui/node/{node}', 'One node with everything on it.', ref('UiNode'), {
    query: READ,
    otherwise: MISSING,
  }),
  get(
    'internalUiServices',
    '/v1/internal/ui/services',
    'Services in numbers.',
    list(ref('UiServiceSummary')),
    { query: DISCOVERY },
  ),
  get(
    'internalUiGatewayServices',
    '/v1/internal/ui/gateway-services-nodes/{gateway}',
    'Services behind a mesh gateway in numbers.',
    list(ref('UiServiceSummary')),
    { query: READ },
  ),
  get(
    'internalPool',
    '/v1/internal/proconsul/pool',
    'How a gateway follows the pool.',
    list(part({ node: text, id: text, role: text, status: text, httpAddress: text, isLeader: flag })),
  ),
];

/** All of them answer 401 while access control is off. */
const ACL: readonly Operation[] = (
  [
    ['PUT', 'bootstrap', 'Makes the first management token.'],
    ['GET', 'replication', 'How replication is going.'],
    ['GET', 'tokens', 'All tokens.'],
    ['PUT', 'token', 'Makes a token.'],
    ['GET', 'token/self', 'The token of the request.'],
    ['GET', 'token/{accessor}', 'One token.'],
    ['PUT', 'token/{accessor}', 'Changes a token.'],
    ['PUT', 'token/{accessor}/clone', 'Copies a token.'],
    ['DELETE', 'token/{accessor}', 'Deletes a token.'],
    ['GET', 'policies', 'All policies.'],
    ['PUT', 'policy', 'Makes a policy.'],
    ['GET', 'policy/name/{name}', 'One policy by name.'],
    ['GET', 'policy/{id}', 'One policy.'],
    ['PUT', 'policy/{id}', 'Changes a policy.'],
    ['DELETE', 'policy/{id}', 'Deletes a policy.'],
    ['GET', 'roles', 'All roles.'],
    ['PUT', 'role', 'Makes a role.'],
    ['GET', 'role/name/{name}', 'One role by name.'],
    ['GET', 'role/{id}', 'One role.'],
    ['PUT', 'role/{id}', 'Changes a role.'],
    ['DELETE', 'role/{id}', 'Deletes a role.'],
    ['GET', 'auth-methods', 'All auth methods.'],
    ['PUT', 'auth-method', 'Makes an auth method.'],
    ['GET', 'auth-method/{name}', 'One auth method.'],
    ['PUT', 'auth-method/{name}', 'Changes an auth method.'],
    ['DELETE', 'auth-method/{name}', 'Deletes an auth method.'],
    ['GET', 'binding-rules', 'All binding rules.'],
    ['PUT', 'binding-rule', 'Makes a binding rule.'],
    ['GET', 'binding-rule/{id}', 'One binding rule.'],
    ['PUT', 'binding-rule/{id}', 'Changes a binding rule.'],
    ['DELETE', 'binding-rule/{id}', 'Deletes a binding rule.'],
    ['POST', 'login', 'Trades a credential for a token.'],
    ['POST', 'logout', 'Ends a token made by a login.'],
    ['POST', 'rules/translate', 'Old rules in the new language.'],
    ['GET', 'rules/translate/{accessor}', 'Rules of an old token in the new language.'],
    ['PUT', 'create', 'Makes an old token.'],
    ['PUT', 'update', 'Changes an old token.'],
    ['PUT', 'destroy/{id}', 'Deletes an old token.'],
    ['PUT', 'clone/{id}', 'Copies an old token.'],
    ['GET', 'info/{id}', 'One old token.'],
    ['GET', 'list', 'All old tokens.'],
  ] as const
).map(([method, path, summary]) => aclOperation(method, `/v1/acl/${path}`, summary));

const AUTHORIZE = aclOperation('POST', '/v1/internal/acl/authorize', 'What a token may do.');

function aclOperation(method: HttpMethod, path: string, summary: string): Operation {
  const words = path.replace(/^\/v1\//, '').split(/[^a-z]+/);
  const name = words.filter((word) => word !== '').map((word) => word[0]?.toUpperCase() + word.slice(1));
  const id = `${method.toLowerCase()}${name.join('')}`;
  const takesBody =
    method === 'POST' || (method === 'PUT' && !/^\/v1\/acl\/(?:bootstrap|destroy|clone)/.test(path));
  const body = takesBody ? { body: { schema: anything } } : {};
  return operation(method)(id, path, summary, anything, { ...body, otherwise: TOKEN_NEEDED });
}

const DESCRIPTION = get('openApi', '/openapi.json', 'This description.', anyObject);

/** What agents serve, and gateways pass on. */
export const OPERATIONS: readonly Operation[] = [
  ...AGENT,
  ...CATALOG,
  ...HEALTH,
  ...KV_AND_TXN,
  ...SESSION,
  ...QUERY,
  ...EVENT,
  ...COORDINATE,
  ...OPERATOR,
  ...CONFIG,
  ...INTERNAL,
  ...ACL,
  AUTHORIZE,
  DESCRIPTION,
];
