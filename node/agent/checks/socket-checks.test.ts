import { createSocket } from 'node:dgram';
import { createSecureServer, createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { realEnv } from '../../../shared/env.ts';
import { closed, closedPort, listenOnLoopback, selfSigned } from '../testing/loopback.ts';
import { grpcCheck } from './grpc-check.ts';
import { h2pingCheck } from './h2ping-check.ts';
import type { TlsSettings } from './http-check.ts';
import { tcpCheck } from './tcp-check.ts';
import type { CheckResult } from './types.ts';
import { udpCheck } from './udp-check.ts';

const { clock } = realEnv;
const never = () => new AbortController().signal;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

describe('TCP', () => {
  const run = (address: string, timeoutMs = 5_000) => tcpCheck({ clock, address, timeoutMs })(never());

  it('passes when the address accepts', async () => {
    const server = createTcpServer((socket) => socket.on('error', () => {}));
    const port = await listenOnLoopback(server);
    cleanups.push(() => closed(server));
    expect(await run(`127.0.0.1:${port}`)).toEqual({
      status: 'passing',
      output: `TCP connect 127.0.0.1:${port}: Success`,
    });
  });

  it('is critical when it refuses', async () => {
    const port = await closedPort();
    expect(await run(`127.0.0.1:${port}`)).toEqual({
      status: 'critical',
      output: `dial tcp 127.0.0.1:${port}: connect: connection refused`,
    });
  });

  it('names an address without a port', async () => {
    expect((await run('web')).output).toBe('dial tcp: address web: missing port in address');
  });

  it('ends at once when cancelled', async () => {
    const controller = new AbortController();
    controller.abort();
    const result = await tcpCheck({ clock, address: '127.0.0.1:1', timeoutMs: 60_000 })(controller.signal);
    expect(result.status).toBe('critical');
  });
});

describe('UDP', () => {
  const run = (port: number, timeoutMs = 2_000) =>
    udpCheck({ clock, address: `127.0.0.1:${port}`, timeoutMs })(never());

  function udpServer(answers: boolean): Promise<number> {
    const socket = createSocket('udp4');
    if (answers) socket.on('message', (_message, peer) => socket.send('x', peer.port, peer.address));
    cleanups.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
    return new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(socket.address().port)));
  }

  it('passes on an answer', async () => {
    const port = await udpServer(true);
    expect(await run(port)).toEqual({ status: 'passing', output: `UDP connect 127.0.0.1:${port}: Success` });
  });

  it('passes on silence', async () => {
    expect((await run(await udpServer(false), 50)).status).toBe('passing');
  });

  it('is critical on a refusal', async () => {
    const result = await run(await closedPort());
    expect(result.status).toBe('critical');
    expect(result.output).toContain('connection refused');
  });
});

/** A health service that knows `web` (SERVING), `db` (NOT_SERVING) and itself. */
function answerHealth(stream: ServerHttp2Stream): void {
  const chunks: Buffer[] = [];
  stream.on('error', () => {});
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const service = Buffer.concat(chunks).subarray(7).toString();
    if (service === 'silent') return;
    if (service === 'gone') {
      const trailers = { 'grpc-status': '5', 'grpc-message': 'unknown%20service' };
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', ...trailers },
        { endStream: true },
      );
      return;
    }
    if (service === 'web page') {
      stream.respond({ ':status': 404 });
      stream.end('no');
      return;
    }
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, service === 'db' ? 2 : 1]));
  });
}

async function healthServer(server: Http2Server): Promise<string> {
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', answerHealth);
  cleanups.push(() => {
    for (const session of sessions) session.destroy();
    return closed(server);
  });
  return `127.0.0.1:${await listenOnLoopback(server)}`;
}

describe('gRPC', () => {
  const run = (target: string, timeoutMs = 5_000, tls?: TlsSettings): Promise<CheckResult> =>
    grpcCheck({ clock, target, tls, timeoutMs })(never());

  it.each([
    ['', 'passing', 'gRPC check TARGET: success'],
    ['/web', 'passing', 'gRPC check TARGET/web: success'],
    ['/db', 'critical', "gRPC application didn't report service healthy"],
    ['/gone', 'critical', 'rpc error: code = NotFound desc = unknown service'],
    ['/web page', 'critical', 'rpc error: code = Unknown desc = unexpected HTTP status 404'],
  ])('service %j is %s', async (service, status, output) => {
    const address = await healthServer(createServer());
    const result = await run(address + service);
    expect(result).toEqual({ status, output: output.replace('TARGET', address) });
  });

  it('ends when there is no answer in time', async () => {
    const address = await healthServer(createServer());
    expect(await run(`${address}/silent`, 150)).toEqual({
      status: 'critical',
      output: 'rpc error: code = DeadlineExceeded desc = context deadline exceeded',
    });
  });

  it('tells that nobody listens', async () => {
    const port = await closedPort();
    expect(await run(`127.0.0.1:${port}`)).toEqual({
      status: 'critical',
      output: `rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:${port}: connect: connection refused"`,
    });
  });

  const pair = selfSigned();
  it.skipIf(pair === undefined)('speaks TLS', async () => {
    const address = await healthServer(createSecureServer(pair ?? {}));
    const skip = { rejectUnauthorized: false, serverName: '' };
    expect((await run(address, 5_000, skip)).status).toBe('passing');
    const verify = { rejectUnauthorized: true, serverName: '' };
    expect((await run(address, 5_000, verify)).output).toContain(
      'x509: certificate signed by unknown authority',
    );
  });
});

describe('H2PING', () => {
  const run = (address: string) => h2pingCheck({ clock, address, tls: undefined, timeoutMs: 300 })(never());

  it('passes when the ping is acknowledged', async () => {
    const address = await healthServer(createServer());
    expect(await run(address)).toEqual({ status: 'passing', output: 'HTTP2 ping was successful' });
  });

  it('is critical when nobody listens', async () => {
    const port = await closedPort();
    expect((await run(`127.0.0.1:${port}`)).output).toBe(
      `Failed to dial to 127.0.0.1:${port}: dial tcp 127.0.0.1:${port}: connect: connection refused`,
    );
  });

  it('is critical when the peer does not speak HTTP/2', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
    });
    const port = await listenOnLoopback(server);
    const result = await run(`127.0.0.1:${port}`);
    expect(result.status).toBe('critical');
    server.close();
  });
});
