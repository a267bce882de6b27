/** Asking upstream DNS servers over UDP and TCP: one socket an exchange, so that ports cannot be guessed. */

import dgram from 'node:dgram';
import net, { isIPv6 } from 'node:net';
import { parseServerAddress } from '../../shared/dns/addresses.ts';
import { DnsFormatError, HEADER_BYTES, skipName } from '../../shared/dns/message.ts';
import { binaryText, foldCase } from '../../shared/dns/name.ts';
import type { Recursor } from '../../shared/dns/recursion.ts';
import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import { FrameReader, framePrefix } from './tcp-frames.ts';

export interface RecursorDeps {
  readonly env: Env;
  readonly log: Logger;
  /** Exchanges under way at once; more are refused. 1024 unless given. */
  readonly maxConcurrent?: number;
}

const MAX_CONCURRENT = 1024;

/** Rejections say which server and why, in the words of Go's resolver where it has them. */
export function createRecursor({ env, log, maxConcurrent = MAX_CONCURRENT }: RecursorDeps): Recursor {
  let underWay = 0;
  return {
    async exchange(server, query, transport, timeoutMs) {
      const address = parseServerAddress(server);
      if (address === undefined) throw new Error(`"${server}" is not an IP address with an optional port`);
      if (underWay >= maxConcurrent)
        throw new Error(`${maxConcurrent} recursive queries are under way already`);
      underWay++;
      try {
        const attempt = transport === 'udp' ? exchangeUdp : exchangeTcp;
        return await attempt(address.host, address.port, query, timeoutMs, env);
      } catch (thrown) {
        log.trace('upstream exchange failed', { server, transport, error: String(thrown) });
        throw thrown;
      } finally {
        underWay--;
      }
    },
  };
}

function exchangeUdp(
  host: string,
  port: number,
  query: Uint8Array,
  timeoutMs: number,
  env: Env,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    let isSettled = false;
    const settle = (act: () => void) => {
      if (isSettled) return;
      isSettled = true;
      timer.cancel();
      socket.close();
      act();
    };
    const timer = env.clock.setTimer(
      timeoutMs,
      () => settle(() => reject(new Error(`read udp ${host}:${port}: i/o timeout`))),
      true,
    );
    socket.on('error', (error) => settle(() => reject(error)));
    socket.on('message', (reply) => {
      if (isReplyTo(query, reply)) settle(() => resolve(reply));
    });
    // A connected socket takes datagrams of that server only, and learns when nobody listens there.
    socket.connect(port, host, () => {
      if (!isSettled) socket.send(query);
    });
  });
}

function exchangeTcp(
  host: string,
  port: number,
  query: Uint8Array,
  timeoutMs: number,
  env: Env,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true });
    const frames = new FrameReader();
    const settle = (act: () => void) => {
      timer.cancel();
      socket.destroy();
      act();
    };
    const timer = env.clock.setTimer(
      timeoutMs,
      () => settle(() => reject(new Error(`read tcp ${host}:${port}: i/o timeout`))),
      true,
    );
    socket.on('connect', () => {
      socket.cork();
      socket.write(framePrefix(query.length));
      socket.write(query);
      socket.uncork();
    });
    socket.on('data', (chunk: Buffer) => {
      frames.push(chunk);
      const reply = frames.next();
      if (reply === undefined) return;
      if (isReplyTo(query, reply)) settle(() => resolve(reply));
      else settle(() => reject(new Error(`reply of tcp ${host}:${port} is not for the question`)));
    });
    socket.on('error', (error) => settle(() => reject(error)));
    socket.on('close', () =>
      settle(() => reject(new Error(`tcp ${host}:${port} closed the connection without a reply`))),
    );
  });
}

/** Same id and question, any spelling of its name. Errors may come without the question. */
function isReplyTo(query: Uint8Array, reply: Uint8Array): boolean {
  if (reply.length < HEADER_BYTES || reply[0] !== query[0] || reply[1] !== query[1]) return false;
  if (((reply[2] ?? 0) & 0x80) === 0) return false;
  const questions = ((reply[4] ?? 0) << 8) | (reply[5] ?? 0);
  if (questions === 0) return ((reply[3] ?? 0) & 0xf) !== 0;
  try {
    return questionText(query) === questionText(reply);
  } catch (thrown) {
    if (thrown instanceof DnsFormatError) return false;
    throw thrown;
  }
}

function questionText(message: Uint8Array): string {
  const end = skipName(message, HEADER_BYTES, false);
  return (
    foldCase(binaryText(message, HEADER_BYTES, end)) +
    binaryText(message, end, Math.min(end + 4, message.length))
  );
}
