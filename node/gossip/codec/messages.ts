/** Bodies of the membership messages: typed values to and from bytes, type byte included. */

import { MessageType, type Versions } from './message-type.ts';
import { DecodeError, forEachField, MsgpackReader, tryDecode } from './msgpack-reader.ts';
import { encodeWith, type MsgpackWriter } from './msgpack-writer.ts';

/** Where a reply should go; an empty address means the datagram's source. */
export interface PingSource {
  readonly sourceAddress: Uint8Array;
  readonly sourcePort: number;
  readonly sourceNode: string;
}

export interface Ping extends PingSource {
  readonly type: 'ping';
  readonly seqNo: number;
  /** Who should answer; empty means whoever gets it. */
  readonly node: string;
}

export interface IndirectPing extends PingSource {
  readonly type: 'indirect-ping';
  readonly seqNo: number;
  readonly target: Uint8Array;
  /** 0 means the receiver's own bind port. */
  readonly port: number;
  readonly node: string;
  readonly nack: boolean;
}

export interface Ack {
  readonly type: 'ack';
  readonly seqNo: number;
  /** Coordinate on direct acks, empty otherwise. */
  readonly payload: Uint8Array;
}

export interface Nack {
  readonly type: 'nack';
  readonly seqNo: number;
}

export interface Suspect {
  readonly type: 'suspect';
  readonly incarnation: number;
  readonly node: string;
  readonly from: string;
}

export interface Alive {
  readonly type: 'alive';
  readonly incarnation: number;
  readonly node: string;
  readonly address: Uint8Array;
  readonly port: number;
  readonly meta: Uint8Array;
  /** Undefined when the sender gave fewer than six version bytes. */
  readonly versions: Versions | undefined;
}

export interface Dead {
  readonly type: 'dead';
  readonly incarnation: number;
  readonly node: string;
  /** Equal to `node` when it left on purpose. */
  readonly from: string;
}

export type SwimMessage = Ping | IndirectPing | Ack | Nack | Suspect | Alive | Dead;

const MAX_UINT32 = 0xffff_ffff;
const MAX_UINT16 = 0xffff;

export function encodeMessage(message: SwimMessage): Uint8Array {
  return encodeWith((out) => writeMessage(out, message));
}

function writeMessage(out: MsgpackWriter, message: SwimMessage): void {
  switch (message.type) {
    case 'ping':
      out.byte(MessageType.ping);
      out.map(2 + sourceFieldCount(message));
      stringField(out, 'Node', message.node);
      uintField(out, 'SeqNo', message.seqNo);
      writeSource(out, message);
      return;
    case 'indirect-ping':
      out.byte(MessageType.indirectPing);
      out.map(5 + sourceFieldCount(message));
      out.string('Nack');
      out.bool(message.nack);
      stringField(out, 'Node', message.node);
      uintField(out, 'Port', message.port);
      uintField(out, 'SeqNo', message.seqNo);
      writeSource(out, message);
      bytesField(out, 'Target', message.target);
      return;
    case 'ack':
      out.byte(MessageType.ack);
      out.map(2);
      bytesField(out, 'Payload', message.payload);
      uintField(out, 'SeqNo', message.seqNo);
      return;
    case 'nack':
      out.byte(MessageType.nack);
      out.map(1);
      uintField(out, 'SeqNo', message.seqNo);
      return;
    case 'suspect':
    case 'dead':
      out.byte(message.type === 'suspect' ? MessageType.suspect : MessageType.dead);
      out.map(3);
      stringField(out, 'From', message.from);
      uintField(out, 'Incarnation', message.incarnation);
      stringField(out, 'Node', message.node);
      return;
    case 'alive':
      out.byte(MessageType.alive);
      out.map(6);
      bytesField(out, 'Addr', message.address);
      uintField(out, 'Incarnation', message.incarnation);
      bytesField(out, 'Meta', message.meta);
      stringField(out, 'Node', message.node);
      uintField(out, 'Port', message.port);
      bytesField(out, 'Vsn', Uint8Array.from(message.versions ?? []));
      return;
    default:
      message satisfies never;
  }
}

/** The message that starts with its type byte; undefined when malformed or not one of these types. */
export function decodeMessage(bytes: Uint8Array): SwimMessage | undefined {
  return tryDecode(() => {
    const reader = new MsgpackReader(bytes, 1);
    switch (bytes[0]) {
      case MessageType.ping:
        return readPing(reader);
      case MessageType.indirectPing:
        return readIndirectPing(reader);
      case MessageType.ack:
        return readAck(reader);
      case MessageType.nack:
        return { type: 'nack', seqNo: readFields(reader).seqNo };
      case MessageType.suspect:
        return readAccusation(reader, 'suspect');
      case MessageType.dead:
        return readAccusation(reader, 'dead');
      case MessageType.alive:
        return readAlive(reader);
      default:
        return undefined;
    }
  });
}

function readPing(reader: MsgpackReader): Ping {
  const { seqNo, node, sourceAddress, sourcePort, sourceNode } = readFields(reader);
  return { type: 'ping', seqNo, node, sourceAddress, sourcePort, sourceNode };
}

function readIndirectPing(reader: MsgpackReader): IndirectPing {
  const { seqNo, target, port, node, nack, sourceAddress, sourcePort, sourceNode } = readFields(reader);
  return {
    type: 'indirect-ping',
    seqNo,
    target,
    port,
    node,
    nack,
    sourceAddress,
    sourcePort,
    sourceNode,
  };
}

function readAck(reader: MsgpackReader): Ack {
  const { seqNo, payload } = readFields(reader);
  return { type: 'ack', seqNo, payload };
}

function readAccusation(reader: MsgpackReader, type: 'suspect' | 'dead'): Suspect | Dead {
  const { incarnation, node, from } = readFields(reader);
  return { type, incarnation, node, from };
}

function readAlive(reader: MsgpackReader): Alive {
  const { incarnation, node, address, port, meta, versions } = readFields(reader);
  return { type: 'alive', incarnation, node, address, port, meta, versions: sixVersions(versions) };
}

/** All fields that any of these messages has; absent ones are zero. Names do not clash in meaning or type. */
function readFields(reader: MsgpackReader) {
  const fields = {
    seqNo: 0,
    node: '',
    from: '',
    incarnation: 0,
    port: 0,
    nack: false,
    target: NO_BYTES,
    address: NO_BYTES,
    meta: NO_BYTES,
    versions: NO_BYTES,
    payload: NO_BYTES,
    sourceAddress: NO_BYTES,
    sourcePort: 0,
    sourceNode: '',
  };
  forEachField(reader, (key) => {
    switch (key) {
      case 'SeqNo':
        fields.seqNo = reader.uint(MAX_UINT32);
        return;
      case 'Node':
        fields.node = reader.string();
        return;
      case 'From':
        fields.from = reader.string();
        return;
      case 'Incarnation':
        fields.incarnation = reader.uint(MAX_UINT32);
        return;
      case 'Port':
        fields.port = reader.uint(MAX_UINT16);
        return;
      case 'Nack':
        fields.nack = reader.bool();
        return;
      case 'Target':
        fields.target = reader.bytes();
        return;
      case 'Addr':
        fields.address = reader.bytes();
        return;
      case 'Meta':
        fields.meta = reader.bytes();
        return;
      case 'Vsn':
        fields.versions = reader.bytes();
        return;
      case 'Payload':
        fields.payload = reader.bytes();
        return;
      case 'SourceAddr':
        fields.sourceAddress = reader.bytes();
        return;
      case 'SourcePort':
        fields.sourcePort = reader.uint(MAX_UINT16);
        return;
      case 'SourceNode':
        fields.sourceNode = reader.string();
        return;
      default:
        reader.skip();
    }
  });
  return fields;
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** What a stream says when it could not be read. */
export function encodeErrorMessage(text: string): Uint8Array {
  return encodeWith((out) => {
    out.byte(MessageType.error);
    out.map(1);
    stringField(out, 'Error', text);
  });
}

export function decodeErrorMessage(bytes: Uint8Array): string | undefined {
  if (bytes[0] !== MessageType.error) return undefined;
  return tryDecode(() => {
    const reader = new MsgpackReader(bytes, 1);
    let text = '';
    forEachField(reader, (key) => {
      if (key === 'Error') text = reader.string();
      else reader.skip();
    });
    return text;
  });
}

/** The six version bytes, or undefined when there are fewer. */
export function sixVersions(bytes: Uint8Array): Versions | undefined {
  const [a, b, c, d, e, f] = bytes;
  if (a === undefined || b === undefined || c === undefined) return undefined;
  if (d === undefined || e === undefined || f === undefined) return undefined;
  return [a, b, c, d, e, f];
}

/** A copy that does not keep the packet it came in alive. */
export function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 ? NO_BYTES : new Uint8Array(bytes);
}

export function stringField(out: MsgpackWriter, key: string, value: string): void {
  out.string(key);
  out.string(value);
}

export function uintField(out: MsgpackWriter, key: string, value: number | bigint): void {
  out.string(key);
  out.uint(value);
}

export function bytesField(out: MsgpackWriter, key: string, value: Uint8Array): void {
  out.string(key);
  out.bytes(value);
}

/** @throws DecodeError when the type byte differs */
export function expectType(bytes: Uint8Array, type: number): MsgpackReader {
  if (bytes[0] !== type) throw new DecodeError('another message type');
  return new MsgpackReader(bytes, 1);
}

function sourceFieldCount(source: PingSource): number {
  return (
    (source.sourceAddress.length > 0 ? 1 : 0) +
    (source.sourceNode !== '' ? 1 : 0) +
    (source.sourcePort !== 0 ? 1 : 0)
  );
}

function writeSource(out: MsgpackWriter, source: PingSource): void {
  if (source.sourceAddress.length > 0) bytesField(out, 'SourceAddr', source.sourceAddress);
  if (source.sourceNode !== '') stringField(out, 'SourceNode', source.sourceNode);
  if (source.sourcePort !== 0) uintField(out, 'SourcePort', source.sourcePort);
}
