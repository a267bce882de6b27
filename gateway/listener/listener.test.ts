import { once } from 'node:events';
import http, { type IncomingMessage } from 'node:http';
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { realEnv, sleep } from '../../shared/env.ts';
import type { GatewaySettings } from '../settings/settings.ts';
import type { RunningGateway } from '../start.ts';
import { eventually, FakePool } from '../testing/fake-pool.ts';
import { startTestGateway } from '../testing/harness.ts';

let pool: FakePool;
let gateway: RunningGateway;
let session: ClientHttp2Session;

beforeEach(async () => {
  pool = await FakePool.start(['s1']);
  await open({});
});

afterEach(async () => {
  session.destroy();
  await gateway.stop();
  await pool.stop();
});

async function open(changes: Partial<GatewaySettings>): Promise<void> {
  gateway = await startTestGateway(pool, changes);
  session = http2.connect(gateway.url);
}

async function reopen(changes: Partial<GatewaySettings>): Promise<void> {
  session.destroy();
  await gateway.stop();
  await open(changes);
}

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

async function replyOf(stream: ClientHttp2Stream): Promise<Reply> {
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return { status: Number(headers[':status']), headers, text: Buffer.concat(chunks).toString() };
}

const ask = (path: string, headers: OutgoingHttpHeaders = {}) =>
  replyOf(session.request({ ':path': path, ...headers }));

function send(path: string, body: string | Buffer, headers: OutgoingHttpHeaders = {}): Promise<Reply> {
  const stream = session.request({ ':method': 'PUT', ':path': path, ...headers });
  stream.end(body);
  return replyOf(stream);
}

/** Sends parts with a pause between them and returns what comes back until the gateway closes. */
async function raw(parts: readonly string[]): Promise<Buffer> {
  const socket = connect({ port: Number(new URL(gateway.url).port), host: '127.0.0.1', noDelay: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(Buffer.from(chunk)));
  for (const part of parts) {
    socket.write(part, 'latin1');
    await sleep(realEnv.clock, 20);
  }
  if (!socket.destroyed) await Promise.race([once(socket, 'close'), sleep(realEnv.clock, 300)]);
  socket.destroy();
  return Buffer.concat(chunks);
}

describe('one port', () => {
  test('serves HTTP/2 with prior knowledge and HTTP/1.1 with keep-alive', async () => {
    pool.cluster.put('k', 'v');
    const reply = await ask('/v1/kv/k');
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text)).toEqual([{ Key: 'k', Value: btoa('v') }]);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ports: (number | undefined)[] = [];
    for (let i = 0; i < 3; i++) {
      const request = http.get(`${gateway.url}/v1/kv/k`, { agent });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      ports.push(response.socket.localPort);
      for await (const _ of response);
      expect(response.statusCode).toBe(200);
    }
    expect(new Set(ports).size).toBe(1);
    agent.destroy();
  });

  test('waits for the bytes that tell the protocols apart', async () => {
    const http1 = await raw([
      'P',
      'UT /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n',
      'Content-Length: 1\r\n\r\n',
      'b',
    ]);
    expect(http1.toString()).toMatch(/^HTTP\/1.1 200 OK/);
    expect(pool.cluster.keys.get('a')?.value).toBe('b');
    const settingsFrame = '\0\0\0\u0004\0\0\0\0\0';
    const answer = await raw(['PRI * HT', 'TP/2.0\r\n', '\r\nSM\r\n\r\n', settingsFrame]);
    // A SETTINGS frame of the gateway comes first: its type is the fourth byte.
    expect(answer[3]).toBe(4);
  });

  test('ends a connection whose preface goes on as garbage, and lives on', async () => {
    const answer = await raw(['PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n']);
    expect(answer.toString('latin1')).not.toContain('HTTP/1.1');
    expect((await raw(['\u0016\u0003\u0001 no http at all\r\n\r\n'])).toString()).toMatch(/^HTTP\/1.1 400 /);
    expect((await ask('/health')).text).toBe('ok\n');
  });

  test('a client that leaves before it said anything leaves nothing behind', async () => {
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.end('PR');
    await once(socket, 'close');
    expect((await ask('/health')).status).toBe(200);
  });
});

describe('over HTTP/2', () => {
  test('odd targets reach the agent byte for byte', async () => {
    const targets = [
      '/v1/kv/a/../b?x',
      '/v1/kv//a/./b',
      '/v1/kv/a%2F%2e%2e',
      '/v1/kv/a\\b',
      '/v1/kv/%zz?%zz',
    ];
    pool.override = (_node, _request, response) => {
      response.end('seen');
      return true;
    };
    for (const target of targets) expect((await ask(target)).text).toBe('seen');
    for (const target of targets) expect(pool.node('s1').requests).toContain(`GET ${target}`);
  });

  test('headers travel without pseudo headers, with the client’s address', async () => {
    await ask('/v1/kv/none', { 'x-consul-token': 'secret', cookie: ['a=1', 'b=2'], te: 'trailers' });
    const { lastHeaders } = pool.node('s1');
    expect(Object.keys(lastHeaders).filter((name) => name.startsWith(':'))).toEqual([]);
    expect(lastHeaders).toMatchObject({
      'x-consul-token': 'secret',
      cookie: 'a=1; b=2',
      'x-forwarded-for': '127.0.0.1',
    });
    expect(lastHeaders.te).toBeUndefined();
  });

  test('what an agent says about its connection is left out, repeated headers stay', async () => {
    pool.override = (_node, _request, response) => {
      response.writeHead(200, ['Connection', 'close', 'Vary', 'a', 'Vary', 'b', 'X-Consul-Index', '7']);
      response.end('{}');
      return true;
    };
    const { headers } = await ask('/v1/kv/k');
    expect(headers.connection).toBeUndefined();
    expect(headers.vary).toBe('a, b');
    expect(headers['x-consul-index']).toBe('7');
    expect(headers['content-length']).toBe('2');
  });

  test('HEAD, a missing page and an answer of the gateway itself', async () => {
    const head = await replyOf(session.request({ ':method': 'HEAD', ':path': '/v1/catalog/nodes' }));
    expect([head.status, head.text]).toEqual([200, '']);
    expect((await ask('/v1/nothing')).status).toBe(404);
    expect((await send('/v1/agent/leave', '')).status).toBe(403);
  });

  test('bodies: with a length, without, without any, over the limit', async () => {
    await reopen({ bodyLimitBytes: 1000 });
    expect((await send('/v1/kv/a', 'abc', { 'content-length': 3 })).text).toBe('true');
    expect(pool.node('s1').lastHeaders['content-length']).toBe('3');
    expect((await send('/v1/kv/b', 'abc')).text).toBe('true');
    expect(pool.node('s1').lastHeaders['transfer-encoding']).toBe('chunked');
    const empty = session.request({ ':method': 'PUT', ':path': '/v1/kv/c' }, { endStream: true });
    expect((await replyOf(empty)).text).toBe('true');
    expect((await send('/v1/kv/d', 'x'.repeat(300_000))).text).toBe('true');
    const values = ['a', 'b', 'c', 'd'].map((key) => pool.cluster.keys.get(key)?.value);
    expect(values).toEqual(['abc', 'abc', '', 'x'.repeat(300_000)]);
  });

  test('a large answer to a slow client arrives whole', async () => {
    const text = 'y'.repeat(3_000_000);
    pool.override = (_node, _request, response) => {
      response.end(text);
      return true;
    };
    for (const path of ['/v1/kv/large', '/v1/snapshot']) {
      const stream = session.request({ ':path': path });
      await once(stream, 'response');
      await sleep(realEnv.clock, 100);
      let length = 0;
      for await (const chunk of stream) length += (chunk as Buffer).length;
      expect(length).toBe(text.length);
    }
    expect((await send('/v1/query', 'body that the agent does not read')).text.length).toBe(text.length);
  });

  test('a stream arrives as it is written, ends upstream with its client, and shows when it is cut', async () => {
    let closed = 0;
    let cut: (() => void) | undefined;
    pool.override = (_node, request, response) => {
      if (!request.url?.startsWith('/v1/agent/monitor')) return false;
      response.writeHead(200).write('first line\n');
      response.on('close', () => closed++);
      cut = () => response.destroy();
      return true;
    };
    const stream = session.request({ ':path': '/v1/agent/monitor' });
    expect(String((await once(stream, 'data'))[0])).toBe('first line\n');
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await eventually(() => closed === 1, 'the stream upstream ends');
    const second = session.request({ ':path': '/v1/agent/monitor' });
    await once(second, 'data');
    const failed = once(second, 'error');
    cut?.();
    expect(String((await failed)[0])).toContain('NGHTTP2_INTERNAL_ERROR');
  });

  test('a wait ends upstream when its client cancels it or disappears', async () => {
    pool.cluster.put('k', 'old');
    let closed = 0;
    pool.override = (_node, _request, response) => {
      response.on('close', () => closed++);
      return false;
    };
    const target = `/v1/kv/k?index=${pool.cluster.index}`;
    const cancelled = session.request({ ':path': target });
    await eventually(() => pool.node('s1').requests.length === 1, 'the wait is upstream');
    cancelled.close(http2.constants.NGHTTP2_CANCEL);
    await eventually(() => closed === 1, 'the wait upstream ends');
    session.request({ ':path': target }).on('error', () => undefined);
    await eventually(() => pool.node('s1').requests.length === 2, 'the second wait is upstream');
    session.destroy();
    await eventually(() => closed === 2, 'the second wait upstream ends');
  });
});

describe('limits over HTTP/2', () => {
  test('a session may have 250 requests in progress; the next ones wait their turn', async () => {
    pool.cluster.put('k', 'old');
    const [settings] = (await once(session, 'remoteSettings')) as [http2.Settings];
    expect(settings.maxConcurrentStreams).toBe(250);
    const target = `/v1/kv/k?index=${pool.cluster.index}&wait=30s`;
    const waiting = Array.from({ length: 260 }, () => ask(target));
    await eventually(() => pool.node('s1').requests.length > 0, 'the wait is upstream');
    await sleep(realEnv.clock, 100);
    pool.cluster.put('k', 'new');
    expect(new Set((await Promise.all(waiting)).map(({ status }) => status))).toEqual(new Set([200]));
  });

  test('a header block over the limit is refused, its session goes on', async () => {
    await reopen({ maxHeaderBytes: 4096 });
    const [settings] = (await once(session, 'remoteSettings')) as [http2.Settings];
    expect(settings.maxHeaderListSize).toBe(4096);
    const stream = session.request({ ':path': '/v1/kv/a', 'x-long': 'x'.repeat(8000) });
    expect(String((await once(stream, 'error'))[0])).toContain('ENHANCE_YOUR_CALM');
    expect((await ask('/health')).status).toBe(200);
    expect(pool.node('s1').requests).toEqual([]);
  });
});

test('a stop tells sessions to go, and lets their requests finish', async () => {
  await reopen({ drainMs: 3000 });
  pool.cluster.put('k', 'old');
  const waiting = ask(`/v1/kv/k?index=${pool.cluster.index}&wait=30s`);
  await eventually(() => pool.node('s1').requests.length > 0, 'the wait is upstream');
  const goaway = once(session, 'goaway');
  const stopped = gateway.stop();
  await goaway;
  pool.cluster.put('k', 'new');
  expect((await waiting).status).toBe(200);
  await stopped;
});
