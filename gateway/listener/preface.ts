/** Tells HTTP/2 with prior knowledge from HTTP/1.1 by the first bytes of a connection (RFC 9113 §3.4). */

export type Protocol = 'http1' | 'http2';

/** No HTTP/1 request begins like this: `PRI` is reserved for it. What must follow is the HTTP/2 session's to check. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n', 'latin1');

/** @returns undefined while the bytes could still become either */
export function protocolOf(head: Uint8Array): Protocol | undefined {
  const length = Math.min(head.length, PREFACE.length);
  for (let i = 0; i < length; i++) if (head[i] !== PREFACE[i]) return 'http1';
  return length === PREFACE.length ? 'http2' : undefined;
}
