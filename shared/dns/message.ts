/** DNS messages as values, and reading them from the wire (RFC 1035 §4) with every length checked. */

import { type EdnsOptions, readEdns } from './edns.ts';
import { type Name, nameFromWire } from './name.ts';
import { TYPE_CNAME, TYPE_MX, TYPE_NS, TYPE_OPT, TYPE_PTR, TYPE_SOA, TYPE_SRV } from './record-types.ts';

export const HEADER_BYTES = 12;
export const MAX_MESSAGE_BYTES = 65535;

export const FLAG_QR = 0x8000;
export const FLAG_AA = 0x0400;
export const FLAG_TC = 0x0200;
export const FLAG_RD = 0x0100;
export const FLAG_RA = 0x0080;
export const FLAG_AD = 0x0020;
export const FLAG_CD = 0x0010;

/** What a record says. Names are kept apart from bytes because they may be compressed anew. */
export type RecordData =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** CNAME, NS, PTR. */
  | { readonly kind: 'name'; readonly name: Name }
  | {
      readonly kind: 'srv';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: Name;
    }
  | { readonly kind: 'mx'; readonly preference: number; readonly exchange: Name }
  | {
      readonly kind: 'soa';
      readonly mname: Name;
      readonly rname: Name;
      /** serial, refresh, retry, expire, minimum: unsigned 32-bit. */
      readonly numbers: readonly number[];
    };

/** One record. `owner` undefined: the name of the question, in the spelling of the question. */
export interface ResourceRecord {
  readonly owner: Name | undefined;
  readonly type: number;
  readonly recordClass: number;
  /** Seconds, unsigned 32-bit. */
  readonly ttl: number;
  readonly rdata: RecordData;
}

export interface Question {
  readonly name: Name;
  readonly type: number;
  readonly questionClass: number;
}

export interface DnsMessage {
  readonly id: number;
  /** The second 16-bit word of the header: QR, opcode, AA, TC, RD, RA, AD, CD, rcode. */
  readonly flags: number;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  /** Without OPT. */
  readonly additional: readonly ResourceRecord[];
  readonly edns: EdnsOptions | undefined;
}

/** The bytes are not a DNS message. `message` says what is wrong and where. */
export class DnsFormatError extends Error {
  override readonly name = 'DnsFormatError';
}

/**
 * Reads a whole message. Bytes after the last record are ignored.
 *
 * @throws DnsFormatError on truncation, bad labels, compression loops and rdata that does not fit its type
 */
export function decodeMessage(bytes: Uint8Array): DnsMessage {
  if (bytes.length < HEADER_BYTES) throw new DnsFormatError(`message of ${bytes.length} bytes has no header`);
  const reader = new MessageReader(bytes);
  const id = reader.uint16();
  const flags = reader.uint16();
  const counts = [reader.uint16(), reader.uint16(), reader.uint16(), reader.uint16()];
  const questions: Question[] = [];
  for (let i = 0; i < (counts[0] ?? 0); i++) {
    questions.push({ name: reader.name(), type: reader.uint16(), questionClass: reader.uint16() });
  }
  const section = (count = 0) => Array.from({ length: count }, () => reader.record());
  const answers = section(counts[1]);
  const authority = section(counts[2]);
  const all = section(counts[3]);
  const opt = all.findLast((record) => record.type === TYPE_OPT);
  const additional = all.filter((record) => record.type !== TYPE_OPT);
  return { id, flags, questions, answers, authority, additional, edns: opt && ednsOf(opt) };
}

/**
 * The end of the name that starts at `at`, following no pointer. Every label and the length of the name are checked.
 *
 * @param pointers whether a compression pointer may end the name
 * @throws DnsFormatError
 */
export function skipName(bytes: Uint8Array, at: number, pointers: boolean): number {
  let end = at;
  for (;;) {
    const length = bytes[end];
    if (length === undefined) throw new DnsFormatError(`name at ${at} is cut off`);
    if (length === 0) {
      if (end + 1 - at > 255) throw new DnsFormatError(`name at ${at} is longer than 255 bytes`);
      return end + 1;
    }
    if (length >= 0xc0 && pointers) {
      if (end + 2 > bytes.length) throw new DnsFormatError(`name at ${at} is cut off`);
      return end + 2;
    }
    if (length > 63) throw new DnsFormatError(`label at ${end} has a bad length ${length}`);
    end += 1 + length;
    if (end - at > 255) throw new DnsFormatError(`name at ${at} is longer than 255 bytes`);
  }
}

/** Reads one message front to back. Invariant: 0 ≤ `at` ≤ `bytes.length`. */
export class MessageReader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  uint8(): number {
    const value = this.#bytes[this.at];
    if (value === undefined) throw new DnsFormatError(`message ends at ${this.at}`);
    this.at++;
    return value;
  }

  uint16(): number {
    return (this.uint8() << 8) | this.uint8();
  }

  uint32(): number {
    return this.uint16() * 0x10000 + this.uint16();
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.#bytes.length) throw new DnsFormatError(`message ends before ${end}`);
    const view = this.#bytes.subarray(this.at, end);
    this.at = end;
    return view;
  }

  /**
   * A name with its pointers followed. A pointer must lead to before the place where the part that holds it began, so
   * that every jump goes back and no loop is possible.
   */
  name(): Name {
    const wire = new Uint8Array(255);
    let length = 0;
    let from = this.at;
    let partStart = from;
    let end: number | undefined;
    for (;;) {
      const label = this.#bytes[from];
      if (label === undefined) throw new DnsFormatError(`name at ${this.at} is cut off`);
      if (label === 0) break;
      if (label >= 0xc0) {
        const low = this.#bytes[from + 1];
        if (low === undefined) throw new DnsFormatError(`name at ${this.at} is cut off`);
        const target = ((label & 0x3f) << 8) | low;
        if (target >= partStart) throw new DnsFormatError(`pointer at ${from} does not point back`);
        end ??= from + 2;
        from = target;
        partStart = target;
        continue;
      }
      if (label > 63) throw new DnsFormatError(`label at ${from} has a bad length ${label}`);
      const next = from + 1 + label;
      if (next > this.#bytes.length) throw new DnsFormatError(`name at ${this.at} is cut off`);
      if (length + 1 + label + 1 > 255)
        throw new DnsFormatError(`name at ${this.at} is longer than 255 bytes`);
      wire.set(this.#bytes.subarray(from, next), length);
      length += 1 + label;
      from = next;
    }
    this.at = end ?? from + 1;
    return nameFromWire(wire.slice(0, length + 1));
  }

  record(): ResourceRecord {
    const owner = this.name();
    const type = this.uint16();
    const recordClass = this.uint16();
    const ttl = this.uint32();
    const length = this.uint16();
    const end = this.at + length;
    if (end > this.#bytes.length) throw new DnsFormatError(`record data at ${this.at} is cut off`);
    const rdata = this.#rdata(type, length);
    if (this.at !== end) throw new DnsFormatError(`record data of type ${type} does not end at ${end}`);
    return { owner, type, recordClass, ttl, rdata };
  }

  #rdata(type: number, length: number): RecordData {
    switch (type) {
      case TYPE_CNAME:
      case TYPE_NS:
      case TYPE_PTR:
        return { kind: 'name', name: this.name() };
      case TYPE_MX:
        return { kind: 'mx', preference: this.uint16(), exchange: this.name() };
      case TYPE_SRV:
        return {
          kind: 'srv',
          priority: this.uint16(),
          weight: this.uint16(),
          port: this.uint16(),
          target: this.name(),
        };
      case TYPE_SOA: {
        const mname = this.name();
        const rname = this.name();
        return { kind: 'soa', mname, rname, numbers: Array.from({ length: 5 }, () => this.uint32()) };
      }
      default:
        return { kind: 'bytes', bytes: this.bytes(length) };
    }
  }
}

function ednsOf(opt: ResourceRecord): EdnsOptions {
  const rdata = opt.rdata.kind === 'bytes' ? opt.rdata.bytes : new Uint8Array(0);
  const edns = readEdns(opt.recordClass, opt.ttl, rdata);
  if (edns === undefined) throw new DnsFormatError('bad option in OPT');
  return edns;
}
