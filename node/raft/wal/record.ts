/**
 * The log file's format, version 1.
 *
 * A segment is `PCONRAFT`, version (u32), sequence number (number), CRC-32 of these 20 bytes (u32), then frames.
 * A frame is one batch: payload length (u32), CRC-32 of the payload (u32), CRC-32 of these 8 bytes (u32), payload:
 * items one after another. A frame is written only once the one before it is durable, so a sound frame after a
 * broken one proves that what broke had been durable.
 */

import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, FormatError } from '../bytes.ts';
import { type Configuration, decodePeers, encodePeers } from '../core/configuration.ts';
import { asIndex, asNodeId, asTerm, type EntryKind, type HardState, type LogEntry } from '../core/entry.ts';
import type { LogIndex, Term } from '../types.ts';

export const SEGMENT_HEADER_BYTES = 24;
export const FRAME_HEADER_BYTES = 12;
export const WAL_FORMAT_VERSION = 1;
/** No frame is longer; a length beyond is damage. */
export const MAX_FRAME_BYTES = 1 << 30;

const MAGIC = new TextEncoder().encode('PCONRAFT');
const MAX_ID_BYTES = 1024;

export type WalItem =
  | { readonly kind: 'hard-state'; readonly hardState: HardState }
  | { readonly kind: 'entries'; readonly entries: readonly LogEntry[] }
  | { readonly kind: 'commit'; readonly index: LogIndex }
  /** The log was replaced by a snapshot: it is empty and goes on after `index`. */
  | { readonly kind: 'reset'; readonly index: LogIndex; readonly term: Term }
  /** An operator's recovery: the membership from `configuration.index` on, whatever entries before say. */
  | { readonly kind: 'recovery'; readonly configuration: Configuration };

const ITEM = { hardState: 1, entries: 2, commit: 3, reset: 4, recovery: 5 } as const;
const ENTRY_KINDS: readonly EntryKind[] = ['command', 'noop', 'configuration'];

export function encodeSegmentHeader(sequence: number): Uint8Array {
  const writer = new ByteWriter(SEGMENT_HEADER_BYTES);
  for (const byte of MAGIC) writer.u8(byte);
  writer.u32(WAL_FORMAT_VERSION);
  writer.number(sequence);
  writer.u32(crc32(writer.since(0)));
  return writer.finish();
}

/** @throws FormatError that says what is wrong with the header */
export function checkSegmentHeader(bytes: Uint8Array, sequence: number): void {
  const reader = new ByteReader(bytes.subarray(0, SEGMENT_HEADER_BYTES));
  for (const byte of MAGIC) if (reader.u8() !== byte) throw new FormatError('not a raft log file');
  const version = reader.u32();
  const found = reader.integer();
  if (reader.u32() !== crc32(bytes.subarray(0, SEGMENT_HEADER_BYTES - 4)))
    throw new FormatError('header checksum does not match');
  if (version !== WAL_FORMAT_VERSION) throw new FormatError(`unknown format version ${version}`);
  if (found !== sequence) throw new FormatError(`is segment ${found} by its header`);
}

export function encodeFrame(items: readonly WalItem[]): Uint8Array {
  const size = items.reduce((sum, item) => sum + roughSize(item), FRAME_HEADER_BYTES);
  const writer = new ByteWriter(size);
  for (let i = 0; i < FRAME_HEADER_BYTES; i += 4) writer.u32(0);
  for (const item of items) encodeItem(writer, item);
  const payload = writer.since(FRAME_HEADER_BYTES);
  writer.patchU32(0, payload.length);
  writer.patchU32(4, crc32(payload));
  writer.patchU32(8, crc32(writer.since(0).subarray(0, 8)));
  return writer.finish();
}

/** The payload's length, if a whole and sound frame header stands at `offset`. */
export function framePayloadLength(bytes: Uint8Array, offset: number): number | undefined {
  if (offset + FRAME_HEADER_BYTES > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, FRAME_HEADER_BYTES);
  const length = view.getUint32(0);
  if (length === 0 || length > MAX_FRAME_BYTES) return undefined;
  return crc32(bytes.subarray(offset, offset + 8)) === view.getUint32(8) ? length : undefined;
}

/** The payload of the frame at `offset` if it is whole and its checksums hold. */
export function framePayload(bytes: Uint8Array, offset: number): Uint8Array | undefined {
  const length = framePayloadLength(bytes, offset);
  const start = offset + FRAME_HEADER_BYTES;
  if (length === undefined || start + length > bytes.length) return undefined;
  const payload = bytes.subarray(start, start + length);
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, FRAME_HEADER_BYTES);
  return crc32(payload) === view.getUint32(4) ? payload : undefined;
}

/** @throws FormatError */
export function decodeItems(payload: Uint8Array): readonly WalItem[] {
  const reader = new ByteReader(payload);
  const items: WalItem[] = [];
  while (!reader.isAtEnd) items.push(decodeItem(reader));
  return items;
}

/** Writes term, kind and data of one entry; its index is known from its place. */
export function encodeEntry(writer: ByteWriter, entry: LogEntry): void {
  writer.number(entry.term);
  writer.u8(ENTRY_KINDS.indexOf(entry.kind));
  writer.bytes(entry.data);
}

/** @throws FormatError */
export function decodeEntry(reader: ByteReader, index: number): LogEntry {
  const term = asTerm(reader.integer());
  const kind = ENTRY_KINDS[reader.u8()];
  if (kind === undefined) throw new FormatError('unknown kind of entry');
  const data = reader.bytes(MAX_FRAME_BYTES);
  if (kind === 'configuration') checkPeers(data);
  return { index: asIndex(index), term, kind, data };
}

function checkPeers(data: Uint8Array): void {
  try {
    decodePeers(data);
  } catch (error) {
    throw new FormatError(`configuration entry: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function roughSize(item: WalItem): number {
  if (item.kind !== 'entries') return 64;
  return item.entries.reduce((sum, entry) => sum + entry.data.length + 13, 16);
}

function encodeItem(writer: ByteWriter, item: WalItem): void {
  switch (item.kind) {
    case 'hard-state':
      writer.u8(ITEM.hardState);
      writer.number(item.hardState.term);
      writer.text(item.hardState.vote ?? '');
      return;
    case 'entries':
      writer.u8(ITEM.entries);
      writer.number(item.entries[0]?.index ?? 0);
      writer.u32(item.entries.length);
      for (const entry of item.entries) encodeEntry(writer, entry);
      return;
    case 'commit':
      writer.u8(ITEM.commit);
      writer.number(item.index);
      return;
    case 'reset':
      writer.u8(ITEM.reset);
      writer.number(item.index);
      writer.number(item.term);
      return;
    case 'recovery':
      writer.u8(ITEM.recovery);
      writer.number(item.configuration.index);
      writer.bytes(encodePeers(item.configuration.peers));
      return;
  }
}

function decodeItem(reader: ByteReader): WalItem {
  const kind = reader.u8();
  switch (kind) {
    case ITEM.hardState: {
      const term = asTerm(reader.integer());
      const vote = reader.text(MAX_ID_BYTES);
      return { kind: 'hard-state', hardState: { term, vote: vote === '' ? undefined : asNodeId(vote) } };
    }
    case ITEM.entries: {
      const first = reader.integer();
      const count = reader.u32();
      const entries: LogEntry[] = [];
      for (let i = 0; i < count; i++) entries.push(decodeEntry(reader, first + i));
      return { kind: 'entries', entries };
    }
    case ITEM.commit:
      return { kind: 'commit', index: asIndex(reader.integer()) };
    case ITEM.reset:
      return { kind: 'reset', index: asIndex(reader.integer()), term: asTerm(reader.integer()) };
    case ITEM.recovery: {
      const index = asIndex(reader.integer());
      const bytes = reader.bytes(MAX_FRAME_BYTES);
      checkPeers(bytes);
      return { kind: 'recovery', configuration: { index, peers: decodePeers(bytes) } };
    }
    default:
      throw new FormatError(`unknown item ${kind}`);
  }
}
