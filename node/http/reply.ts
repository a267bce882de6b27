/** What a route answers, as a value: status, headers in order, body. Nothing is written before it is complete. */

import { NS_PER_MS } from '../../shared/durations.ts';
import { ConsulError, toConsulError } from '../../shared/errors.ts';
import { renderJson } from '../../shared/json.ts';
import type { ReadMeta } from '../rpc/backend.ts';

export interface Reply {
  readonly status: number;
  /** Names and values in turn, without what the server itself adds (Vary, Content-Length, configured ones). */
  readonly headers: readonly string[];
  /** Empty: no body. Bytes may be shared with other answers and are never changed. */
  readonly body: Uint8Array | string;
  /** The failure behind it, for the log. */
  readonly error?: ConsulError;
  /** The connection ends after this answer. */
  readonly closes?: boolean;
}

/** Writes a body of unknown length bit by bit, such as the log stream. The header is sent at once. */
export interface StreamReply {
  readonly status: number;
  readonly headers: readonly string[];
  readonly stream: (out: StreamSink) => void;
}

export interface StreamSink {
  /** False: the peer is slow; wait for `onDrain`. */
  write(piece: string | Uint8Array): boolean;
  onDrain(drained: () => void): void;
  onClose(closed: () => void): void;
  end(): void;
  /** Breaks the connection off, so that the client knows that something is missing. */
  abort(): void;
}

export function isStream(reply: Reply | StreamReply): reply is StreamReply {
  return 'stream' in reply;
}

const JSON_HEADERS: readonly string[] = ['Content-Type', 'application/json'];
const TEXT_HEADERS: readonly string[] = ['Content-Type', 'text/plain; charset=utf-8'];
const NO_HEADERS: readonly string[] = [];

/** 200 without a body: most agent writes. */
export const EMPTY_OK: Reply = { status: 200, headers: NO_HEADERS, body: '' };

export const NOT_FOUND: Reply = { status: 404, headers: NO_HEADERS, body: '' };

/** Already rendered JSON. */
export function rawJsonReply(
  body: Uint8Array | string,
  headers: readonly string[] = NO_HEADERS,
  status = 200,
): Reply {
  return {
    status,
    headers: headers.length === 0 ? JSON_HEADERS : [...JSON_HEADERS, ...headers],
    body,
  };
}

export function jsonReply(
  value: unknown,
  pretty: boolean,
  headers: readonly string[] = NO_HEADERS,
  status = 200,
): Reply {
  return rawJsonReply(renderJson(value, pretty), headers, status);
}

const BOOLEANS: readonly Reply[] = [false, true].flatMap((value) => [
  jsonReply(value, false),
  jsonReply(value, true),
]);

/** `true` or `false`, what most writes answer. */
export function booleanReply(value: boolean, pretty: boolean): Reply {
  return BOOLEANS[(value ? 2 : 0) + (pretty ? 1 : 0)] ?? jsonReply(value, pretty);
}

/** A plain sentence; an empty text is an empty body without a type. */
export function textReply(status: number, text: string, headers: readonly string[] = NO_HEADERS): Reply {
  if (text === '') return { status, headers, body: '' };
  return { status, headers: headers.length === 0 ? TEXT_HEADERS : [...TEXT_HEADERS, ...headers], body: text };
}

/** Any failure as Consul answers it (reference: error status mapping). */
export function errorReply(thrown: unknown, headers: readonly string[] = NO_HEADERS): Reply {
  const error = toConsulError(thrown);
  const status = statusOf(error);
  const isRateLimited = status === 429 && error.message.includes('RPC rate limit exceeded');
  const closes = error.code === 'shutting-down' || error.code === 'too-large';
  return { ...textReply(status, isRateLimited ? '' : error.message, headers), error, closes };
}

function statusOf(error: ConsulError): number {
  if (error.message.includes('Permission denied') || error.message.includes('ACL not found')) return 403;
  if (error.message.includes('RPC rate limit exceeded')) return 429;
  return error.status;
}

/** X-Consul-Index, KnownLeader and LastContact, after `before`. */
export function metaHeaders(meta: ReadMeta, effectiveConsistency: string | undefined): string[] {
  const headers = [
    'X-Consul-Index',
    String(Math.max(meta.index, 1)),
    'X-Consul-Knownleader',
    meta.knownLeader ? 'true' : 'false',
    'X-Consul-Lastcontact',
    String(Math.floor(meta.lastContactMs)),
  ];
  if (effectiveConsistency !== undefined)
    headers.push('X-Consul-Effective-Consistency', effectiveConsistency);
  return headers;
}

/** What Consul embeds in answers of reads that it does not block; `LastContact` is nanoseconds. */
export function embeddedMeta({ knownLeader, lastContactMs }: ReadMeta, consistencyLevel: string) {
  return {
    Index: 0,
    LastContact: Math.round(lastContactMs * NS_PER_MS),
    KnownLeader: knownLeader,
    ConsistencyLevel: consistencyLevel,
  };
}

/** What late header writers send when the call itself failed. */
export const FAILED_META_HEADERS: readonly string[] = metaHeaders(
  { index: 1, knownLeader: false, lastContactMs: 0 },
  undefined,
);

/** Text that may go into a header: control characters become blanks, the rest is UTF-8 as Node wants it. */
export function headerText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are what a header must not hold
  return Buffer.from(text.replace(/[\x00-\x1f\x7f]/g, ' '), 'utf8').toString('latin1');
}

export function tooLarge(text: string): ConsulError {
  return new ConsulError('too-large', 413, text);
}
