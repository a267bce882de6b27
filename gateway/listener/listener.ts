/** One port for HTTP/1.1 and HTTP/2: told apart by the first bytes in clear text, by ALPN under TLS. */

import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import http2, {
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../shared/env.ts';
import type { PlainExchange } from '../exchange/plain-exchange.ts';
import { inOrder } from './in-order.ts';
import { createPlainLane } from './plain-connection.ts';
import { protocolOf } from './preface.ts';
import type { TlsIdentity } from './tls-identity.ts';

export type OnRequest = (
  incoming: IncomingMessage | Http2ServerRequest,
  outgoing: ServerResponse | Http2ServerResponse,
) => void;

export interface ListenerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** undefined: clear text. */
  readonly tls: TlsIdentity | undefined;
  /** Longest header block of a request, bytes. HTTP/1.1 gets 431 beyond it, an HTTP/2 stream ENHANCE_YOUR_CALM. */
  readonly maxHeaderBytes: number;
  /** How long a request may take to arrive; its head at most a minute. HTTP/1.1 gets 408 beyond it. */
  readonly requestTimeoutMs: number;
  readonly onRequest: OnRequest;
  /** Answers a plain request for an agent; everything else comes to `onRequest`. Never rejects. */
  readonly onExchange: (exchange: PlainExchange) => Promise<unknown>;
  readonly clock: Clock;
}

export interface Listener {
  /** `http://HOST:PORT` or `https://HOST:PORT` as bound. */
  readonly url: string;
  /** No new connections and no new requests on those that are idle. Resolves when the last connection has ended. */
  close(): Promise<void>;
  /** Cuts every connection. */
  destroyConnections(): void;
}

/** Longer than clients keep connections (Go: 90 s), so that the gateway isn't the one to close under a request. */
const KEEP_ALIVE_MS = 120_000;
const HANDSHAKE_MS = 10_000;
/** How long the head of a request may take to arrive. */
const HEAD_MS = 60_000;
/** As many as Go's server allows. Further requests wait at the client. */
const MAX_STREAMS_PER_SESSION = 250;

/** @throws the system's error when the address can't be bound */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const sessions = new Set<ServerHttp2Session>();
  const server = openHttp1Server(options);
  const http2Server = openHttp2Server(options, sessions);
  const isTls = options.tls !== undefined;
  const event = isTls ? 'secureConnection' : 'connection';
  // The server's own listener takes a connection for HTTP/1.1; from now on it is called only for what is.
  const listeners = server.listeners(event);
  const acceptHttp1 = (socket: Socket) => {
    for (const listener of listeners) listener.call(server, socket);
    socket.resume();
  };
  const acceptHttp2 = (socket: Socket) => {
    // node:http keeps the other half open by itself; a session expects that the end of one half ends both.
    socket.allowHalfOpen = false;
    http2Server.emit('connection', socket);
  };
  const lane = createPlainLane({
    ...options,
    handOver: (socket, head) => (protocolOf(head) === 'http2' ? acceptHttp2 : acceptHttp1)(socket),
  });
  server.removeAllListeners(event);
  server.on(event, (socket: Socket) => {
    if (socket instanceof TLSSocket && socket.alpnProtocol === 'h2') acceptHttp2(socket);
    else lane.accept(socket);
  });
  await listen(server, options.host, options.port);
  return {
    url: urlOf(server, isTls),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        lane.close();
        for (const session of sessions) session.close();
      }),
    destroyConnections: () => {
      server.closeAllConnections();
      lane.destroyAll();
      for (const session of sessions) session.destroy();
    },
  };
}

function openHttp1Server({
  tls,
  maxHeaderBytes,
  requestTimeoutMs,
  onRequest,
}: ListenerOptions): http.Server | https.Server {
  const options = {
    maxHeaderSize: maxHeaderBytes,
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
    requestTimeout: requestTimeoutMs,
    headersTimeout: Math.min(HEAD_MS, requestTimeoutMs),
    connectionsCheckingInterval: Math.min(30_000, requestTimeoutMs),
  };
  const onOrdered = inOrder(onRequest);
  if (tls === undefined) return http.createServer(options, onOrdered);
  const secure = { ...tls, ALPNProtocols: ['h2', 'http/1.1'], handshakeTimeout: HANDSHAKE_MS };
  return https.createServer({ ...options, ...secure }, onOrdered);
}

/** A server that never listens: it is given connections. */
function openHttp2Server({ maxHeaderBytes, onRequest }: ListenerOptions, sessions: Set<ServerHttp2Session>) {
  const settings = { maxConcurrentStreams: MAX_STREAMS_PER_SESSION, maxHeaderListSize: maxHeaderBytes };
  const server = http2.createServer({ settings }, onRequest);
  server.on('session', (session) => {
    let openStreams = 0;
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.on('stream', (stream) => {
      openStreams++;
      stream.once('close', () => openStreams--);
    });
    // A blocking query is silent for minutes; only a session without any stream is idle.
    session.setTimeout(KEEP_ALIVE_MS, () => openStreams === 0 && session.close());
  });
  return server;
}

function listen(server: http.Server | https.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function urlOf(server: http.Server | https.Server, isTls: boolean): string {
  // A listening TCP server always has an AddressInfo.
  const { address, port, family } = server.address() as AddressInfo;
  return `${isTls ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
