/** Reading a request body once, whole and bounded. */

import type { Readable } from 'node:stream';
import { ConsulError } from '../../shared/errors.ts';
import type { Incoming } from './message.ts';
import { MuxRequest } from './mux-message.ts';
import { findHeader } from './request.ts';

const NOTHING = new Uint8Array(0);

/** An oversized body longer than this is not waited for: the connection simply ends. */
const MAX_DRAIN_BYTES = 16 * 1024 * 1024;

/**
 * Collects the body. A body that came in one piece is returned as that piece, not copied.
 *
 * @param announced Content-Length, undefined when chunked or absent
 * @returns 'too-large' when more than `limitBytes` came; the rest has been read and dropped as far as bounds allow
 * @throws ConsulError when the client breaks off
 */
export function readBody(
  incoming: Incoming,
  announced: number | undefined,
  limitBytes: number,
): Promise<Uint8Array | 'too-large'> {
  const isEmpty = announced === 0 || (announced === undefined && !hasChunkedBody(incoming));
  if (isEmpty) return Promise.resolve(NOTHING);
  const source = bodyOf(incoming);
  if (source instanceof Uint8Array) return Promise.resolve(source.length > limitBytes ? 'too-large' : source);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    source.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limitBytes) chunks.push(chunk);
      else if (length > limitBytes + MAX_DRAIN_BYTES) resolve('too-large');
    });
    source.on('end', () => {
      if (length > limitBytes) resolve('too-large');
      else
        resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length));
    });
    source.on('error', () => reject(brokenOff()));
    source.on('close', () => {
      // Every request closes in the end; an error and its stack only where the body was cut short.
      if (!source.readableEnded) reject(brokenOff());
    });
  });
}

/** Reads and drops a body that was refused by its announced length. */
export async function drain(incoming: Incoming, announced: number): Promise<void> {
  // Over a multiplexed connection an answer that comes early stops the sender by itself.
  if (announced > MAX_DRAIN_BYTES || incoming instanceof MuxRequest) return;
  await readBody(incoming, announced, 0);
}

/** Reads and drops what is left of a body, up to a bound; never rejects. */
export function dropRest(incoming: Incoming): Promise<void> {
  if (incoming instanceof MuxRequest || incoming.readableEnded || incoming.destroyed)
    return Promise.resolve();
  return new Promise((resolve) => {
    let length = 0;
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MAX_DRAIN_BYTES) resolve();
    });
    incoming.on('end', resolve);
    incoming.on('error', resolve);
    incoming.on('close', resolve);
  });
}

/** The body piece by piece. Leaving it before its end does not end the connection. */
export function bodyPieces(incoming: Incoming): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  const source = bodyOf(incoming);
  return source instanceof Uint8Array ? [source] : source.iterator({ destroyOnReturn: false });
}

function bodyOf(incoming: Incoming): Uint8Array | Readable {
  return incoming instanceof MuxRequest ? incoming.body : incoming;
}

function hasChunkedBody(incoming: Incoming): boolean {
  return findHeader(incoming, 'transfer-encoding') !== undefined;
}

function brokenOff(): ConsulError {
  return new ConsulError('bad-request', 400, 'unexpected EOF');
}
