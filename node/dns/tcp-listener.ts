/** The TCP side of the DNS server: connections with several queries each, bounded in number, time and backlog. */

import net from 'node:net';
import type { DnsResolver } from '../../shared/dns/resolver.ts';
import type { Env, Timer } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import { FrameReader, framePrefix } from './tcp-frames.ts';

export interface TcpLimits {
  /** Connections beyond are closed at once. */
  readonly maxConnections: number;
  /** A connection that asks nothing, or takes no answers, for so long is closed. */
  readonly idleTimeoutMs: number;
  /** Queries of one connection that wait for their answers; more are not read before. */
  readonly maxPipelined: number;
}

export interface TcpListener {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws what `net` reports when the address cannot be bound */
export async function listenTcp(
  address: string,
  port: number,
  resolver: DnsResolver,
  limits: TcpLimits,
  env: Env,
  log: Logger,
): Promise<TcpListener> {
  const connections = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    serveConnection(socket, resolver, limits, env, log);
  });
  server.maxConnections = limits.maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => log.error('DNS listener failed', { network: 'tcp', error: error.message }));
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of connections) socket.destroy();
      }),
  };
}

/** Answers go out as they are ready, which may not be the order of the queries (RFC 7766 §7). */
function serveConnection(
  socket: net.Socket,
  resolver: DnsResolver,
  limits: TcpLimits,
  env: Env,
  log: Logger,
): void {
  const client = socket.remoteAddress ?? '';
  const clientPort = socket.remotePort;
  const frames = new FrameReader();
  let pending = 0;
  let hasEnded = false;
  let idle: Timer | undefined;

  const restartIdle = () => {
    idle?.cancel();
    idle = env.clock.setTimer(limits.idleTimeoutMs, () => {
      if (pending > 0 && socket.writableLength === 0) restartIdle();
      else socket.destroy();
    });
  };
  const send = (reply: Uint8Array | undefined) => {
    if (reply === undefined || socket.destroyed) return;
    socket.write(framePrefix(reply.length));
    socket.write(reply);
  };
  const sendLater = async (reply: Promise<Uint8Array | undefined>) => {
    pending++;
    try {
      send(await reply);
    } finally {
      pending--;
    }
    answerWaiting();
  };
  const answerWaiting = () => {
    if (socket.destroyed) return;
    socket.cork();
    while (pending < limits.maxPipelined && !socket.writableNeedDrain) {
      const query = frames.next();
      if (query === undefined) break;
      restartIdle();
      const reply = resolver.answer(query, 'tcp', client, clientPort);
      if (reply instanceof Promise) void sendLater(reply);
      else send(reply);
    }
    socket.uncork();
    const isFull = pending >= limits.maxPipelined || socket.writableNeedDrain;
    if (isFull) socket.pause();
    else if (hasEnded && pending === 0) socket.end();
    else socket.resume();
  };

  restartIdle();
  socket.on('data', (chunk: Buffer) => {
    frames.push(chunk);
    answerWaiting();
  });
  socket.on('drain', answerWaiting);
  socket.on('end', () => {
    hasEnded = true;
    answerWaiting();
  });
  socket.on('error', (error) => log.debug('DNS connection failed', { client, error: error.message }));
  socket.on('close', () => idle?.cancel());
}
