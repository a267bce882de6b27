import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noPathToDatacenter } from '../../../shared/errors.ts';
import type { ReadOptions } from '../../rpc/backend.ts';
import { DEFAULT_HTTP_CONFIG } from '../options.ts';
import { send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;

const ENDPOINTS = [
  'Catalog.ListNodes',
  'Catalog.ListServices',
  'Catalog.ServiceNodes',
  'Catalog.NodeServices',
  'Catalog.NodeServiceList',
  'Catalog.ListDatacenters',
  'Health.NodeChecks',
  'Health.ServiceChecks',
  'Health.ChecksInState',
  'Health.ServiceNodes',
  'Session.Get',
  'Session.List',
  'Session.NodeSessions',
  'Status.Leader',
  'Coordinate.ListNodes',
  'Operator.RaftGetConfiguration',
];

beforeAll(async () => {
  server = await startTestServer();
  for (const endpoint of ENDPOINTS)
    server.backend.answer(endpoint, (_args, options: ReadOptions) => {
      if (options.datacenter === 'zz') throw noPathToDatacenter();
      return [];
    });
});

afterAll(() => server.server.close());

/** Options of the last read, without what every request has. */
function lastOptions(): Partial<ReadOptions> {
  const { signal, ...rest } = server.backend.lastCall().options as ReadOptions;
  return rest;
}

const NONE = { filter: '', near: '', nodeMeta: {} };

test.each([
  ['/v1/catalog/nodes', 'Catalog.ListNodes', NONE],
  [
    '/v1/catalog/nodes?near=_agent&node-meta=a:b:c&node-meta=d&filter=x',
    'Catalog.ListNodes',
    { filter: 'x', near: 'n1', nodeMeta: { a: 'b:c', d: '' } },
  ],
  ['/v1/catalog/services?node-meta=k:v', 'Catalog.ListServices', { nodeMeta: { k: 'v' } }],
  [
    '/v1/catalog/service/web?tag=a&tag=b',
    'Catalog.ServiceNodes',
    { ...NONE, service: 'web', tags: ['a', 'b'], kind: 'service' },
  ],
  [
    '/v1/catalog/connect/web?tag=a',
    'Catalog.ServiceNodes',
    { ...NONE, service: 'web', tags: [], kind: 'connect' },
  ],
  ['/v1/catalog/node/n1?filter=x', 'Catalog.NodeServices', { node: 'n1', filter: 'x' }],
  ['/v1/catalog/node-services/n1', 'Catalog.NodeServiceList', { node: 'n1', filter: '' }],
  ['/v1/catalog/datacenters', 'Catalog.ListDatacenters', {}],
  ['/v1/health/node/n1', 'Health.NodeChecks', { node: 'n1', filter: '' }],
  ['/v1/health/checks/web?near=b', 'Health.ServiceChecks', { ...NONE, near: 'b', service: 'web' }],
  ['/v1/health/state/any', 'Health.ChecksInState', { ...NONE, state: 'any' }],
  [
    '/v1/health/service/a/b',
    'Health.ServiceNodes',
    { ...NONE, service: 'a/b', tags: [], kind: 'service', passingOnly: false },
  ],
  ['/v1/health/service/web?passing', 'Health.ServiceNodes', { passingOnly: true }],
  ['/v1/health/service/web?passing=T', 'Health.ServiceNodes', { passingOnly: true }],
  ['/v1/health/service/web?passing=0', 'Health.ServiceNodes', { passingOnly: false }],
  ['/v1/health/ingress/web', 'Health.ServiceNodes', { kind: 'ingress' }],
  ['/v1/session/info/id', 'Session.Get', { id: 'id' }],
  ['/v1/session/node/n1', 'Session.NodeSessions', { node: 'n1' }],
  ['/v1/session/list', 'Session.List', {}],
  ['/v1/coordinate/nodes', 'Coordinate.ListNodes', {}],
  ['/v1/operator/raft/configuration', 'Operator.RaftGetConfiguration', {}],
])('%s', async (path, endpoint, args) => {
  expect(await send(server, 'GET', path)).toMatchObject({ status: 200, text: '[]' });
  expect(server.backend.lastCall()).toMatchObject({ endpoint, args });
});

describe('meta headers', () => {
  test.each([
    ['/v1/catalog/nodes', 'leader'],
    ['/v1/health/state/any?stale=false', 'stale'],
    ['/v1/catalog/services?consistent', 'consistent'],
    ['/v1/session/list', undefined],
    ['/v1/coordinate/nodes', undefined],
  ])('%s has all', async (path, effective) => {
    const { headers } = await send(server, 'GET', path);
    expect(headers).toMatchObject({ 'x-consul-index': '7', 'x-consul-knownleader': 'true' });
    expect(headers['x-consul-lastcontact']).toBe('0');
    expect(headers['x-consul-effective-consistency']).toBe(effective);
  });

  test.each(['/v1/catalog/datacenters', '/v1/status/leader', '/v1/operator/raft/configuration'])(
    '%s has none',
    async (path) => {
      const answers = [await send(server, 'GET', path), await send(server, 'GET', `${path}?dc=zz`)];
      for (const { headers } of answers)
        expect(Object.keys(headers).filter((name) => name.startsWith('x-consul'))).toEqual([]);
    },
  );

  test.each(['/v1/catalog/nodes', '/v1/health/service/x', '/v1/session/list', '/v1/coordinate/nodes'])(
    '%s sends them with failures of the call',
    async (path) => {
      const answer = await send(server, 'GET', `${path}?dc=zz`);
      expect(answer).toMatchObject({ status: 500, text: 'No path to datacenter' });
      expect(answer.headers).toMatchObject({
        'x-consul-index': '1',
        'x-consul-knownleader': 'false',
        'x-consul-lastcontact': '0',
      });
      expect(answer.headers['x-consul-effective-consistency']).toBeUndefined();
    },
  );

  test('index 0 is sent as 1, parts of milliseconds are cut', async () => {
    const before = server.backend.meta;
    server.backend.meta = { index: 0, knownLeader: false, lastContactMs: 12.7 };
    const { headers } = await send(server, 'GET', '/v1/session/list');
    server.backend.meta = before;
    expect(headers).toMatchObject({
      'x-consul-index': '1',
      'x-consul-knownleader': 'false',
      'x-consul-lastcontact': '12',
    });
  });
});

describe('read parameters', () => {
  test.each([
    ['?stale&consistent', 'Cannot specify ?stale with ?consistent, conflicting semantics.'],
    ['?consistent=1&stale=1', 'Cannot specify ?stale with ?consistent, conflicting semantics.'],
    ['?max_stale=1s&consistent', 'Cannot specify ?stale with ?consistent, conflicting semantics.'],
    ['?cached&consistent', 'Cannot specify ?cached with ?consistent, conflicting semantics.'],
    ['?max_stale=soon', 'Invalid max_stale value "soon"'],
    ['?index=abc', 'Invalid index'],
    ['?index=-1', 'Invalid index'],
    ['?index=1.5', 'Invalid index'],
    ['?index=99999999999999999999', 'Invalid index'],
    ['?wait=abc&index=1', 'Invalid wait time'],
    ['?wait=10&index=x', 'Invalid wait time'],
    ['?stale&consistent&wait=x', 'Cannot specify ?stale with ?consistent, conflicting semantics.'],
  ])('%s', async (query, text) => {
    const answer = await send(server, 'GET', `/v1/health/service/x${query}`);
    expect(answer).toMatchObject({ status: 400, text });
    expect(answer.headers['x-consul-index']).toBeUndefined();
  });

  test('Cache-Control must hold numbers', async () => {
    const bad = { headers: { 'Cache-Control': 'max-age=soon' } };
    expect(await send(server, 'GET', '/v1/catalog/nodes', bad)).toMatchObject({
      status: 400,
      text: 'Invalid Cache-Control header.',
    });
    const good = { headers: { 'Cache-Control': 'max-age=60, must-revalidate' } };
    expect((await send(server, 'GET', '/v1/catalog/nodes?cached', good)).status).toBe(200);
  });

  test.each([
    ['', { consistency: 'default', datacenter: '' }],
    ['?dc=dc2&dc=zz', { datacenter: 'dc2' }],
    ['?leader', { consistency: 'default' }],
    ['?consistent', { consistency: 'consistent' }],
    ['?max_stale=0s', { consistency: 'default', maxStaleMs: undefined }],
    ['?max_stale=1500ms', { consistency: 'stale', maxStaleMs: 1500 }],
    ['?index=5', { minIndex: 5, waitMs: 300_000 }],
    ['?index=5&wait=-5s', { minIndex: 5, waitMs: 300_000 }],
    ['?index=5&wait=1m', { minIndex: 5, waitMs: 60_000 }],
    ['?index=5&wait=1h', { minIndex: 5, waitMs: 600_000 }],
  ])('%s', async (query, options) => {
    await send(server, 'GET', `/v1/session/list${query}`);
    expect(lastOptions()).toMatchObject(options);
  });

  test.each(['?index=0', '?index=', '?wait=1s'])('%s does not block', async (query) => {
    await send(server, 'GET', `/v1/session/list${query}`);
    expect(lastOptions().minIndex).toBeUndefined();
  });

  test('endpoints that never block only check the parameters', async () => {
    await send(server, 'GET', '/v1/status/leader?index=5');
    expect(lastOptions().minIndex).toBeUndefined();
    expect((await send(server, 'GET', '/v1/status/leader?index=x')).text).toBe('Invalid index');
  });

  test('discovery_max_stale makes plain discovery reads stale', async () => {
    server.server.configure({ ...DEFAULT_HTTP_CONFIG, discoveryMaxStaleMs: 5000 });
    const answers = await Promise.all([
      send(server, 'GET', '/v1/catalog/nodes'),
      send(server, 'GET', '/v1/health/state/any?dc=dc1'),
      send(server, 'GET', '/v1/catalog/nodes?leader'),
      send(server, 'GET', '/v1/session/list'),
    ]);
    const seen = server.backend.calls.slice(-4).map(({ options }) => (options as ReadOptions).maxStaleMs);
    server.server.configure(DEFAULT_HTTP_CONFIG);
    expect(answers.map(({ headers }) => headers['x-consul-effective-consistency'])).toEqual([
      'stale',
      'stale',
      'leader',
      undefined,
    ]);
    expect(seen.sort()).toEqual([5000, 5000, undefined, undefined]);
  });
});

test.each([
  ['/v1/catalog/node/', 'Missing node name'],
  ['/v1/catalog/node-services/', 'Missing node name'],
  ['/v1/catalog/service/', 'Missing service name'],
  ['/v1/health/node/', 'Missing node name'],
  ['/v1/health/checks/', 'Missing service name'],
  ['/v1/health/state/', 'Missing check state'],
  ['/v1/health/service/', 'Missing service name'],
  ['/v1/health/service/x?passing=maybe', 'Invalid value for ?passing'],
  ['/v1/session/info/', 'Missing session'],
  ['/v1/session/node/', 'Missing node name'],
])('%s: %s', async (path, text) => {
  const answer = await send(server, 'GET', path);
  expect(answer).toMatchObject({ status: 400, text });
  expect(answer.headers['x-consul-index']).toBeUndefined();
});

test('namespaces are refused by header too', async () => {
  const headers = { 'X-Consul-Namespace': 'a' };
  expect(await send(server, 'GET', '/v1/catalog/service/x', { headers })).toMatchObject({
    status: 400,
    text: 'Bad request: Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature',
  });
  expect((await send(server, 'GET', '/v1/catalog/nodes?ns=a', { headers })).status).toBe(200);
});

describe('the agent cache', () => {
  test('MISS, then HIT with an age', async () => {
    const path = '/v1/catalog/service/cached?cached';
    const first = await send(server, 'GET', path);
    expect(first.headers).toMatchObject({ 'x-cache': 'MISS', 'x-consul-index': '7' });
    expect(first.headers.age).toBeUndefined();
    const second = await send(server, 'GET', path, { headers: { 'Cache-Control': 'max-age=60' } });
    expect(second.headers).toMatchObject({
      'x-cache': 'HIT',
      age: '0',
      'x-consul-effective-consistency': 'leader',
    });
    expect((await send(server, 'GET', '/v1/catalog/service/cached')).headers['x-cache']).toBeUndefined();
    expect((await send(server, 'GET', '/v1/catalog/nodes?cached')).headers['x-cache']).toBeUndefined();
  });

  test('failures of the first fetch are answered as ever', async () => {
    const answer = await send(server, 'GET', '/v1/health/service/cached?cached&dc=zz');
    expect(answer).toMatchObject({ status: 500, text: 'No path to datacenter' });
    expect(answer.headers).toMatchObject({ 'x-consul-index': '1', 'x-consul-knownleader': 'false' });
  });

  test('may be switched off', async () => {
    server.server.configure({ ...DEFAULT_HTTP_CONFIG, useCache: false });
    const answer = await send(server, 'GET', '/v1/catalog/service/cached?cached');
    server.server.configure(DEFAULT_HTTP_CONFIG);
    expect(answer.headers['x-cache']).toBeUndefined();
  });
});
