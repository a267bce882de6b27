import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refused } from '../../../shared/errors.ts';
import { DEFAULT_HTTP_CONFIG } from '../options.ts';
import { send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
  const { backend } = server;
  backend.answer('Catalog.Register', () => true);
  backend.answer('Catalog.Deregister', () => true);
  backend.answer('Session.Create', () => 'the-id');
  backend.answer('Session.Destroy', () => true);
  backend.answer('Coordinate.Update', () => true);
  backend.answer('Operator.RaftRemovePeer', () => true);
});

afterAll(() => server.server.close());

const put = (path: string, body?: string) => send(server, 'PUT', path, body === undefined ? {} : { body });

describe('catalog register', () => {
  test('fields, defaults and the datacenter of the body', async () => {
    const body = {
      node: 'x',
      Address: '10.0.0.1',
      Datacenter: 'dc2',
      NodeMeta: { b: '1', a: '2' },
      Service: { Service: 'web', Port: 80, Weights: { Passing: -1 } },
      Check: {
        Name: 'c',
        Definition: { Interval: '10s', Timeout: 5_000_000_000, TTL: '1s', Header: { A: ['b'] }, Odd: 1 },
      },
    };
    expect(await put('/v1/catalog/register', JSON.stringify(body))).toMatchObject({
      status: 200,
      text: 'true',
    });
    const call = server.backend.lastCall();
    expect(call.options).toEqual({ datacenter: 'dc2', token: '' });
    expect(call.args).toEqual({
      Datacenter: 'dc2',
      ID: '',
      Node: 'x',
      Address: '10.0.0.1',
      TaggedAddresses: null,
      NodeMeta: { a: '2', b: '1' },
      Service: {
        ID: '',
        Service: 'web',
        Tags: null,
        Address: '',
        Meta: null,
        Port: 80,
        Weights: { Passing: 1, Warning: 1 },
        EnableTagOverride: false,
        Proxy: { MeshGateway: {}, Expose: {} },
        Connect: {},
      },
      Check: {
        Node: '',
        CheckID: '',
        Name: 'c',
        Status: '',
        Notes: '',
        Output: '',
        ServiceID: '',
        ServiceName: '',
        ServiceTags: null,
        Type: '',
        Definition: { Interval: '10s', Timeout: '5s', Header: { A: ['b'] }, TTL: 1_000_000_000 },
      },
      Checks: null,
      SkipNodeUpdate: false,
    });
  });

  test.each([
    ['', 'EOF'],
    ['{', 'unexpected EOF'],
    ['x', "invalid character 'x' looking for beginning of value"],
    ['{"Foo":1}', 'json: unknown field "Foo"'],
    ['{"Namespace":"a"}', 'json: unknown field "Namespace" - Namespaces are a Consul Enterprise feature'],
    ['{"Check":{"Definition":{"Interval":"x"}}}', 'time: invalid duration "x"'],
  ])('%j', async (body, complaint) => {
    for (const path of ['/v1/catalog/register', '/v1/catalog/deregister'])
      if (path.endsWith('/register') || !body.includes('Check'))
        expect(await put(path, body)).toMatchObject({
          status: 400,
          text: `Request decode failed: ${complaint}`,
        });
  });

  test('the servers’ refusal comes through', async () => {
    server.backend.answer('Catalog.Register', () => {
      throw refused('Must provide node');
    });
    expect(await put('/v1/catalog/register', '{}')).toMatchObject({ status: 500, text: 'Must provide node' });
  });

  test('deregister', async () => {
    await put('/v1/catalog/deregister', '{"Node":"x","ServiceID":"s","Address":"ignored"}');
    expect(server.backend.lastCall().args).toEqual({
      Datacenter: '',
      Node: 'x',
      ServiceID: 's',
      CheckID: '',
    });
  });
});

describe('session', () => {
  const DEFAULTS = {
    name: '',
    node: 'n1',
    lockDelayNs: 15e9,
    behavior: 'release',
    ttl: '',
    nodeChecks: ['serfHealth'],
    serviceChecks: null,
    checks: undefined,
  };

  test.each([
    [undefined, {}],
    ['{}', {}],
    ['{"Odd":1,"Name":"s","TTL":"10s"}', { name: 's', ttl: '10s' }],
    ['{"LockDelay":"30s"}', { lockDelayNs: 30e9 }],
    ['{"LockDelay":5}', { lockDelayNs: 5e9 }],
    ['{"LockDelay":5000000}', { lockDelayNs: 5e6 }],
    ['{"LockDelay":"-5s"}', { lockDelayNs: -5e18 }],
    ['{"Checks":[],"NodeChecks":["a"]}', { nodeChecks: [] }],
    ['{"Checks":["serfHealth"],"NodeChecks":["a"]}', { nodeChecks: ['a'] }],
    ['{"Checks":["b"],"NodeChecks":["a"]}', { checks: ['b'], nodeChecks: ['a'] }],
    ['{"Checks":["b"]}', { checks: ['b'] }],
    ['{"Checks":["b"],"NodeChecks":[]}', { nodeChecks: [] }],
    ['{"Checks":null,"NodeChecks":null}', { nodeChecks: [] }],
    // An empty name is passed on, and refused there.
    ['{"Node":""}', { node: '' }],
    ['{"Node":null}', {}],
    [
      '{"ServiceChecks":[{"ID":"a","More":1}],"Node":"x","Behavior":"delete"}',
      { serviceChecks: [{ ID: 'a', Namespace: '' }], node: 'x', behavior: 'delete' },
    ],
  ])('create %s', async (body, args) => {
    expect(await put('/v1/session/create', body)).toMatchObject({ status: 200, text: '{"ID":"the-id"}' });
    expect(server.backend.lastCall().args).toEqual({ ...DEFAULTS, ...args });
  });

  test.each([
    ['{', 'unexpected EOF'],
    ['[]', 'json: cannot unmarshal array into Go value of type struct'],
    ['{"LockDelay":"abc"}', 'time: invalid duration "abc"'],
    ['{"Checks":"x"}', 'json: cannot unmarshal string into Go struct field .Checks of type []'],
    ['{"Node":1}', 'json: cannot unmarshal number into Go struct field .Node of type string'],
  ])('create %s is refused', async (body, complaint) => {
    expect(await put('/v1/session/create', body)).toMatchObject({
      status: 400,
      text: `Request decode failed: ${complaint}`,
    });
  });

  test('destroy and renew', async () => {
    expect(await put('/v1/session/destroy/x?dc=dc2')).toMatchObject({ status: 200, text: 'true' });
    expect(server.backend.lastCall()).toMatchObject({ args: { id: 'x' }, options: { datacenter: 'dc2' } });
    server.backend.answer('Session.Renew', () => []);
    const missed = await put('/v1/session/renew/x');
    expect(missed).toMatchObject({ status: 404, text: "Session id 'x' not found" });
    server.backend.answer('Session.Renew', () => [{ ID: 'x' }]);
    expect(await put('/v1/session/renew/x')).toMatchObject({ status: 200, text: '[{"ID":"x"}]' });
    expect(await put('/v1/session/renew/')).toMatchObject({ status: 400, text: 'Missing session' });
    expect(await put('/v1/session/destroy/')).toMatchObject({ status: 400, text: 'Missing session' });
  });
});

describe('coordinate', () => {
  const coord = { Vec: [0.5, 0, 0, 0, 0, 0, 0, 0], Error: 0.5, Adjustment: 0, Height: 1e-5 };

  test('update', async () => {
    const body = JSON.stringify({ Node: 'x', Coord: coord });
    const answer = await put('/v1/coordinate/update', body);
    expect(answer).toMatchObject({ status: 200, text: '' });
    expect(answer.headers['content-type']).toBeUndefined();
    expect(server.backend.lastCall().args).toEqual({ node: 'x', coordinate: coord });
  });

  test.each([
    ['', 'dc2'],
    ['?dc=dc3', 'dc3'],
  ])('update%s goes to the datacenter %s', async (query, datacenter) => {
    const body = JSON.stringify({ Node: 'x', Coord: coord, Datacenter: 'dc2' });
    await put(`/v1/coordinate/update${query}`, body);
    expect(server.backend.lastCall().options).toMatchObject({ datacenter });
  });

  test.each([
    ['', 'Request decode failed: EOF'],
    ['{"Node":"x"}', 'Request decode failed: Coord is missing'],
  ])('%j is refused', async (body, text) => {
    expect(await put('/v1/coordinate/update', body)).toMatchObject({ status: 400, text });
  });

  test('one node is found in any case, a missing one is a bare 404', async () => {
    server.backend.answer('Coordinate.ListNodes', () => [{ Node: 'Web', Segment: '', Coord: coord }]);
    const found = await send(server, 'GET', '/v1/coordinate/node/wEB');
    expect(JSON.parse(found.text)).toEqual([{ Node: 'Web', Segment: '', Coord: coord }]);
    expect(found.headers['x-consul-index']).toBe('7');
    for (const path of ['/v1/coordinate/node/other', '/v1/coordinate/node/Web?segment=a']) {
      const missed = await send(server, 'GET', path);
      expect(missed).toMatchObject({ status: 404, text: '' });
      expect(missed.headers['x-consul-index']).toBeUndefined();
    }
    expect((await send(server, 'GET', '/v1/coordinate/nodes?segment=a')).text).toBe('[]');
  });

  test('may be disabled', async () => {
    server.server.configure({ ...DEFAULT_HTTP_CONFIG, disableCoordinates: true });
    const answer = await put('/v1/coordinate/update', '{}');
    server.server.configure(DEFAULT_HTTP_CONFIG);
    expect(answer).toMatchObject({ status: 401, text: 'Coordinate support disabled' });
  });
});

describe('raft peers', () => {
  test.each([
    [
      '',
      "Bad request: Must specify either ?id with the server's ID or ?address with IP:port of peer to remove",
    ],
    ['?id=a&address=b', 'Bad request: Must specify only one of ?id or ?address'],
  ])('%s is refused', async (query, text) => {
    expect(await send(server, 'DELETE', `/v1/operator/raft/peer${query}`)).toMatchObject({
      status: 400,
      text,
    });
  });

  test('removal', async () => {
    const answer = await send(server, 'DELETE', '/v1/operator/raft/peer?address=10.0.0.1:8300');
    expect(answer).toMatchObject({ status: 200, text: '' });
    expect(server.backend.lastCall().args).toEqual({ id: '', address: '10.0.0.1:8300' });
  });
});

test.each([
  ['PUT', '/v1/acl/bootstrap', 401],
  ['GET', '/v1/acl/token/self', 401],
  ['PUT', '/v1/acl/token/self', 405],
  ['DELETE', '/v1/acl/policy/x', 401],
  ['POST', '/v1/acl/login', 401],
  ['POST', '/v1/internal/acl/authorize', 401],
])('%s %s while access control is off', async (method, path, status) => {
  const text = status === 401 ? 'ACL support disabled' : `method ${method} not allowed`;
  expect(await send(server, method, path)).toMatchObject({ status, text });
});
