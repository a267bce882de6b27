/**
 * The peer protocol, version 1. A stream carries frames one way, from who opened it: payload length (u32), CRC-32 of
 * the payload (u32), payload. The first frame is a hello; every other one is a message (kind, then its fields).
 */

import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, FormatError } from '../bytes.ts';
import { decodePeers, encodePeers } from '../core/configuration.ts';
import { asIndex, asNodeId, asTerm, type LogEntry, type SnapshotMeta } from '../core/entry.ts';
import type { Message, Stamp } from '../core/messages.ts';
import type { NodeId, Term } from '../types.ts';
import { decodeEntry, encodeEntry } from '../wal/record.ts';

export const PROTOCOL_VERSION = 1;
export const WIRE_HEADER_BYTES = 8;
/** A longer frame closes the stream. Holds an append of the largest entry beside the usual bound. */
export const MAX_WIRE_FRAME_BYTES = 64 * 1024 * 1024;

const MAX_TEXT_BYTES = 1024;
const MAX_PEERS_BYTES = 1024 * 1024;
const MAX_ENTRIES = 1 << 20;

/** Says who speaks, and to whom, so that a message to an address that changed hands does no harm. */
export interface Hello {
  readonly version: number;
  readonly from: NodeId;
  readonly to: NodeId;
  /** Where the speaker's own RPC listener is. */
  readonly address: string;
}

/** A piece of a snapshot. Pieces of one `transfer` come in order; the last one may be empty. */
export interface SnapshotChunk {
  readonly kind: 'snapshot-chunk';
  readonly term: Term;
  readonly transfer: number;
  readonly meta: SnapshotMeta;
  readonly size: number;
  readonly checksum: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** How far the receiver has written; `offset` −1 ends the transfer. Keeps the sender from running ahead. */
export interface SnapshotChunkReply {
  readonly kind: 'snapshot-chunk-reply';
  readonly term: Term;
  readonly transfer: number;
  readonly offset: number;
}

export type WireMessage =
  | Exclude<Message, { readonly kind: 'install-snapshot' }>
  | SnapshotChunk
  | SnapshotChunkReply;

const KIND = {
  'vote-request': 1,
  'vote-reply': 2,
  append: 3,
  'append-reply': 4,
  heartbeat: 5,
  'heartbeat-reply': 6,
  'timeout-now': 7,
  'snapshot-chunk': 8,
  'snapshot-chunk-reply': 9,
  'read-index': 10,
  'read-index-reply': 11,
} as const;

export function encodeHello(writer: ByteWriter, hello: Hello): void {
  frame(writer, () => {
    writer.u32(hello.version);
    writer.text(hello.from);
    writer.text(hello.to);
    writer.text(hello.address);
  });
}

/** @throws FormatError, also when the version is unknown */
export function decodeHello(payload: Uint8Array): Hello {
  const reader = new ByteReader(payload);
  const version = reader.u32();
  if (version !== PROTOCOL_VERSION) throw new FormatError(`unknown protocol version ${version}`);
  const from = asNodeId(reader.text(MAX_TEXT_BYTES));
  const to = asNodeId(reader.text(MAX_TEXT_BYTES));
  const address = reader.text(MAX_TEXT_BYTES);
  if (from === '') throw new FormatError('hello without id');
  return { version, from, to, address };
}

/** Adds one framed message to what is being written. */
export function encodeMessage(writer: ByteWriter, message: WireMessage): void {
  frame(writer, () => {
    encodePrelude(writer, message);
    encodeBody(writer, message);
  });
}

function encodePrelude(writer: ByteWriter, message: WireMessage): void {
  writer.u8(KIND[message.kind]);
  writer.number(message.term);
}

/** Several framed messages, for one write. */
export function encodeMessages(messages: readonly WireMessage[]): Uint8Array {
  const writer = new ByteWriter(messages.reduce((sum, message) => sum + roughBytes(message), 0));
  for (const message of messages) encodeMessage(writer, message);
  return writer.finish();
}

/**
 * All of a framed chunk before its bytes, which follow as they are: so they are not copied.
 *
 * @returns what, followed by `chunk.bytes`, is the same as `encodeMessages([chunk])`
 */
export function encodeChunkHead(chunk: SnapshotChunk): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u32(0);
  writer.u32(0);
  encodePrelude(writer, chunk);
  encodeChunkFields(writer, chunk);
  writer.u32(chunk.bytes.length);
  const payload = writer.since(WIRE_HEADER_BYTES);
  writer.patchU32(0, payload.length + chunk.bytes.length);
  writer.patchU32(4, crc32(chunk.bytes, crc32(payload)));
  return writer.finish();
}

/** At least what the message takes, as a rule, so that the buffer need not grow. */
function roughBytes(message: WireMessage): number {
  if (message.kind === 'append')
    return message.entries.reduce((sum, entry) => sum + entry.data.length + 13, SMALL_MESSAGE_BYTES);
  return message.kind === 'snapshot-chunk' ? message.bytes.length + 1024 : SMALL_MESSAGE_BYTES;
}

const SMALL_MESSAGE_BYTES = 80;

/** @throws FormatError */
export function decodeMessage(payload: Uint8Array): WireMessage {
  const reader = new ByteReader(payload);
  const kind = reader.u8();
  const term = asTerm(reader.integer());
  const message = decodeBody(reader, kind, term);
  if (!reader.isAtEnd) throw new FormatError('message has bytes left over');
  return message;
}

/** @throws FormatError when the checksum does not match */
export function checkPayload(payload: Uint8Array, checksum: number): void {
  if (crc32(payload) !== checksum) throw new FormatError('checksum does not match');
}

function frame(writer: ByteWriter, encode: () => void): void {
  const start = writer.length;
  writer.u32(0);
  writer.u32(0);
  encode();
  const payload = writer.since(start + WIRE_HEADER_BYTES);
  writer.patchU32(start, payload.length);
  writer.patchU32(start + 4, crc32(payload));
}

function encodeBody(writer: ByteWriter, message: WireMessage): void {
  switch (message.kind) {
    case 'vote-request':
      writer.u8(Number(message.isPreVote));
      writer.u8(Number(message.isForced));
      writer.number(message.lastIndex);
      writer.number(message.lastTerm);
      return;
    case 'vote-reply':
      writer.u8(Number(message.isPreVote));
      writer.u8(Number(message.granted));
      return;
    case 'append':
      writer.number(message.prevIndex);
      writer.number(message.prevTerm);
      writer.number(message.commitIndex);
      encodeStamp(writer, message.stamp);
      writer.u32(message.entries.length);
      for (const entry of message.entries) encodeEntry(writer, entry);
      return;
    case 'append-reply':
      writer.u8(Number(message.accepted));
      writer.number(message.index);
      writer.number(message.hintIndex);
      writer.number(message.hintTerm);
      encodeStamp(writer, message.stamp);
      return;
    case 'heartbeat':
      writer.number(message.commitIndex);
      encodeStamp(writer, message.stamp);
      return;
    case 'heartbeat-reply':
      encodeStamp(writer, message.stamp);
      return;
    case 'timeout-now':
      writer.number(message.round);
      return;
    case 'read-index':
      writer.number(message.batch);
      return;
    case 'read-index-reply':
      writer.number(message.batch);
      writer.number(message.index);
      return;
    case 'snapshot-chunk':
      encodeChunkFields(writer, message);
      writer.bytes(message.bytes);
      return;
    case 'snapshot-chunk-reply':
      writer.number(message.transfer);
      writer.number(message.offset);
      return;
  }
}

function encodeChunkFields(writer: ByteWriter, chunk: SnapshotChunk): void {
  writer.number(chunk.transfer);
  writer.number(chunk.meta.index);
  writer.number(chunk.meta.term);
  writer.number(chunk.meta.configurationIndex);
  writer.bytes(encodePeers(chunk.meta.peers));
  writer.number(chunk.size);
  writer.number(chunk.checksum);
  writer.number(chunk.offset);
}

function encodeStamp(writer: ByteWriter, stamp: Stamp): void {
  writer.number(stamp.round);
  writer.number(stamp.sentAtMs);
}

function decodeBody(reader: ByteReader, kind: number, term: Term): WireMessage {
  switch (kind) {
    case KIND['vote-request']:
      return {
        kind: 'vote-request',
        term,
        isPreVote: reader.bool(),
        isForced: reader.bool(),
        lastIndex: asIndex(reader.integer()),
        lastTerm: asTerm(reader.integer()),
      };
    case KIND['vote-reply']:
      return { kind: 'vote-reply', term, isPreVote: reader.bool(), granted: reader.bool() };
    case KIND.append:
      return decodeAppend(reader, term);
    case KIND['append-reply']:
      return {
        kind: 'append-reply',
        term,
        accepted: reader.bool(),
        index: asIndex(reader.integer()),
        hintIndex: asIndex(reader.integer()),
        hintTerm: asTerm(reader.integer()),
        stamp: decodeStamp(reader),
      };
    case KIND.heartbeat:
      return { kind: 'heartbeat', term, commitIndex: asIndex(reader.integer()), stamp: decodeStamp(reader) };
    case KIND['heartbeat-reply']:
      return { kind: 'heartbeat-reply', term, stamp: decodeStamp(reader) };
    case KIND['timeout-now']:
      return { kind: 'timeout-now', term, round: reader.integer() };
    case KIND['read-index']:
      return { kind: 'read-index', term, batch: reader.integer() };
    case KIND['read-index-reply']:
      return { kind: 'read-index-reply', term, batch: reader.integer(), index: asIndex(reader.integer()) };
    case KIND['snapshot-chunk']:
      return decodeChunk(reader, term);
    case KIND['snapshot-chunk-reply']:
      return {
        kind: 'snapshot-chunk-reply',
        term,
        transfer: reader.integer(),
        offset: Math.max(-1, Math.trunc(reader.number())),
      };
    default:
      throw new FormatError(`unknown kind of message ${kind}`);
  }
}

/** Entries must be of terms that do not fall, from the one before them up to the sender's. */
function decodeAppend(reader: ByteReader, term: Term): WireMessage {
  const prevIndex = asIndex(reader.integer());
  const prevTerm = asTerm(reader.integer());
  const commitIndex = asIndex(reader.integer());
  const stamp = decodeStamp(reader);
  const count = reader.u32();
  if (count > MAX_ENTRIES) throw new FormatError(`append of ${count} entries`);
  const entries: LogEntry[] = [];
  let lastTerm: number = prevTerm;
  for (let i = 1; i <= count; i++) {
    const entry = decodeEntry(reader, prevIndex + i);
    if (entry.term < lastTerm || entry.term > term)
      throw new FormatError(`entry of term ${entry.term} between ${lastTerm} and ${term}`);
    lastTerm = entry.term;
    entries.push(entry);
  }
  return { kind: 'append', term, prevIndex, prevTerm, commitIndex, stamp, entries };
}

function decodeChunk(reader: ByteReader, term: Term): SnapshotChunk {
  const transfer = reader.integer();
  const index = asIndex(reader.integer());
  const metaTerm = asTerm(reader.integer());
  const configurationIndex = asIndex(reader.integer());
  const peers = decodeChunkPeers(reader.bytes(MAX_PEERS_BYTES));
  return {
    kind: 'snapshot-chunk',
    term,
    transfer,
    meta: { index, term: metaTerm, configurationIndex, peers },
    size: reader.integer(),
    checksum: reader.integer(),
    offset: reader.integer(),
    bytes: reader.bytes(MAX_WIRE_FRAME_BYTES),
  };
}

function decodeChunkPeers(bytes: Uint8Array): SnapshotMeta['peers'] {
  try {
    return decodePeers(bytes);
  } catch (error) {
    throw new FormatError(`snapshot: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function decodeStamp(reader: ByteReader): Stamp {
  return { round: reader.integer(), sentAtMs: reader.number() };
}
