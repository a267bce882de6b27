/** Serf messages that travel as membership user messages: type byte and map. */

import { bytesField, ownBytes, stringField, uintField } from './messages.ts';
import { DecodeError, forEachField, MsgpackReader, tryDecode } from './msgpack-reader.ts';
import { encodeWith, type MsgpackWriter } from './msgpack-writer.ts';

export const SerfType = {
  leave: 0,
  join: 1,
  pushPull: 2,
  userEvent: 3,
  query: 4,
  queryResponse: 5,
  conflictResponse: 6,
  keyRequest: 7,
  keyResponse: 8,
  relay: 9,
} as const;

export interface LeaveIntent {
  readonly type: 'leave';
  readonly lTime: bigint;
  readonly node: string;
  readonly prune: boolean;
}

export interface JoinIntent {
  readonly type: 'join';
  readonly lTime: bigint;
  readonly node: string;
}

export interface UserEvent {
  readonly type: 'user-event';
  readonly lTime: bigint;
  readonly name: string;
  readonly payload: Uint8Array;
  readonly coalesce: boolean;
}

export interface Query {
  readonly type: 'query';
  readonly lTime: bigint;
  readonly id: number;
  /** Where answers go. */
  readonly address: Uint8Array;
  readonly port: number;
  readonly sourceNode: string;
  readonly filters: readonly Uint8Array[];
  readonly flags: number;
  readonly relayFactor: number;
  readonly timeoutNs: bigint;
  readonly name: string;
  readonly payload: Uint8Array;
}

export const QUERY_FLAG_ACK = 1;
export const QUERY_FLAG_NO_BROADCAST = 2;

export interface QueryResponse {
  readonly type: 'query-response';
  readonly lTime: bigint;
  readonly id: number;
  readonly from: string;
  readonly flags: number;
  readonly payload: Uint8Array;
}

export interface Relay {
  readonly type: 'relay';
  readonly address: Uint8Array;
  readonly port: number;
  readonly name: string;
  /** The serf message to pass on, type byte first. */
  readonly inner: Uint8Array;
}

export type SerfMessage = LeaveIntent | JoinIntent | UserEvent | Query | QueryResponse | Relay;

const MAX_UINT32 = 0xffff_ffff;
/** A query carries at most a few filters; more is abuse. */
const MAX_FILTERS = 64;

export function encodeSerfMessage(message: SerfMessage): Uint8Array {
  return encodeWith((out) => writeSerfMessage(out, message));
}

function writeSerfMessage(out: MsgpackWriter, message: SerfMessage): void {
  switch (message.type) {
    case 'leave':
      out.byte(SerfType.leave);
      out.map(3);
      uintField(out, 'LTime', message.lTime);
      stringField(out, 'Node', message.node);
      boolField(out, 'Prune', message.prune);
      return;
    case 'join':
      out.byte(SerfType.join);
      out.map(2);
      uintField(out, 'LTime', message.lTime);
      stringField(out, 'Node', message.node);
      return;
    case 'user-event':
      out.byte(SerfType.userEvent);
      out.map(4);
      boolField(out, 'CC', message.coalesce);
      uintField(out, 'LTime', message.lTime);
      stringField(out, 'Name', message.name);
      bytesField(out, 'Payload', message.payload);
      return;
    case 'query':
      writeQuery(out, message);
      return;
    case 'query-response':
      out.byte(SerfType.queryResponse);
      out.map(5);
      uintField(out, 'Flags', message.flags);
      stringField(out, 'From', message.from);
      uintField(out, 'ID', message.id);
      uintField(out, 'LTime', message.lTime);
      bytesField(out, 'Payload', message.payload);
      return;
    case 'relay':
      out.byte(SerfType.relay);
      out.map(2);
      out.string('DestAddr');
      out.map(3);
      bytesField(out, 'IP', message.address);
      uintField(out, 'Port', message.port);
      stringField(out, 'Zone', '');
      stringField(out, 'DestName', message.name);
      out.verbatim(message.inner);
      return;
    default:
      message satisfies never;
  }
}

function writeQuery(out: MsgpackWriter, query: Query): void {
  out.byte(SerfType.query);
  out.map(11);
  bytesField(out, 'Addr', query.address);
  out.string('Filters');
  if (query.filters.length === 0) out.nil();
  else {
    out.array(query.filters.length);
    for (const filter of query.filters) out.bytes(filter);
  }
  uintField(out, 'Flags', query.flags);
  uintField(out, 'ID', query.id);
  uintField(out, 'LTime', query.lTime);
  stringField(out, 'Name', query.name);
  bytesField(out, 'Payload', query.payload);
  uintField(out, 'Port', query.port);
  uintField(out, 'RelayFactor', query.relayFactor);
  stringField(out, 'SourceNode', query.sourceNode);
  out.string('Timeout');
  out.int(query.timeoutNs);
}

/** The serf message in a user message payload; undefined when malformed or of an unknown type. */
export function decodeSerfMessage(bytes: Uint8Array): SerfMessage | undefined {
  return tryDecode(() => {
    const reader = new MsgpackReader(bytes, 1);
    switch (bytes[0]) {
      case SerfType.leave: {
        const { lTime, node, prune } = readFields(reader);
        return { type: 'leave', lTime, node, prune };
      }
      case SerfType.join: {
        const { lTime, node } = readFields(reader);
        return { type: 'join', lTime, node };
      }
      case SerfType.userEvent: {
        const { lTime, name, payload, coalesce } = readFields(reader);
        return { type: 'user-event', lTime, name, payload: ownBytes(payload), coalesce };
      }
      case SerfType.query:
        return readQuery(reader);
      case SerfType.queryResponse: {
        const { lTime, id, from, flags, payload } = readFields(reader);
        return { type: 'query-response', lTime, id, from, flags, payload: ownBytes(payload) };
      }
      case SerfType.relay:
        return readRelay(reader);
      default:
        return undefined;
    }
  });
}

function readQuery(reader: MsgpackReader): Query {
  const fields = readFields(reader);
  return {
    type: 'query',
    lTime: fields.lTime,
    id: fields.id,
    address: ownBytes(fields.address),
    port: fields.port,
    sourceNode: fields.sourceNode,
    filters: fields.filters,
    flags: fields.flags,
    relayFactor: fields.relayFactor,
    timeoutNs: fields.timeoutNs,
    name: fields.name,
    payload: ownBytes(fields.payload),
  };
}

function readRelay(reader: MsgpackReader): Relay {
  let address = NO_BYTES;
  let port = 0;
  let name = '';
  forEachField(reader, (key) => {
    if (key === 'DestName') name = reader.string();
    else if (key !== 'DestAddr') reader.skip();
    else
      forEachField(reader, (part) => {
        if (part === 'IP') address = ownBytes(reader.bytes());
        else if (part === 'Port') port = reader.uint(0xffff);
        else reader.skip();
      });
  });
  return { type: 'relay', address, port, name, inner: ownBytes(reader.verbatim(reader.left)) };
}

/** All fields that any of these messages has; absent ones are zero. Names do not clash in meaning or type. */
function readFields(reader: MsgpackReader) {
  const fields = {
    lTime: 0n,
    node: '',
    name: '',
    from: '',
    sourceNode: '',
    payload: NO_BYTES,
    address: NO_BYTES,
    port: 0,
    prune: false,
    coalesce: false,
    id: 0,
    flags: 0,
    relayFactor: 0,
    timeoutNs: 0n,
    filters: [] as Uint8Array[],
  };
  forEachField(reader, (key) => {
    switch (key) {
      case 'LTime':
        fields.lTime = reader.uint64();
        return;
      case 'Node':
        fields.node = reader.string();
        return;
      case 'Name':
        fields.name = reader.string();
        return;
      case 'From':
        fields.from = reader.string();
        return;
      case 'SourceNode':
        fields.sourceNode = reader.string();
        return;
      case 'Payload':
        fields.payload = reader.bytes();
        return;
      case 'Addr':
        fields.address = reader.bytes();
        return;
      case 'Port':
        fields.port = reader.uint(0xffff);
        return;
      case 'Prune':
        fields.prune = reader.bool();
        return;
      case 'CC':
        fields.coalesce = reader.bool();
        return;
      case 'ID':
        fields.id = reader.uint(MAX_UINT32);
        return;
      case 'Flags':
        fields.flags = reader.uint(MAX_UINT32);
        return;
      case 'RelayFactor':
        fields.relayFactor = reader.uint(255);
        return;
      case 'Timeout':
        fields.timeoutNs = reader.int64();
        return;
      case 'Filters':
        fields.filters = readFilters(reader);
        return;
      default:
        reader.skip();
    }
  });
  return fields;
}

function readFilters(reader: MsgpackReader): Uint8Array[] {
  const count = reader.array();
  if (count > MAX_FILTERS) throw new DecodeError('too many query filters');
  return Array.from({ length: count }, () => ownBytes(reader.bytes()));
}

export function boolField(out: MsgpackWriter, key: string, value: boolean): void {
  out.string(key);
  out.bool(value);
}

const NO_BYTES: Uint8Array = new Uint8Array(0);
