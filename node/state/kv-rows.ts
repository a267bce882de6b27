/**
 * Rows of the table of keys in a snapshot, written and read without a decoder in between: there are a million of them,
 * and what a general one allocates for each costs more than the row. The bytes are msgpack: an array of seven.
 */

import { fromByteText } from './byte-text.ts';
import { ownData } from './interning.ts';
import { LARGEST_STRING, type PackedBytes, packBytes } from './packed-bytes.ts';
import type { KvRecord } from './records.ts';

/** A record, and its key as the table has it. */
export interface KvRow {
  /** Byte text. */
  readonly key: string;
  readonly record: KvRecord;
}

const ARRAY_OF_SEVEN = 0x97;
const STR_8 = 0xd9;
const STR_16 = 0xda;
const BIN_8 = 0xc4;
const BIN_16 = 0xc5;
const UINT_8 = 0xcc;
const UINT_16 = 0xcd;
const UINT_32 = 0xce;
const DOUBLE = 0xcb;
const LONGEST_KEY = 0xffff;
const LARGEST_BIN_16 = 0xffff;
/** Header bytes of the array, of both texts, of the value, and of four doubles. */
const MOST_BESIDE_CONTENT = 1 + 3 + 3 + 3 + 4 * 9;

let scratch = Buffer.allocUnsafeSlow(64 << 10);

/**
 * @param key byte text of `record.key`
 * @returns bytes that the next call overwrites; undefined for the rare row that needs the general encoder
 */
export function encodeKvRow(key: string, record: KvRecord): Uint8Array | undefined {
  const { value, flags, session } = record;
  if (typeof flags === 'bigint' || key.length > LONGEST_KEY || session.length > LONGEST_KEY) return undefined;
  if (value.length > LARGEST_BIN_16) return undefined;
  reserve(key.length + value.length + session.length * 3 + MOST_BESIDE_CONTENT);
  scratch[0] = ARRAY_OF_SEVEN;
  let at = putTextHeader(1, key.length);
  at += scratch.write(key, at, 'latin1');
  at = putValue(at, value);
  at = putNumber(at, flags);
  at = putNumber(at, record.lockIndex);
  at = putTextHeader(at, Buffer.byteLength(session, 'utf8'));
  at += scratch.write(session, at, 'utf8');
  at = putNumber(at, record.createIndex);
  at = putNumber(at, record.modifyIndex);
  return scratch.subarray(0, at);
}

/**
 * Reads the row that fills `bytes` from `start` up to `end`.
 *
 * @returns undefined when it is not of the plain form that `encodeKvRow` writes; a general decoder may know better
 */
export function decodeKvRow(bytes: Buffer, start: number, end: number): KvRow | undefined {
  if (bytes[start] !== ARRAY_OF_SEVEN) return undefined;
  const cursor = new RowCursor(bytes, start + 1, end);
  const key = cursor.text();
  const value = cursor.value();
  const flags = cursor.number();
  const lockIndex = cursor.number();
  const session = cursor.text();
  const createIndex = cursor.number();
  const modifyIndex = cursor.number();
  if (!cursor.isDone) return undefined;
  const record = {
    key: fromByteText(key),
    value,
    flags,
    lockIndex,
    session: session === '' ? '' : ownData(fromByteText(session)),
    createIndex,
    modifyIndex,
  };
  return { key, record };
}

function reserve(bytes: number): void {
  if (bytes > scratch.length) scratch = Buffer.allocUnsafeSlow(bytes * 2);
}

function putTextHeader(at: number, length: number): number {
  if (length < 32) {
    scratch[at] = 0xa0 | length;
    return at + 1;
  }
  if (length < 0x100) {
    scratch[at] = STR_8;
    scratch[at + 1] = length;
    return at + 2;
  }
  scratch[at] = STR_16;
  return scratch.writeUInt16BE(length, at + 1);
}

function putValue(start: number, value: PackedBytes): number {
  let at = start;
  if (value.length < 0x100) {
    scratch[at] = BIN_8;
    scratch[at + 1] = value.length;
    at += 2;
  } else {
    scratch[at] = BIN_16;
    at = scratch.writeUInt16BE(value.length, at + 1);
  }
  if (typeof value === 'string') return at + scratch.write(value, at, 'latin1');
  scratch.set(value, at);
  return at + value.length;
}

/** @param value a safe integer ≥ 0 */
function putNumber(at: number, value: number): number {
  if (value < 0x80) {
    scratch[at] = value;
    return at + 1;
  }
  if (value < 0x100) {
    scratch[at] = UINT_8;
    scratch[at + 1] = value;
    return at + 2;
  }
  if (value < 0x10000) {
    scratch[at] = UINT_16;
    return scratch.writeUInt16BE(value, at + 1);
  }
  if (value <= 0xffffffff) {
    scratch[at] = UINT_32;
    return scratch.writeUInt32BE(value, at + 1);
  }
  scratch[at] = DOUBLE;
  return scratch.writeDoubleBE(value, at + 1);
}

/** Invariant: `#at ≤ #end` unless something did not fit, which `isDone` tells at the end. */
class RowCursor {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** Whether all was of the plain form and nothing is left. */
  get isDone(): boolean {
    return this.#at === this.#end;
  }

  /** As byte text. */
  text(): string {
    const head = this.#u8();
    if (head >= 0xa0 && head < 0xc0) return this.#latin1(head & 0x1f);
    if (head === STR_8) return this.#latin1(this.#u8());
    if (head === STR_16) return this.#latin1(this.#big(2));
    this.#refuse();
    return '';
  }

  value(): PackedBytes {
    const head = this.#u8();
    if (head !== BIN_8 && head !== BIN_16) {
      this.#refuse();
      return '';
    }
    const length = head === BIN_8 ? this.#u8() : this.#big(2);
    if (length <= LARGEST_STRING) return this.#latin1(length);
    const start = this.#at;
    this.#at += length;
    return this.#at <= this.#end ? packBytes(this.#bytes.subarray(start, this.#at)) : '';
  }

  number(): number {
    const head = this.#u8();
    if (head < 0x80) return head;
    if (head === UINT_8) return this.#u8();
    if (head === UINT_16) return this.#big(2);
    if (head === UINT_32) return this.#big(4);
    if (head === DOUBLE && this.#at + 8 <= this.#end) {
      this.#at += 8;
      return this.#bytes.readDoubleBE(this.#at - 8);
    }
    this.#refuse();
    return 0;
  }

  /** Nothing that follows can make this a plain row any more. */
  #refuse(): void {
    this.#at = Number.POSITIVE_INFINITY;
  }

  #u8(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  #big(length: 2 | 4): number {
    const at = this.#at;
    this.#at += length;
    return this.#at <= this.#end ? this.#bytes.readUIntBE(at, length) : 0;
  }

  #latin1(length: number): string {
    const at = this.#at;
    this.#at += length;
    return this.#at <= this.#end ? this.#bytes.toString('latin1', at, this.#at) : '';
  }
}
