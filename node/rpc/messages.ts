/** Requests and answers between agents, as msgpack inside frames. */

import { Packr } from 'msgpackr';
import { type Applied, badRequest, ConsulError, type ErrorCode } from '../../shared/errors.ts';
import type { Consistency, JsonReply, ReadMeta, ReadReply } from './backend.ts';

/** What the caller wants back: a value, rendered JSON, or the result of a write. */
export type CallKind = 'read' | 'json' | 'write';

export interface RpcRequest {
  readonly kind: CallKind;
  /** Endpoint name. */
  readonly name: string;
  readonly args: unknown;
  readonly datacenter: string;
  readonly token: string;
  readonly consistency: Consistency;
  readonly maxStaleMs: number | undefined;
  readonly minIndex: number;
  /** Milliseconds, jitter not included. */
  readonly waitMs: number;
  readonly pretty: boolean;
  /** Came from a server of the same datacenter: answer it here or say that this server can't. */
  readonly isForwarded: boolean;
  /** W3C trace context; undefined unless a span is recorded. */
  readonly traceparent: string | undefined;
  /** Makes a write safe to repeat; see `shared/request-id.ts`. */
  readonly requestId?: string | undefined;
}

export type RpcReply =
  | { readonly kind: 'read'; readonly reply: ReadReply<unknown> }
  | { readonly kind: 'json'; readonly reply: JsonReply }
  | { readonly kind: 'write'; readonly result: unknown };

const packr = new Packr({ useRecords: false, moreTypes: false });

/** The bytes of any plain value, `undefined` and bigints below 2^64 included. */
export function packValue(value: unknown): Buffer {
  return packr.pack(value);
}

/** @throws Error when the bytes are not one msgpack value */
export function unpackValue(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}

const KIND_NUMBER: Readonly<Record<CallKind, number>> = { read: 0, json: 1, write: 2 };
const KINDS: readonly CallKind[] = ['read', 'json', 'write'];
const CONSISTENCY_NUMBER: Readonly<Record<Consistency, number>> = { default: 0, stale: 1, consistent: 2 };
const CONSISTENCIES: readonly Consistency[] = ['default', 'stale', 'consistent'];

export function packRequest(request: RpcRequest): Buffer {
  const fields = [
    KIND_NUMBER[request.kind],
    request.name,
    request.args,
    request.datacenter,
    request.token,
    CONSISTENCY_NUMBER[request.consistency],
    request.maxStaleMs ?? null,
    request.minIndex,
    request.waitMs,
    (request.pretty ? 1 : 0) | (request.isForwarded ? 2 : 0),
    request.traceparent ?? null,
  ];
  if (request.requestId !== undefined) fields.push(request.requestId);
  return packr.pack(fields);
}

/** @throws ConsulError 400 when the bytes are no request */
export function unpackRequest(bytes: Uint8Array): RpcRequest {
  const fields = unpackFields(bytes);
  const [kind, name, args, datacenter, token, consistency, maxStaleMs, minIndex, waitMs, flags, parent, id] =
    fields;
  const callKind = typeof kind === 'number' ? KINDS[kind] : undefined;
  const mode = typeof consistency === 'number' ? CONSISTENCIES[consistency] : undefined;
  if (callKind === undefined || mode === undefined) throw malformed();
  if (typeof args !== 'object' || args === null) throw malformed();
  const options = typeof flags === 'number' ? flags : 0;
  return {
    kind: callKind,
    name: text(name),
    args,
    datacenter: text(datacenter),
    token: text(token),
    consistency: mode,
    maxStaleMs: maxStaleMs === null ? undefined : amount(maxStaleMs),
    minIndex: amount(minIndex),
    waitMs: amount(waitMs),
    pretty: (options & 1) !== 0,
    isForwarded: (options & 2) !== 0,
    traceparent: typeof parent === 'string' ? parent : undefined,
    requestId: typeof id === 'string' ? id : undefined,
  };
}

/** A read's answer. Forwarders hand the value on, so it stays msgpack; see `jsonHead` for rendered ones. */
export function packRead(reply: ReadReply<unknown>): Buffer {
  const { meta, value } = reply;
  return packr.pack([meta.index, meta.knownLeader, meta.lastContactMs, value]);
}

/** @throws ConsulError when the bytes are no such answer */
export function unpackRead(bytes: Uint8Array): ReadReply<unknown> {
  const [index, knownLeader, lastContactMs, value] = unpackFields(bytes);
  return {
    meta: { index: amount(index), knownLeader: knownLeader === true, lastContactMs: amount(lastContactMs) },
    value,
  };
}

const JSON_HEAD_BYTES = 17;

/** What stands before the rendered text: flags, index and last contact as doubles. The text follows uncopied. */
export function jsonHead(reply: JsonReply): Buffer {
  const head = Buffer.allocUnsafe(JSON_HEAD_BYTES);
  head.writeUInt8((reply.isEmpty ? 1 : 0) | (reply.meta.knownLeader ? 2 : 0), 0);
  head.writeDoubleBE(reply.meta.index, 1);
  head.writeDoubleBE(reply.meta.lastContactMs, 9);
  return head;
}

/** The body shares memory with `bytes`. @throws ConsulError when they are too short */
export function unpackJson(bytes: Buffer): JsonReply {
  if (bytes.length < JSON_HEAD_BYTES) throw malformed();
  const flags = bytes.readUInt8(0);
  const meta: ReadMeta = {
    index: bytes.readDoubleBE(1),
    knownLeader: (flags & 2) !== 0,
    lastContactMs: bytes.readDoubleBE(9),
  };
  return { meta, body: bytes.subarray(JSON_HEAD_BYTES), isEmpty: (flags & 1) !== 0 };
}

export function packError(error: ConsulError): Buffer {
  return packr.pack([error.code, error.status, error.message, error.applied]);
}

/** The error as the far end threw it; bytes that make no sense become an internal error. */
export function unpackError(bytes: Uint8Array): ConsulError {
  try {
    const [code, status, message, applied] = unpackFields(bytes);
    return new ConsulError(errorCode(code), errorStatus(status), text(message), {
      applied: applied === 'no' ? 'no' : ('unknown' satisfies Applied),
    });
  } catch (cause) {
    return new ConsulError('internal', 500, 'malformed error from peer', { cause });
  }
}

/** A key per code, so that a new code cannot be forgotten here. */
const CODES: Readonly<Record<ErrorCode, true>> = {
  'bad-request': true,
  'permission-denied': true,
  'acl-disabled': true,
  'not-found': true,
  'method-not-allowed': true,
  conflict: true,
  'too-large': true,
  'rate-limited': true,
  'no-leader': true,
  'not-leader': true,
  'no-servers': true,
  'no-path-to-datacenter': true,
  'outcome-unknown': true,
  timeout: true,
  'shutting-down': true,
  refused: true,
  internal: true,
};

function errorCode(value: unknown): ErrorCode {
  return typeof value === 'string' && Object.hasOwn(CODES, value) ? (value as ErrorCode) : 'internal';
}

function errorStatus(value: unknown): number {
  return typeof value === 'number' && value >= 400 && value <= 599 ? value : 500;
}

function unpackFields(bytes: Uint8Array): readonly unknown[] {
  let fields: unknown;
  try {
    fields = packr.unpack(bytes);
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(fields)) throw malformed();
  return fields;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw malformed();
  return value;
}

function amount(value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0)) throw malformed();
  return value;
}

function malformed(cause?: unknown): ConsulError {
  const error = badRequest('malformed RPC message');
  return cause === undefined ? error : new ConsulError(error.code, error.status, error.message, { cause });
}
