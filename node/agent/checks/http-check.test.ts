import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realEnv } from '../../../shared/env.ts';
import { closed, closedPort, listenOnLoopback, selfSigned } from '../testing/loopback.ts';
import { type HttpCheckOptions, httpCheck } from './http-check.ts';
import type { CheckResult } from './types.ts';

let server: Server;
let target: string;
let handle: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  server = createServer((request, response) => handle(request, response));
  target = `127.0.0.1:${await listenOnLoopback(server)}`;
});
afterEach(() => closed(server));

function run(url: string, fields: Partial<HttpCheckOptions> = {}): Promise<CheckResult> {
  const probe = httpCheck({
    clock: realEnv.clock,
    url,
    method: '',
    header: {},
    body: '',
    timeoutMs: 5_000,
    outputMaxSize: 4096,
    tls: { rejectUnauthorized: true, serverName: '' },
    ...fields,
  });
  return probe(new AbortController().signal);
}

describe('the status', () => {
  it.each([
    [200, 'OK', 'passing'],
    [204, 'No Content', 'passing'],
    [299, 'unknown', 'passing'],
    [429, 'Too Many Requests', 'warning'],
    [304, 'Not Modified', 'critical'],
    [404, 'Not Found', 'critical'],
    [503, 'Service Unavailable', 'critical'],
  ])('%i is told as %s and is %s', async (code, reason, status) => {
    handle = (_request, response) =>
      response.writeHead(code).end(code === 204 || code === 304 ? undefined : 'body');
    const body = code === 204 || code === 304 ? '' : 'body';
    expect(await run(`http://${target}/x`)).toEqual({
      status,
      output: `HTTP GET http://${target}/x: ${code} ${reason} Output: ${body}`,
    });
  });
});

describe('the request', () => {
  it('is a GET with Consul’s headers on a connection of its own', async () => {
    let seen: IncomingMessage | undefined;
    handle = (request, response) => {
      seen = request;
      response.end();
    };
    await run(`http://${target}/p?q=1`);
    expect(seen?.method).toBe('GET');
    expect(seen?.url).toBe('/p?q=1');
    expect(seen?.headers).toMatchObject({
      'user-agent': 'Consul Health Check',
      accept: 'text/plain, text/*, */*',
      connection: 'close',
      host: target,
    });
  });

  it('takes method, headers, host and body from the definition', async () => {
    let seen = '';
    handle = (request, response) => {
      request.on('data', (chunk) => {
        seen += chunk;
      });
      request.on('end', () => {
        const { host, accept, 'x-probe': probe, 'user-agent': agent } = request.headers;
        response.end(`${request.method} ${host} ${accept} ${probe} ${agent} ${seen}`);
      });
    };
    const header = { 'X-Probe': ['one', 'two'], 'user-agent': ['mine'], Host: ['example.org'], Empty: [] };
    const result = await run(`http://${target}/`, { method: 'POST', header, body: '{"a":1}' });
    expect(result.output).toBe(
      `HTTP POST http://${target}/: 200 OK Output: POST example.org text/plain, text/*, */* one, two mine {"a":1}`,
    );
  });

  it('follows redirects and says what it asked first', async () => {
    handle = (request, response) => {
      if (request.url === '/a') response.writeHead(302, { location: '/b' }).end('moved');
      else response.end(`${request.method} ${request.url}`);
    };
    expect(await run(`http://${target}/a`, { method: 'POST', body: 'x' })).toEqual({
      status: 'passing',
      output: `HTTP POST http://${target}/a: 200 OK Output: GET /b`,
    });
  });

  it('keeps method and body for 307', async () => {
    handle = (request, response) => {
      if (request.url === '/a') {
        response.writeHead(307, { location: '/b' }).end();
        return;
      }
      request.on('data', (chunk) => response.write(chunk));
      request.on('end', () => response.end(request.method));
    };
    const { output } = await run(`http://${target}/a`, { method: 'PUT', body: 'x' });
    expect(output).toBe(`HTTP PUT http://${target}/a: 200 OK Output: xPUT`);
  });

  it('gives up after ten redirects', async () => {
    let count = 0;
    handle = (_request, response) => {
      count++;
      response.writeHead(302, { location: '/again' }).end();
    };
    expect(await run(`http://${target}/`)).toEqual({
      status: 'critical',
      output: 'Get "/again": stopped after 10 redirects',
    });
    expect(count).toBe(10);
  });
});

describe('the output', () => {
  it('keeps the end of a long body', async () => {
    handle = (_request, response) => response.end(`${'a'.repeat(100_000)}end`);
    const { output } = await run(`http://${target}/`, { outputMaxSize: 5 });
    expect(output).toBe(`HTTP GET http://${target}/: 200 OK Output: aaend`);
  });

  it('is what arrived when the body does not end in time', async () => {
    handle = (_request, response) => response.write('part');
    const { status, output } = await run(`http://${target}/`, { timeoutMs: 2_000 });
    expect(status).toBe('passing');
    expect(output).toBe(`HTTP GET http://${target}/: 200 OK Output: part`);
  });
});

describe('failures', () => {
  it('connection refused', async () => {
    const port = await closedPort();
    expect(await run(`http://127.0.0.1:${port}/`)).toEqual({
      status: 'critical',
      output: `Get "http://127.0.0.1:${port}/": dial tcp 127.0.0.1:${port}: connect: connection refused`,
    });
  });

  it('a name that does not exist', async () => {
    const { output } = await run('http://nowhere.invalid/', { method: 'HEAD' });
    expect(output).toMatch(/^Head "http:\/\/nowhere.invalid\/": dial tcp: lookup nowhere.invalid: /);
  });

  it('no answer in time', async () => {
    handle = () => {};
    expect(await run(`http://${target}/slow`, { timeoutMs: 100 })).toEqual({
      status: 'critical',
      output: `Get "http://${target}/slow": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
    });
  });

  it('hanging up without an answer', async () => {
    handle = (request) => request.socket.destroy();
    expect((await run(`http://${target}/`)).output).toBe(`Get "http://${target}/": EOF`);
  });

  it('something that does not speak HTTP', async () => {
    const other = createTcpServer((socket) => socket.resume().end('hello\r\n\r\n'));
    const port = await listenOnLoopback(other);
    const result = await run(`http://127.0.0.1:${port}/`);
    expect(result).toEqual({
      status: 'critical',
      output: `Get "http://127.0.0.1:${port}/": net/http: HTTP/1.x transport connection broken: malformed HTTP response`,
    });
    await closed(other);
  });

  it.each([
    ['ftp://x/', 'Get "ftp://x/": unsupported protocol scheme "ftp"'],
    ['web:80', 'Get "web:80": unsupported protocol scheme "web"'],
    ['nothing', 'Get "nothing": unsupported protocol scheme ""'],
    ['http://', 'Get "http://": http: no Host in request URL'],
  ])('the URL %s', async (url, output) => {
    expect(await run(url)).toEqual({ status: 'critical', output });
  });

  it('a header that HTTP does not allow', async () => {
    const result = await run(`http://${target}/`, { header: { 'bad name': ['x'] } });
    expect(result.status).toBe('critical');
    expect(result.output).toContain('bad name');
  });
});

const pair = selfSigned();
describe.skipIf(pair === undefined)('over TLS', () => {
  const { key = '', cert = '' } = pair ?? {};
  const tlsServer = createTlsServer({ key, cert }, (_request, response) => response.end('safe'));
  let url: string;
  beforeEach(async () => {
    url = `https://127.0.0.1:${await listenOnLoopback(tlsServer)}/`;
  });
  afterEach(() => closed(tlsServer));

  it('refuses an unknown authority', async () => {
    expect((await run(url)).output).toBe(`Get "${url}": x509: certificate signed by unknown authority`);
  });
  it('skips verification when told to', async () => {
    const result = await run(url, { tls: { rejectUnauthorized: false, serverName: '' } });
    expect(result.output).toBe(`HTTP GET ${url}: 200 OK Output: safe`);
  });
  it('verifies against the given authority and server name', async () => {
    const good = await run(url, { tls: { rejectUnauthorized: true, serverName: 'localhost', ca: cert } });
    expect(good.status).toBe('passing');
    const bad = await run(url, { tls: { rejectUnauthorized: true, serverName: 'other', ca: cert } });
    expect(bad.output).toContain('x509: certificate is not valid for any names, but wanted to match other');
  });
});
