/** Opens connections to the RPC port of other servers. */

import type { Socket } from 'node:net';
import type { Env } from '../../shared/env.ts';
import { PREFACE, STREAM_KIND, type StreamKind } from './frame.ts';
import { type RpcNetwork, tcpNetwork } from './network.ts';
import { splitHostPort } from './server-members.ts';

const DIAL_TIMEOUT_MS = 3000;

/**
 * Connects and says what the connection is for. The socket has no listeners left; the caller adds its own at once.
 *
 * @param address `host:port`
 * @throws Error in Go's words, such as `dial tcp 127.0.0.1:1: connect: connection refused`
 */
export function dial(
  address: string,
  kind: StreamKind,
  env: Env,
  network: RpcNetwork = tcpNetwork,
): Promise<Socket> {
  const target = splitHostPort(address);
  if (target === undefined) return Promise.reject(new Error(`dial tcp: address ${address}: missing port`));
  return new Promise((resolve, reject) => {
    const socket = network.connect(target.host, target.port);
    const timer = env.clock.setTimer(DIAL_TIMEOUT_MS, () => fail(`dial tcp ${address}: i/o timeout`));
    const fail = (text: string, cause?: unknown) => {
      timer.cancel();
      socket.destroy();
      reject(new Error(text, { cause }));
    };
    const onError = (error: Error) => fail(`dial tcp ${address}: connect: ${reasonOf(error)}`, error);
    socket.on('error', onError);
    socket.once('connect', () => {
      timer.cancel();
      socket.off('error', onError);
      socket.write(Buffer.concat([PREFACE, Buffer.from([STREAM_KIND[kind]])]));
      resolve(socket);
    });
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
};

/** The system's reason in Go's words. */
export function reasonOf(error: Error): string {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return REASONS[code] ?? error.message;
}
