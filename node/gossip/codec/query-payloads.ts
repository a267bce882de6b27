/** What serf's internal queries carry: filters, key requests and answers, a member record. */

import { bytesField, expectType, ownBytes, stringField, uintField } from './messages.ts';
import { DecodeError, forEachField, MsgpackReader, tryDecode } from './msgpack-reader.ts';
import { encodeWith } from './msgpack-writer.ts';
import { boolField, SerfType } from './serf-messages.ts';

export type QueryFilter =
  | { readonly kind: 'nodes'; readonly names: readonly string[] }
  | { readonly kind: 'tag'; readonly tag: string; readonly expression: string };

export interface KeyResponse {
  readonly isDone: boolean;
  readonly message: string;
  /** Base64, only in answers to a list request. */
  readonly keys: readonly string[];
  readonly primaryKey: string;
}

export interface MemberRecord {
  readonly name: string;
  readonly address: Uint8Array;
  readonly port: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly status: number;
  readonly versions: readonly [number, number, number, number, number, number];
}

const FILTER_NODES = 0;
const FILTER_TAG = 1;

export function encodeQueryFilter(filter: QueryFilter): Uint8Array {
  return encodeWith((out) => {
    if (filter.kind === 'nodes') {
      out.byte(FILTER_NODES);
      out.array(filter.names.length);
      for (const name of filter.names) out.string(name);
      return;
    }
    out.byte(FILTER_TAG);
    out.map(2);
    stringField(out, 'Expr', filter.expression);
    stringField(out, 'Tag', filter.tag);
  });
}

/** Undefined when malformed or of an unknown type. */
export function decodeQueryFilter(bytes: Uint8Array): QueryFilter | undefined {
  return tryDecode(() => {
    const reader = new MsgpackReader(bytes, 1);
    if (bytes[0] === FILTER_NODES) {
      const names: string[] = [];
      for (let left = reader.array(); left > 0; left--) names.push(reader.string());
      return { kind: 'nodes', names };
    }
    if (bytes[0] !== FILTER_TAG) throw new DecodeError('unknown filter type');
    let tag = '';
    let expression = '';
    forEachField(reader, (key) => {
      if (key === 'Tag') tag = reader.string();
      else if (key === 'Expr') expression = reader.string();
      else reader.skip();
    });
    return { kind: 'tag', tag, expression };
  });
}

export function encodeKeyRequest(key: Uint8Array): Uint8Array {
  return encodeWith((out) => {
    out.byte(SerfType.keyRequest);
    out.map(1);
    bytesField(out, 'Key', key);
  });
}

/** The key, empty for a list request; undefined when malformed. */
export function decodeKeyRequest(bytes: Uint8Array): Uint8Array | undefined {
  return tryDecode(() => {
    const reader = expectType(bytes, SerfType.keyRequest);
    let key: Uint8Array = new Uint8Array(0);
    forEachField(reader, (name) => {
      if (name === 'Key') key = ownBytes(reader.bytes());
      else reader.skip();
    });
    return key;
  });
}

export function encodeKeyResponse(response: KeyResponse): Uint8Array {
  return encodeWith((out) => {
    out.byte(SerfType.keyResponse);
    out.map(4);
    out.string('Keys');
    if (response.keys.length === 0) out.nil();
    else {
      out.array(response.keys.length);
      for (const key of response.keys) out.string(key);
    }
    stringField(out, 'Message', response.message);
    stringField(out, 'PrimaryKey', response.primaryKey);
    boolField(out, 'Result', response.isDone);
  });
}

export function decodeKeyResponse(bytes: Uint8Array): KeyResponse | undefined {
  return tryDecode(() => {
    const reader = expectType(bytes, SerfType.keyResponse);
    let isDone = false;
    let message = '';
    let primaryKey = '';
    const keys: string[] = [];
    forEachField(reader, (name) => {
      if (name === 'Result') isDone = reader.bool();
      else if (name === 'Message') message = reader.string();
      else if (name === 'PrimaryKey') primaryKey = reader.string();
      else if (name === 'Keys') for (let left = reader.array(); left > 0; left--) keys.push(reader.string());
      else reader.skip();
    });
    return { isDone, message, keys, primaryKey };
  });
}

export function encodeConflictResponse(member: MemberRecord | undefined): Uint8Array {
  return encodeWith((out) => {
    out.byte(SerfType.conflictResponse);
    if (member === undefined) {
      out.nil();
      return;
    }
    const [min, max, current, delegateMin, delegateMax, delegateCurrent] = member.versions;
    out.map(11);
    bytesField(out, 'Addr', member.address);
    uintField(out, 'DelegateCur', delegateCurrent);
    uintField(out, 'DelegateMax', delegateMax);
    uintField(out, 'DelegateMin', delegateMin);
    stringField(out, 'Name', member.name);
    uintField(out, 'Port', member.port);
    uintField(out, 'ProtocolCur', current);
    uintField(out, 'ProtocolMax', max);
    uintField(out, 'ProtocolMin', min);
    uintField(out, 'Status', member.status);
    out.string('Tags');
    const tags = Object.entries(member.tags);
    out.map(tags.length);
    for (const [tag, value] of tags) stringField(out, tag, value);
  });
}
