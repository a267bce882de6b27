/** Puts a reply on the wire: one header write with a flat list, one body write. */

import { acceptsGzip, gzipBody } from './compression.ts';
import type { Incoming, Outgoing } from './message.ts';
import { MuxResponse } from './mux-message.ts';
import type { Reply, StreamReply, StreamSink } from './reply.ts';
import { findHeader } from './request.ts';

/** Bodies up to this go out in one string together with the header, which saves a gather write. */
const INLINE_BELOW_BYTES = 4096;

/**
 * @param extra header names and values that the endpoint's kind adds (Vary, configured ones)
 * @param mayCompress whether gzip is offered at all: on registered endpoints only
 */
export function sendReply(
  incoming: Incoming,
  response: Outgoing,
  reply: Reply,
  extra: readonly string[],
  mayCompress: boolean,
): void {
  if (response.destroyed || response.headersSent) return;
  const isEmpty = reply.body.length === 0;
  const compresses = mayCompress && !isEmpty && acceptsGzip(findHeader(incoming, 'accept-encoding'));
  if (!compresses) {
    write(response, reply, reply.body, extra);
    return;
  }
  const packed = gzipBody(reply.body);
  const headers = ['Content-Encoding', 'gzip', ...extra];
  if (packed instanceof Promise)
    packed.then(
      (bytes) => write(response, reply, bytes, headers),
      () => response.destroy(),
    );
  else write(response, reply, packed, headers);
}

function write(response: Outgoing, reply: Reply, body: Uint8Array | string, extra: readonly string[]): void {
  if (response.destroyed) return;
  const length = typeof body === 'string' ? Buffer.byteLength(body, 'utf8') : body.length;
  const headers = [...reply.headers, ...extra];
  if (response instanceof MuxResponse) {
    response.answer(reply.status, headers, body, length);
    return;
  }
  // On a 304 it would speak of the page that the client has, not of this answer.
  if (reply.status !== 304) headers.push('Content-Length', String(length));
  if (reply.closes === true) headers.push('Connection', 'close');
  response.writeHead(reply.status, headers);
  if (typeof body !== 'string' && length >= INLINE_BELOW_BYTES) response.end(body);
  else response.end(latin1(body, length), 'latin1');
}

/**
 * The bytes as a string of characters 0–255. Node joins header and body when both are text and writes them in the
 * body's encoding; a header is Latin-1, so the body has to be as well.
 */
function latin1(body: Uint8Array | string, length: number): string {
  if (typeof body !== 'string')
    return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
  const isAscii = body.length === length;
  return isAscii ? body : Buffer.from(body, 'utf8').toString('latin1');
}

/** Sends the header at once and hands the open response to the stream. */
export function sendStream(response: Outgoing, reply: StreamReply, extra: readonly string[]): void {
  response.writeHead(reply.status, [...reply.headers, ...extra]);
  response.flushHeaders();
  const sink: StreamSink = {
    write: (piece) => !response.destroyed && response.write(piece),
    onDrain: (drained) => response.on('drain', drained),
    onClose: (closed) => response.on('close', closed),
    end: () => response.end(),
    abort: () => response.destroy(),
  };
  reply.stream(sink);
}

/** Go's redirect: a small page for GET, nothing for the rest. */
export function redirectReply(method: string, location: string): Reply {
  const headers = ['Location', location];
  if (method === 'GET' || method === 'HEAD') headers.unshift('Content-Type', 'text/html; charset=utf-8');
  const body = method === 'GET' ? `<a href="${htmlEscape(location)}">Moved Permanently</a>.\n\n` : '';
  return { status: 301, headers, body };
}

const HTML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

function htmlEscape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => HTML[c] ?? c);
}
