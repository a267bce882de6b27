import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

beforeEach(() => {
  server.backend.answers.clear();
  server.backend.calls.length = 0;
  server.backend.meta = { index: 7, knownLeader: true, lastContactMs: 0 };
});

afterAll(() => server.server.close());

const get = (path: string, headers = {}) => send(server, 'GET', path, { headers });
const put = (path: string, body?: unknown) =>
  send(server, 'PUT', path, body === undefined ? {} : { body: JSON.stringify(body) });
const called = () => server.backend.calls.map(({ endpoint }) => endpoint);

describe('configuration entries', () => {
  test('are decoded by their kind, keys in any spelling', async () => {
    server.backend.answer('ConfigEntry.Apply', () => true);
    const reply = await put('/v1/config?cas=5', {
      kind: 'service-resolver',
      NAME: 'web',
      connect_timeout: '1500ms',
      subsets: { v2: {}, v1: { only_passing: true } },
      redirect: {},
      Failover: {},
      Meta: { b: '1', a: '2' },
      ModifyIndex: 9,
    });
    expect(reply).toMatchObject({ status: 200, text: 'true' });
    const { args } = server.backend.lastCall();
    expect(JSON.stringify(args)).toBe(
      '{"op":"cas","entry":{"Kind":"service-resolver","Name":"web",' +
        '"Subsets":{"v1":{"OnlyPassing":true},"v2":{}},"Redirect":{},"ConnectTimeout":"1.5s",' +
        '"Meta":{"a":"2","b":"1"}},"index":5}',
    );
  });

  test.each([
    [
      { Kind: 'service-defaults', Name: 'w', Protocol: 'HTTP' },
      { Protocol: 'http', MeshGateway: {}, Expose: {} },
    ],
    [
      { Kind: 'proxy-defaults', Name: 'x' },
      { Name: 'global', Config: null, MeshGateway: {}, Expose: {} },
    ],
    [
      { Kind: 'ingress-gateway', Name: 'g', Listeners: [{ Port: 1, Services: [{ Name: '*' }] }] },
      {
        TLS: { Enabled: false },
        Listeners: [{ Port: 1, Protocol: 'tcp', Services: [{ Name: '*', Hosts: null }] }],
      },
    ],
    [
      {
        Kind: 'service-router',
        Name: 'r',
        Routes: [{ Match: { HTTP: { path_prefix: '/a' } }, Destination: null }],
      },
      { Routes: [{ Match: { HTTP: { PathPrefix: '/a' } } }] },
    ],
    [
      { Kind: 'service-splitter', Name: 's', Splits: [{ Weight: 99.5, ServiceSubset: 'v1' }] },
      { Splits: [{ Weight: 99.5, ServiceSubset: 'v1' }] },
    ],
    [
      { Kind: 'terminating-gateway', Name: 't', Services: [{ Name: 'x', sni: 'y' }] },
      { Services: [{ Name: 'x', SNI: 'y' }] },
    ],
  ])('%j', async (body, fields) => {
    server.backend.answer('ConfigEntry.Apply', () => true);
    await put('/v1/config', body);
    const entry = { Kind: body.Kind, Name: body.Name, ...fields };
    expect(server.backend.lastCall().args).toEqual({ op: 'upsert', entry });
  });

  test.each([
    ['', 400, 'Bad request: Request decoding failed: EOF'],
    [
      '[]',
      400,
      'Bad request: Request decoding failed: Payload does not contain a kind/Kind key at the top level',
    ],
    ['{"Kind":"bogus"}', 400, 'Bad request: Request decoding failed: invalid config entry kind: bogus'],
    [
      '{"Kind":"proxy-defaults","Foo":1,"Expose":{"Bar":1}}',
      400,
      'Bad request: Request decoding failed: 2 errors occurred:\n\t* invalid config key "Foo"\n\t* invalid config key "Expose.Bar"\n\n',
    ],
    [
      '{"Kind":"service-defaults","Protocol":{}}',
      400,
      "Bad request: Request decoding failed: 1 error(s) decoding:\n\n* 'Protocol' expected type 'string', got unconvertible type 'map[string]interface {}'",
    ],
    [
      '{"Kind":"service-resolver","ConnectTimeout":"soon"}',
      400,
      `Bad request: Request decoding failed: 1 error(s) decoding:\n\n* error decoding 'ConnectTimeout': time: invalid duration "soon"`,
    ],
  ])('%s is refused', async (body, status, text) => {
    expect(await send(server, 'PUT', '/v1/config', { body })).toMatchObject({ status, text });
    expect(called()).toEqual([]);
  });

  test('are read, listed and deleted', async () => {
    server.backend.answer('ConfigEntry.Get', ({ name }: { name: string }) =>
      name === 'a' ? { Name: 'a' } : null,
    );
    server.backend.answer('ConfigEntry.List', () => []);
    server.backend.answer('ConfigEntry.Apply', () => true);
    expect(await get('/v1/config/service-defaults/a')).toMatchObject({ status: 200, text: '{"Name":"a"}' });
    expect(await get('/v1/config/service-defaults/b/c')).toMatchObject({
      status: 404,
      text: 'Config entry not found for "service-defaults" / "b/c"',
      headers: { 'x-consul-index': '7' },
    });
    expect(await get('/v1/config/service-defaults')).toMatchObject({ status: 200, text: '[]' });
    expect(await send(server, 'DELETE', '/v1/config/service-defaults/a')).toMatchObject({ text: '{}' });
    expect(server.backend.lastCall().args).toEqual({ op: 'delete', kind: 'service-defaults', name: 'a' });
    expect(await send(server, 'DELETE', '/v1/config/service-defaults')).toMatchObject({ status: 404 });
    expect(await send(server, 'DELETE', '/v1/config/bogus/a')).toMatchObject({ status: 400 });
  });
});
