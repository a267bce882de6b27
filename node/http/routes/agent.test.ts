import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { refused } from '../../../shared/errors.ts';
import { EMPTY_CHECK_DEFINITION } from '../../../shared/types/definitions.ts';
import { eventually, localCheck, localService, send, startTestServer, type TestServer } from '../testing.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.server.close());

beforeEach(() => {
  server.agent.serviceTable.clear();
  server.agent.checkTable.clear();
});

const get = (path: string, headers: Record<string, string> = {}) => send(server, 'GET', path, { headers });
const put = (path: string, body?: string) => send(server, 'PUT', path, body === undefined ? {} : { body });

describe('the agent itself', () => {
  test('self, maps sorted', async () => {
    const { text } = await get('/v1/agent/self');
    expect(JSON.parse(text)).toMatchObject({ Config: { NodeName: 'n1', Server: true, Version: '1.8.5' } });
    expect(text).toContain(
      '"DebugConfig":{"Alpha":{"a":2,"b":1},"Zed":1},"Coord":null,"Member":{"Name":"n1"',
    );
    expect(text).toContain('"Tags":{"dc":"dc1","role":"consul"}');
    expect(text).toContain('"Stats":{"agent":{"checks":"0"},"raft":{"applied_index":"1","term":"2"}}');
  });

  test.each([
    ['', ['n1']],
    ['?wan', ['n1']],
    ['?wan=1', ['n1.dc1']],
    ['?segment=_all', ['n1']],
    ['?wan=1&segment=_all', ['n1.dc1']],
  ])('members%s', async (query, names) => {
    const { text } = await get(`/v1/agent/members${query}`);
    expect(JSON.parse(text).map((member: { Name: string }) => member.Name)).toEqual(names);
  });

  test.each([
    ['?segment=a', 500, 'Network segments are not supported in this version of Consul'],
    ['?segment=a&wan=1', 400, 'Cannot provide a segment with wan=true'],
  ])('members%s', async (query, status, text) => {
    expect(await get(`/v1/agent/members${query}`)).toMatchObject({ status, text });
  });

  test('where a floating service is', async () => {
    expect(await get('/v1/internal/proconsul/floating/service/')).toMatchObject({
      status: 400,
      text: 'Missing service ID',
    });
    server.backend.answer('Floating.Place', () => ({ id: 'a/b', node: 'n2', generation: 7 }));
    expect((await get('/v1/internal/proconsul/floating/check/x')).text).toBe(
      '{"ID":"a/b","Node":"n2","Generation":7}',
    );
    server.backend.answer('Floating.Place', () => null);
    expect((await get('/v1/internal/proconsul/floating/service/a/b')).status).toBe(404);
  });

  test('a client agent has no WAN members', async () => {
    const client = await startTestServer();
    client.agent.members = () => null as never;
    expect((await send(client, 'GET', '/v1/agent/members?wan=1')).text).toBe('null');
    await client.server.close();
  });

  test.each([
    ['/v1/agent/join/10.0.0.1:8301', 'join 10.0.0.1:8301 false'],
    ['/v1/agent/join/10.0.0.1?wan=1', 'join 10.0.0.1 true'],
    ['/v1/agent/leave', 'leave'],
    ['/v1/agent/force-leave/n2?prune', 'force-leave n2 true'],
    ['/v1/agent/reload', 'reload'],
    ['/v1/agent/maintenance?enable=true&reason=disk%20swap', 'node maintenance true disk swap'],
    ['/v1/agent/maintenance?enable=F', 'node maintenance false '],
  ])('%s', async (path, entry) => {
    const answer = await put(path);
    expect(answer).toMatchObject({ status: 200, text: '' });
    expect(answer.headers['content-type']).toBeUndefined();
    expect(answer.headers['content-length']).toBe('0');
    expect(server.agent.journal.at(-1)).toBe(entry);
  });

  test.each([
    ['/v1/agent/force-leave/none', 500, "agent: No node found with name 'none'"],
    ['/v1/agent/maintenance', 400, 'Missing value for enable'],
    ['/v1/agent/maintenance?enable=2', 400, 'Invalid value for enable: "2"'],
    ['/v1/agent/token/default', 401, 'ACL support disabled'],
    ['/v1/agent/token/', 401, 'ACL support disabled'],
  ])('%s', async (path, status, text) => {
    expect(await put(path)).toMatchObject({ status, text });
  });

  test('metrics are JSON only', async () => {
    expect(JSON.parse((await get('/v1/agent/metrics')).text)).toHaveProperty('Gauges', []);
    const refusals = [
      await get('/v1/agent/metrics?format=prometheus'),
      await get('/v1/agent/metrics', { Accept: 'application/openmetrics-text; version=0.0.1' }),
    ];
    for (const answer of refusals)
      expect(answer).toMatchObject({
        status: 415,
        text: 'Prometheus is not enabled since its retention time is not positive',
      });
  });

  test('host and pool', async () => {
    expect(JSON.parse((await get('/v1/agent/host')).text)).toHaveProperty('CollectionTime', 0);
    expect(JSON.parse((await get('/v1/internal/proconsul/pool')).text)).toMatchObject([
      { node: 'n1', isLeader: true },
    ]);
  });

  test('the log is streamed until the client goes', async () => {
    const client = new AbortController();
    const url = `${server.url}/v1/agent/monitor?loglevel=debug`;
    const answer = await fetch(url, { signal: client.signal });
    expect(answer.headers.get('content-type')).toBeNull();
    const first = await answer.body?.getReader().read();
    expect(Buffer.from(first?.value ?? []).toString()).toBe(
      '1970-01-01T00:00:00.000Z [DEBUG] agent: hello\n',
    );
    client.abort();
    await eventually(() => server.agent.journal.includes('monitor ended'));
    expect(await get('/v1/agent/monitor?loglevel=loud')).toMatchObject({
      status: 400,
      text: 'Bad request: Unknown log level: loud',
    });
  });
});

describe('local services', () => {
  const SHOWN = {
    ID: 'web',
    Service: 'web',
    Tags: [],
    Meta: {},
    Port: 1,
    Address: '',
    Weights: { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
  };

  test('list', async () => {
    server.agent.serviceTable.set('web', localService('web', { Port: 1 }));
    server.agent.serviceTable.set(
      'a-proxy',
      localService('a-proxy', { Kind: 'connect-proxy', Connect: { Native: true } }),
    );
    const { text } = await get('/v1/agent/services');
    expect(text.startsWith('{"a-proxy":{"Kind":"connect-proxy","ID":"a-proxy"')).toBe(true);
    expect(JSON.parse(text)).toEqual({
      'a-proxy': expect.objectContaining({
        Proxy: { MeshGateway: {}, Expose: {} },
        Connect: { Native: true },
      }),
      web: SHOWN,
    });
  });

  test('filters run over the catalog form; complaints differ in one place', async () => {
    const filtering = await startTestServer(
      {},
      {
        compileFilter: (root, expression) => (each) =>
          `${root} ${(each as { ID: string }).ID}` === expression,
      },
    );
    filtering.agent.serviceTable.set('a', localService('a')).set('b', localService('b'));
    const { text } = await send(filtering, 'GET', '/v1/agent/services?filter=agent-service%20b');
    expect(Object.keys(JSON.parse(text))).toEqual(['b']);
    await filtering.server.close();
    expect(await get('/v1/agent/services?filter=X')).toMatchObject({
      status: 500,
      text: 'Failed to create boolean expression evaluator: Selector "X" is not valid',
    });
    expect(await get('/v1/agent/checks?filter=X')).toMatchObject({
      status: 500,
      text: 'Selector "X" is not valid',
    });
  });

  test('one, with its hash', async () => {
    server.agent.serviceTable.set('web', localService('web', { Port: 1 }));
    const answer = await get('/v1/agent/service/web');
    const hash = answer.headers['x-consul-contenthash'];
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    expect(JSON.parse(answer.text)).toEqual({ ...SHOWN, ContentHash: hash });
    expect(await get('/v1/agent/service/none')).toMatchObject({
      status: 404,
      text: 'unknown service ID: none',
    });
    expect(await get('/v1/agent/service/web?wait=x')).toMatchObject({
      status: 400,
      text: 'Invalid wait time',
    });
  });

  describe('waiting for a change of the hash', () => {
    async function waiting(query = '') {
      server.agent.setService('web', localService('web', { Port: 1 }));
      const hash = String((await get('/v1/agent/service/web')).headers['x-consul-contenthash']);
      const answer = get(`/v1/agent/service/web?hash=${hash}${query}`);
      await eventually(() => server.agent.watcherCount('web') === 1);
      return { hash, answer };
    }

    test('answers when the service changes, not when it is rewritten', async () => {
      const { hash, answer } = await waiting();
      server.agent.setService('web', localService('web', { Port: 1 }));
      expect(server.agent.watcherCount('web')).toBe(1);
      server.agent.setService('web', localService('web', { Port: 2 }));
      expect(JSON.parse((await answer).text)).toMatchObject({ Port: 2 });
      expect((await answer).headers['x-consul-contenthash']).not.toBe(hash);
    });

    test('answers 404 when the service goes', async () => {
      const { answer } = await waiting();
      server.agent.setService('web', undefined);
      expect(await answer).toMatchObject({ status: 404, text: 'unknown service ID: web' });
    });

    test('answers the same when the time is up, jitter included', async () => {
      const { hash, answer } = await waiting('&wait=16s');
      server.env.clock.advance(15_999);
      expect(server.agent.watcherCount('web')).toBe(1);
      server.env.clock.advance(1001);
      expect((await answer).headers['x-consul-contenthash']).toBe(hash);
      expect(server.agent.watcherCount('web')).toBe(0);
    });

    test('another hash answers at once', async () => {
      server.agent.setService('web', localService('web'));
      expect((await get('/v1/agent/service/web?hash=nonsense&wait=5s')).status).toBe(200);
    });
  });

  test('register, every field', async () => {
    const body = {
      id: 'web-1',
      name: 'web',
      tags: ['a'],
      meta: { k: 'v' },
      port: 81,
      address: '10.0.0.1',
      enable_tag_override: true,
      tagged_addresses: { lan: { address: '10.0.0.1', port: 81 } },
      weights: { passing: 3 },
      check: {
        checkid: 'c',
        http: 'http://x/',
        interval: '1h',
        tls_skip_verify: true,
        Args: [],
        service_id: 'y',
      },
      Checks: [{ TTL: '10s' }, {}],
      Connect: { SidecarService: { Port: 1 }, Odd: 1 },
      Proxy: { destination_service_name: 'db', Upstreams: [{ DestinationName: 'x', local_bind_port: 5 }] },
    };
    expect(await put('/v1/agent/service/register', JSON.stringify(body))).toMatchObject({
      status: 200,
      text: '',
    });
    expect(server.agent.journal.at(-1)).toBe('register web false');
    expect(server.agent.definitions.at(-1)).toMatchObject({
      id: 'web-1',
      name: 'web',
      tags: ['a'],
      meta: { k: 'v' },
      port: 81,
      enableTagOverride: true,
      taggedAddresses: { lan: { Address: '10.0.0.1', Port: 81 } },
      weights: { Passing: 3, Warning: 0 },
      sidecar: { port: 1, name: '' },
      connectNative: false,
      proxy: {
        DestinationServiceName: 'db',
        Upstreams: [{ DestinationType: 'service', DestinationName: 'x', LocalBindPort: 5 }],
        MeshGateway: {},
        Expose: {},
      },
      checks: [
        { ...EMPTY_CHECK_DEFINITION, id: 'c', http: 'http://x/', intervalMs: 3_600_000, tlsSkipVerify: true },
        { ...EMPTY_CHECK_DEFINITION, ttlMs: 10_000 },
        EMPTY_CHECK_DEFINITION,
      ],
    });
  });

  test('an empty Check is no check', async () => {
    await put('/v1/agent/service/register', '{"Name":"web","Check":{}}');
    expect(server.agent.definitions.at(-1)).toMatchObject({ name: 'web', checks: [], weights: undefined });
  });

  test.each([
    ['?replace-existing-checks', true],
    ['?replace-existing-checks=true', true],
    ['?replace-existing-checks=1', false],
  ])('register%s', async (query, replaces) => {
    await put(`/v1/agent/service/register${query}`, '{"Name":"web"}');
    expect(server.agent.journal.at(-1)).toBe(`register web ${replaces}`);
  });

  test.each([
    ['', 'EOF'],
    ['{"Name":"x","Check":{"TTL":"soon"}}', 'time: invalid duration "soon"'],
    ['{"Name":"x","Check":{"Script":"true"}}', 'json: unknown field "Script"'],
    ['{"Name":"x","Check":{"check_id":"a"}}', 'json: unknown field "check_id"'],
    ['{"Name":"x","service_name":"a"}', 'json: unknown field "service_name"'],
    ['{"Name":"x","Connect":{"SidecarService":{"Foo":1}}}', 'json: unknown field "Foo"'],
  ])('register %s is refused', async (body, complaint) => {
    expect(await put('/v1/agent/service/register', body)).toMatchObject({
      status: 400,
      text: `Request decode failed: ${complaint}`,
    });
  });

  test('a gateway registers and deregisters for the cluster', async () => {
    const headers = { 'X-Proconsul-Floating': '1' };
    await send(server, 'PUT', '/v1/agent/service/register', { headers, body: '{"Name":"web"}' });
    expect(server.agent.journal.at(-1)).toBe('register web false floating');
    await send(server, 'PUT', '/v1/agent/service/deregister/web', { headers });
    expect(server.agent.journal.at(-1)).toBe('deregister web floating');
    await send(server, 'PUT', '/v1/agent/service/deregister/web', {
      headers: { 'X-Proconsul-Floating': '0' },
    });
    expect(server.agent.journal.at(-1)).toBe('deregister web');
  });

  test('deregister and maintenance', async () => {
    await put('/v1/agent/service/deregister/a/b');
    expect(server.agent.journal.at(-1)).toBe('deregister a/b');
    expect(await put('/v1/agent/service/deregister/')).toMatchObject({
      status: 500,
      text: 'ServiceID missing',
    });
    expect(await put('/v1/agent/service/maintenance/?enable=true')).toMatchObject({
      status: 400,
      text: 'Missing service ID',
    });
    expect(await put('/v1/agent/service/maintenance/none')).toMatchObject({
      status: 400,
      text: 'Missing value for enable',
    });
    expect(await put('/v1/agent/service/maintenance/none?enable=true')).toMatchObject({
      status: 404,
      text: 'No service registered with ID "none"',
    });
  });
});

describe('local checks', () => {
  test('list', async () => {
    server.agent.checkTable.set('c', localCheck('c', { ServiceTags: null }));
    expect(JSON.parse((await get('/v1/agent/checks')).text)).toEqual({ c: localCheck('c') });
  });

  test('register', async () => {
    await put(
      '/v1/agent/check/register',
      '{"id":"c","name":"n","service_id":"s","script_args":["a"],"ttl":5000000}',
    );
    expect(server.agent.definitions.at(-1)).toEqual({
      ...EMPTY_CHECK_DEFINITION,
      id: 'c',
      name: 'n',
      serviceId: 's',
      scriptArgs: ['a'],
      ttlMs: 5,
    });
    expect(await put('/v1/agent/check/register', '{"CheckID":"c"}')).toMatchObject({
      status: 400,
      text: 'Request decode failed: json: unknown field "CheckID"',
    });
  });

  test('the request’s token is kept for syncing', async () => {
    await put('/v1/agent/check/register?token=t', '{"Name":"n"}');
    expect(server.agent.definitions.at(-1)).toMatchObject({ token: 't' });
    await put('/v1/agent/check/register?token=t', '{"Name":"n","Token":"own"}');
    expect(server.agent.definitions.at(-1)).toMatchObject({ token: 'own' });
  });

  test.each([
    ['/v1/agent/check/pass/ttl?note=a%26b', undefined, 'passing a&b'],
    ['/v1/agent/check/warn/ttl', 'no note', 'warning '],
    ['/v1/agent/check/fail/ttl', undefined, 'critical '],
    ['/v1/agent/check/update/ttl', '{"Status":"warning","Output":"o"}', 'warning o'],
    ['/v1/agent/check/deregister/x', undefined, 'deregister check x'],
  ])('%s', async (path, body, entry) => {
    expect(await put(path, body)).toMatchObject({ status: 200, text: '' });
    expect(server.agent.journal.at(-1)).toBe(entry);
  });

  test.each([
    ['/v1/agent/check/pass/none', undefined, 500, 'CheckID "none" does not have associated TTL'],
    ['/v1/agent/check/deregister/', undefined, 500, 'CheckID missing'],
    ['/v1/agent/check/update/x', '{"Status":"bad"}', 400, "Invalid check status: 'bad'"],
    ['/v1/agent/check/update/x', '', 400, 'Request decode failed: EOF'],
  ])('%s', async (path, body, status, text) => {
    expect(await put(path, body)).toMatchObject({ status, text });
  });
});

describe('local health', () => {
  const statuses: [string, number, string[]][] = [
    ['passing', 200, []],
    ['passing', 200, ['passing']],
    ['warning', 429, ['passing', 'warning']],
    ['critical', 503, ['warning', 'critical', 'passing']],
  ];

  test.each(statuses)('%s is %i (checks %j)', async (word, status, checks) => {
    server.agent.serviceTable.set('web', localService('web'));
    for (const [i, each] of checks.entries())
      server.agent.checkTable.set(`c${i}`, localCheck(`c${i}`, { ServiceID: 'web', Status: each }));
    server.agent.checkTable.set('other', localCheck('other', { ServiceID: 'other', Status: 'critical' }));
    for (const path of ['id/web', 'name/web']) {
      const json = await get(`/v1/agent/health/service/${path}`);
      expect(json.status).toBe(status);
      expect(json.headers['x-consul-reason']).toBe(word);
      const text = await get(`/v1/agent/health/service/${path}?format=text`);
      expect(text).toMatchObject({ status, text: word });
      expect(text.headers['content-type']).toBe('text/plain');
    }
  });

  test('maintenance is worst, node checks count, the worst instance decides', async () => {
    server.agent.serviceTable.set('a', localService('a', { Service: 'web' }));
    server.agent.serviceTable.set('b', localService('b', { Service: 'web' }));
    server.agent.checkTable.set(
      'm',
      localCheck('_service_maintenance:a', { ServiceID: 'a', Status: 'critical' }),
    );
    server.agent.checkTable.set('n', localCheck('node', { Status: 'warning' }));
    expect((await get('/v1/agent/health/service/id/b')).status).toBe(429);
    const byName = await get('/v1/agent/health/service/name/web', { Accept: 'text/plain' });
    expect(byName).toMatchObject({ status: 503, text: 'maintenance' });
  });

  test('the shape of an entry', async () => {
    server.agent.serviceTable.set('web', localService('web'));
    server.agent.checkTable.set('c', localCheck('c', { ServiceID: 'web', Output: 'o' }));
    const { text } = await get('/v1/agent/health/service/id/web');
    expect(JSON.parse(text)).toMatchObject({
      AggregatedStatus: 'passing',
      Service: { ID: 'web', Tags: [] },
      Checks: [
        {
          CheckID: 'c',
          Output: 'o',
          ServiceTags: null,
          Type: '',
          Definition: { Interval: '0s', Header: null },
        },
      ],
    });
  });

  test('what is not there', async () => {
    const byId = await get('/v1/agent/health/service/id/none');
    expect(byId.text).toBe('{"AggregatedStatus":"critical","Service":null,"Checks":null}');
    expect(byId).toMatchObject({ status: 404, headers: { 'x-consul-reason': 'ServiceId none not found' } });
    const asText = await get('/v1/agent/health/service/id/none?format=text');
    expect(asText).toMatchObject({ status: 404, text: '"ServiceId none not found"' });
    expect(asText.headers['content-type']).toBe('application/json');
    expect(await get('/v1/agent/health/service/name/none')).toMatchObject({ status: 404, text: '[]' });
    const name = await get('/v1/agent/health/service/name/none?format=text');
    expect(name).toMatchObject({ status: 404, text: 'ServiceName none Not Found' });
    expect(await get('/v1/agent/health/service/id/')).toMatchObject({
      status: 500,
      text: 'Bad request: Missing serviceID',
    });
  });

  test('a name beyond Latin-1 still fits into the header', async () => {
    const answer = await get('/v1/agent/health/service/id/caf%C3%A9');
    expect(Buffer.from(String(answer.headers['x-consul-reason']), 'latin1').toString()).toBe(
      'ServiceId café not found',
    );
  });
});

test('an agent’s refusal is the answer', async () => {
  server.agent.reload = async () => {
    throw refused('config broken');
  };
  expect(await put('/v1/agent/reload')).toMatchObject({ status: 500, text: 'config broken' });
});
