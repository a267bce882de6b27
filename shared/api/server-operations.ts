/** What servers answer and agents pass on: catalog, health, keys and values, sessions, queries, operators. */

import {
  CONSISTENCY,
  DISCOVERY,
  get,
  INSTANCES,
  LISTING,
  MISSING,
  type Operation,
  post,
  put,
  READ,
  remove,
} from './operation.ts';
import { anyObject, flag, list, mapOf, orNull, texts } from './schema.ts';
import { ref } from './schemas.ts';

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
  put('txn', '/v1/txn', 'Applies operations together or not at all.', ref('TxnAnswer'), {
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
  get(
    'coordinateDatacenters',
    '/v1/coordinate/datacenters',
    'Where the servers of all datacenters are.',
    list(ref('DatacenterCoordinates')),
  ),
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

const CONFIG: readonly Operation[] = [
  put('configPut', '/v1/config', 'Writes a configuration entry.', flag, {
    query: ['dc', 'cas'],
    body: { schema: anyObject },
  }),
  get('configList', '/v1/config/{kind}', 'Entries of a kind.', list(anyObject), { query: READ }),
  get('configGet', '/v1/config/{kind}/{name}', 'One entry.', anyObject, { query: READ, otherwise: MISSING }),
  remove('configDelete', '/v1/config/{kind}/{name}', 'Deletes an entry.', anyObject, { query: ['dc'] }),
];

export const SERVER_OPERATIONS: readonly Operation[] = [
  ...CATALOG,
  ...HEALTH,
  ...KV_AND_TXN,
  ...SESSION,
  ...QUERY,
  ...EVENT,
  ...COORDINATE,
  ...CONFIG,
];
