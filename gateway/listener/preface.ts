/** Tells HTTP/2 with prior knowledge from HTTP/1.1 by the first bytes of a connection (RFC 9113 §3.4). */

import type { Socket } from 'node:net';

export type Protocol = 'http1' | 'http2';

/** No HTTP/1 request begins like this: `PRI` is reserved for it. What must follow is the HTTP/2 session's to check. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n', 'latin1');

/** @returns undefined while the bytes could still become either */
export function protocolOf(head: Uint8Array): Protocol | undefined {
  const length = Math.min(head.length, PREFACE.length);
  for (let i = 0; i < length; i++) if (head[i] !== PREFACE[i]) return 'http1';
  return length === PREFACE.length ? 'http2' : undefined;
}

/**
 * Looks at the first bytes of a connection once, puts them back and says what they are. A connection that ends, breaks
 * or stays silent before that is destroyed, and nothing is said.
 *
 * @param limitMs how long a connection may stay undecided
 * @param decided takes the socket over at once: paused, its bytes unread. To be resumed by whoever reads 'data'
 */
export function peekProtocol(socket: Socket, limitMs: number, decided: (protocol: Protocol) => void): void {
  let seen: Uint8Array = new Uint8Array(0);
  const giveUp = () => socket.destroy();
  const onData = (chunk: Uint8Array) => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const protocol = protocolOf(seen);
    if (protocol === undefined) return;
    socket.off('data', onData).off('end', giveUp).off('error', giveUp).off('timeout', giveUp);
    socket.setTimeout(0);
    socket.pause();
    socket.unshift(seen);
    decided(protocol);
  };
  socket.setTimeout(limitMs);
  socket.on('data', onData).on('end', giveUp).on('error', giveUp).on('timeout', giveUp);
}
