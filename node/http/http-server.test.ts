import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer as createUnixServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { badRequest, ConsulError } from '../../shared/errors.ts';
import { createLogger, type LogRecord } from '../../shared/log.ts';
import type { ReadOptions } from '../rpc/backend.ts';
import { startHttpServer } from './http-server.ts';
import { DEFAULT_HTTP_CONFIG, type HttpConfig, type HttpDependencies } from './options.ts';
import { eventually, send, startTestServer, type TestServer } from './testing.ts';

const started: TestServer[] = [];

async function start(config: Partial<HttpConfig> = {}, overrides: Partial<HttpDependencies> = {}) {
  const server = await startTestServer(config, overrides);
  server.backend.answer('Status.Leader', () => '127.0.0.1:8300');
  server.backend.answer('Status.Peers', () => ['127.0.0.1:8300']);
  server.backend.answer('KVS.Apply', () => true);
  started.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.server.close()));
});

describe('routing', () => {
  test.each([
    '/v1/nope',
    '/v2/kv/x',
    '/v1',
    '/v1/agent',
    '/v1/catalog/',
    '/v1/agent/selfish',
    '/V1/status/leader',
    '/v1/status/leader/',
  ])('%s is unknown', async (path) => {
    const answer = await send(await start(), 'GET', path);
    expect(answer).toMatchObject({ status: 404, text: '' });
    expect(answer.headers.vary).toBeUndefined();
    expect(answer.headers['content-type']).toBeUndefined();
  });

  test.each([
    ['GET', '/v1//status/leader', '/v1/status/leader'],
    ['GET', '/v1/kv?keys', '/v1/kv/?keys'],
    ['PUT', '/v1/kv/a//b', '/v1/kv/a/b'],
    ['PUT', '/v1/kv/a/up/../side', '/v1/kv/a/side'],
    ['GET', '/v1/kv/a%2F%2Fb?x=1', '/v1/kv/a/b?x=1'],
    ['GET', '/v1//kv', '/v1/kv/'],
    ['PUT', '/v1/agent/service/deregister', '/v1/agent/service/deregister/'],
    ['GET', '/v1/kv/a%20b/./c', '/v1/kv/a%20b/c'],
  ])('%s %s is sent to the clean path', async (method, path, location) => {
    const server = await start();
    const answer = await send(server, method, path);
    expect(answer.status).toBe(301);
    expect(answer.headers.location).toBe(location);
    expect(answer.text).toBe(method === 'GET' ? `<a href="${location}">Moved Permanently</a>.\n\n` : '');
    expect(answer.headers['content-type']).toBe(method === 'GET' ? 'text/html; charset=utf-8' : undefined);
    expect(server.backend.calls).toEqual([]);
  });

  test('a method that an endpoint does not have', async () => {
    const answer = await send(await start(), 'POST', '/v1/status/leader', { body: 'x' });
    expect(answer).toMatchObject({ status: 405, text: 'method POST not allowed' });
    expect(answer.headers).toMatchObject({ allow: 'OPTIONS,GET', vary: 'Accept-Encoding' });
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  test('HEAD is no method of any endpoint', async () => {
    const answer = await send(await start(), 'HEAD', '/v1/status/leader');
    expect(answer).toMatchObject({ status: 405, text: '' });
  });

  test('OPTIONS names the methods', async () => {
    const answer = await send(await start(), 'OPTIONS', '/v1/kv/x');
    expect(answer).toMatchObject({ status: 200, text: '' });
    expect(answer.headers.allow).toBe('OPTIONS,GET,PUT,DELETE');
    expect(answer.headers['content-type']).toBeUndefined();
  });

  test.each([
    ['/v1/kv/%zz', 400, '400 Bad Request'],
    ['/v1/%', 400, '400 Bad Request'],
    ['/v1/kv/%ff', 400, '400 Bad Request'],
    ['/v1/kv/a%07b', 400, ''],
    ['/v1/status/leader?bad=%zz', 500, ''],
    ['/v1/status/leader?raw&%', 500, ''],
  ])('%s cannot be decoded', async (path, status, text) => {
    expect(await send(await start(), 'GET', path)).toMatchObject({ status, text });
  });

  test('the check for printable characters can be switched off', async () => {
    const server = await start({ disableHttpUnprintableCharFilter: true });
    expect((await send(server, 'PUT', '/v1/kv/a%00b', { body: 'v' })).status).toBe(200);
    expect(server.backend.lastCall().args).toMatchObject({ key: 'a\0b' });
  });

  test('the root without and with the UI', async () => {
    expect(await send(await start(), 'GET', '/')).toMatchObject({ status: 200, text: 'Consul Agent' });
    const withUi = await start({
      uiEnabled: true,
      uiAssets: (path) =>
        path === 'index.html' ? { body: Buffer.from('<html>'), contentType: 'text/html' } : undefined,
    });
    expect((await send(withUi, 'GET', '/')).headers.location).toBe('/ui/');
    expect((await send(withUi, 'GET', '/ui')).headers.location).toBe('/ui/');
    expect(await send(withUi, 'GET', '/ui/dc1/services')).toMatchObject({ status: 200, text: '<html>' });
    expect((await send(withUi, 'GET', '/robots.txt')).status).toBe(404);
  });

  test('pages of the UI run nothing but its own files and are not sent twice', async () => {
    const asset = { body: Buffer.from('<html>'), contentType: 'text/html', etag: '"1"' };
    const server = await start({ uiEnabled: true, uiAssets: () => asset });
    const first = await send(server, 'GET', '/ui/');
    expect(first.headers).toMatchObject({ etag: '"1"', 'x-content-type-options': 'nosniff' });
    expect(first.headers['content-security-policy']).toMatch(/^default-src 'self';/);
    const again = await send(server, 'GET', '/ui/', { headers: { 'If-None-Match': '"1"' } });
    expect(again).toMatchObject({ status: 304, text: '' });
    expect(again.headers['content-length']).toBeUndefined();
  });

  test("what a user's own UI may load is the user's business", async () => {
    const asset = { body: Buffer.from('<html>'), contentType: 'text/html', headers: ['X-Own', '1'] };
    const server = await start({ uiEnabled: true, uiAssets: () => asset });
    const { headers } = await send(server, 'GET', '/ui/');
    expect(headers).toMatchObject({ 'x-own': '1' });
    expect(headers['content-security-policy']).toBeUndefined();
  });
});

describe('settings', () => {
  test('blocked endpoints, extra headers and write access', async () => {
    const server = await start({
      blockEndpoints: ['/v1/agent/metrics'],
      responseHeaders: { 'x-extra': 'yes' },
      allowWriteHttpFrom: ['10.0.0.0/8'],
      translateWanAddrs: true,
    });
    const blocked = await send(server, 'OPTIONS', '/v1/agent/metrics');
    expect(blocked).toMatchObject({ status: 403, text: 'Endpoint is blocked by agent configuration' });
    expect(blocked.headers).toMatchObject({ 'x-extra': 'yes', 'x-consul-translate-addresses': 'true' });
    expect(await send(server, 'PUT', '/v1/kv/a', { body: 'v' })).toMatchObject({
      status: 403,
      text: 'Access is restricted',
    });
    expect((await send(server, 'GET', '/v1/nope')).headers['x-extra']).toBeUndefined();
    server.server.configure({ ...DEFAULT_HTTP_CONFIG, allowWriteHttpFrom: ['127.0.0.0/8'] });
    expect((await send(server, 'PUT', '/v1/kv/a', { body: 'v' })).status).toBe(200);
  });

  test('a malformed CIDR block is named', async () => {
    await expect(startTestServer({ allowWriteHttpFrom: ['10.0.0.0'] })).rejects.toThrow(
      'invalid CIDR address: 10.0.0.0',
    );
  });
});

describe('framing', () => {
  test('gzip on request, whatever the size', async () => {
    const server = await start();
    const answer = await send(server, 'GET', '/v1/status/leader', { headers: { 'Accept-Encoding': 'gzip' } });
    expect(answer.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
    expect(gunzipSync(answer.bytes).toString()).toBe('"127.0.0.1:8300"');
    server.backend.answer('Status.Peers', () => Array.from({ length: 9000 }, (_, i) => `peer-${i}`));
    const large = await send(server, 'GET', '/v1/status/peers', { headers: { 'Accept-Encoding': 'gzip' } });
    expect(JSON.parse(gunzipSync(large.bytes).toString())).toHaveLength(9000);
    const none = await send(server, 'GET', '/v1/nope', { headers: { 'Accept-Encoding': 'gzip' } });
    expect(none.headers['content-encoding']).toBeUndefined();
  });

  test('pretty by parameter or development mode', async () => {
    const plain = await send(await start(), 'GET', '/v1/status/peers');
    expect(plain.text).toBe('["127.0.0.1:8300"]');
    const pretty = '[\n    "127.0.0.1:8300"\n]\n';
    expect((await send(await start(), 'GET', '/v1/status/peers?pretty=false')).text).toBe(pretty);
    const dev = await start({ isDevMode: true });
    expect((await send(dev, 'GET', '/v1/status/peers')).text).toBe(pretty);
    expect((await send(dev, 'PUT', '/v1/kv/a', { body: 'v' })).text).toBe('true\n');
  });

  test.each([
    [new ConsulError('internal', 500, 'rpc error: Permission denied'), 403, 'rpc error: Permission denied'],
    [new ConsulError('internal', 500, 'ACL not found'), 403, 'ACL not found'],
    [new ConsulError('rate-limited', 500, 'RPC rate limit exceeded'), 429, ''],
    [badRequest('no'), 400, 'no'],
    [new Error('boom'), 500, 'boom'],
  ])('failure %s', async (error, status, text) => {
    const server = await start();
    server.backend.answer('Status.Leader', () => {
      throw error;
    });
    expect(await send(server, 'GET', '/v1/status/leader')).toMatchObject({ status, text });
  });
});

test('requests and failures are logged, tokens hidden', async () => {
  const records: LogRecord[] = [];
  const log = createLogger(
    'agent.http',
    [{ wants: () => true, write: (r) => void records.push(r) }],
    () => 0,
  );
  const server = await start({}, { log });
  await send(server, 'GET', '/v1/status/leader?token=secret');
  await send(server, 'GET', '/v1/kv/?token=secret');
  await eventually(() => records.some((record) => record.level === 'ERROR'));
  const finished = records.find((record) => record.message === 'Request finished');
  expect(finished?.fields).toMatchObject({
    method: 'GET',
    url: '/v1/status/leader?token=<hidden>',
    from: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    latency: expect.any(String),
  });
  const failed = records.find((record) => record.message === 'Request error');
  expect(failed?.fields).toMatchObject({ url: '/v1/kv/?token=<hidden>', error: 'Missing key name' });
});

describe('tokens', () => {
  test.each([
    ['/v1/status/leader?token=q', { 'X-Consul-Token': 'h' }, 'q'],
    ['/v1/status/leader?token=', { 'X-Consul-Token': 'h', Authorization: 'Bearer b' }, 'h'],
    ['/v1/status/leader', { Authorization: 'bearer b rest' }, 'b'],
    ['/v1/status/leader', { Authorization: 'Basic b' }, 'default'],
  ])('%s %j', async (path, headers, token) => {
    const server = await start({ defaultToken: 'default' });
    await send(server, 'GET', path, { headers });
    expect(server.backend.lastCall().options.token).toBe(token);
  });
});

describe('connections', () => {
  /** Bytes that a raw connection gets until its end. */
  function raw(server: TestServer, text: string): Promise<string> {
    const { hostname, port } = new URL(server.url);
    return new Promise((resolve) => {
      let received = '';
      const socket = connect(Number(port), hostname, () => socket.write(text));
      socket.on('data', (chunk) => {
        received += chunk.toString();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(received));
    });
  }

  test('what is no HTTP gets 400', async () => {
    expect(await raw(await start(), 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  });

  test('more connections than allowed are closed without a byte', async () => {
    const server = await start({ maxConnectionsPerClient: 1 });
    const { hostname, port } = new URL(server.url);
    const first = connect(Number(port), hostname);
    await new Promise((resolve) => first.once('connect', resolve));
    expect(await raw(server, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('');
    first.destroy();
    await new Promise((resolve) => first.once('close', resolve));
    await expect
      .poll(() =>
        send(server, 'GET', '/v1/status/leader')
          .then((answer) => answer.status)
          .catch(() => 0),
      )
      .toBe(200);
  });

  test('an address in use is named', async () => {
    const server = await start();
    const port = server.server.addresses[0]?.port ?? 0;
    const again = startHttpServer({
      listen: [
        { host: '127.0.0.1', port: 0 },
        { host: '127.0.0.1', port },
      ],
      dependencies: {
        backend: server.backend,
        agent: server.agent,
        env: server.env,
        log: createLogger('x', [], () => 0),
        compileFilter: () => () => true,
      },
      config: DEFAULT_HTTP_CONFIG,
    });
    await expect(again).rejects.toThrow(`listen tcp 127.0.0.1:${port}: bind: address already in use`);
  });
});

test('a unix socket is served too, over one that was left behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'proconsul-http-'));
  const path = join(directory, 'http.sock');
  const first = await start();
  const options = {
    listen: [{ path }],
    dependencies: {
      backend: first.backend,
      agent: first.agent,
      env: first.env,
      log: createLogger('x', [], () => 0),
      compileFilter: () => () => true,
    },
    config: { ...DEFAULT_HTTP_CONFIG, isTracing: true },
  };
  const left = createUnixServer().listen(path);
  await once(left, 'listening');
  const server = await startHttpServer(options);
  expect(server.addresses).toEqual([{ host: path, port: 0, url: `unix://${path}` }]);
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(path, () =>
      socket.write('GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    );
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
    });
    socket.on('close', () => resolve(text));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*"127\.0\.0\.1:8300"$/);
  await server.close();
  left.close();
  await rm(directory, { recursive: true });
});

test('a header that HTTP does not allow ends the request, not the agent', async () => {
  const server = await start({ responseHeaders: { 'x-bad': 'a\nb' } });
  await expect(send(server, 'GET', '/v1/status/leader')).rejects.toThrow();
  await expect(send(server, 'GET', '/v1/nope')).resolves.toMatchObject({ status: 404 });
});

describe('waits', () => {
  /** Makes a read hang until its signal fires, and tells about it. */
  function hanging(server: TestServer) {
    const state = { begun: 0, reasons: [] as unknown[] };
    server.backend.answer('KVS.Get', (_args, options: ReadOptions) => {
      state.begun++;
      return new Promise((_resolve, reject) => {
        options.signal?.addEventListener('abort', () => {
          state.reasons.push(options.signal?.reason);
          reject(new Error('aborted somewhere below'));
        });
      });
    });
    return state;
  }

  test('a wait ends when its client goes away', async () => {
    const server = await start();
    const state = hanging(server);
    const client = new AbortController();
    const answer = send(server, 'GET', '/v1/kv/a?index=5', { signal: client.signal }).catch(() => 'gone');
    await eventually(() => state.begun === 1);
    client.abort();
    expect(await answer).toBe('gone');
    await eventually(() => state.reasons.length === 1);
    expect(state.reasons[0]).toMatchObject({ message: 'client closed the connection' });
  });

  test('closing ends waits with 503 and lets other requests finish', async () => {
    const server = await start();
    const state = hanging(server);
    let finishRead = (_leader: string) => {};
    server.backend.answer(
      'Status.Leader',
      () =>
        new Promise((resolve) => {
          finishRead = resolve;
        }),
    );
    const waiting = send(server, 'GET', '/v1/kv/a?index=5');
    const reading = send(server, 'GET', '/v1/status/leader');
    await eventually(() => state.begun === 1 && server.backend.calls.length === 2);
    const closed = server.server.close();
    expect(await waiting).toMatchObject({ status: 503, text: 'Agent is shutting down' });
    finishRead('late');
    const answer = await reading;
    expect(answer).toMatchObject({ status: 200, text: '"late"' });
    expect(answer.headers.connection).toBe('close');
    await closed;
    await expect(send(server, 'GET', '/v1/status/leader')).rejects.toThrow('ECONNREFUSED');
  });

  test('closing ends log streams', async () => {
    const server = await start();
    const streaming = send(server, 'GET', '/v1/agent/monitor');
    await eventually(() => server.agent.journal.includes('monitor'));
    await server.server.close();
    expect((await streaming).text).toContain('hello');
    expect(server.agent.journal).toContain('monitor ended');
  });

  test('what does not finish in time is dropped', async () => {
    const server = await start();
    server.backend.answer('Status.Leader', () => new Promise(() => {}));
    const reading = send(server, 'GET', '/v1/status/leader').catch(() => 'dropped');
    await eventually(() => server.backend.calls.length === 1);
    const closed = server.server.close(1000);
    server.env.clock.advance(1001);
    expect(await reading).toBe('dropped');
    await closed;
  });
});
