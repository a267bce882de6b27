/** Writing DNS messages with the name compression of Consul's DNS library, into one buffer used again and again. */

import { HEADER_BYTES, type ResourceRecord } from './message.ts';
import type { Name } from './name.ts';
import { TYPE_OPT } from './record-types.ts';

/** Pointers have 14 bits. */
const MAX_POINTER_TARGET = 0x3fff;
const INITIAL_BYTES = 4096;
/** Answers up to a quarter of it are cut from one block: one allocation serves many. */
const SLAB_BYTES = 16384;

/** The question as it came: where its bytes lie, and the name for records that point to it. */
export interface WrittenQuestion {
  /** Name, type and class on the wire. */
  readonly bytes: Uint8Array;
  readonly name: Name;
}

/**
 * Writes one message at a time: `begin`, sections, `finish`. Synchronous use only.
 *
 * Compression is the one that clients of Consul see: a name is replaced from the first label on whose rest was
 * written before in the same spelling; SRV targets are written in full but may be pointed to.
 *
 * Invariant: `#seen` holds, for the message under way, the suffixes written so far with offsets that a pointer can
 * hold; the question's own are added only when a name other than the question's is written.
 */
export class MessageWriter {
  #buffer = new Uint8Array(INITIAL_BYTES);
  #at = 0;
  #compresses = true;
  #question: WrittenQuestion | undefined;
  #isQuestionSeen = false;
  #seen = new Map<string, number>();
  #slab = new Uint8Array(0);
  #slabAt = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#at;
  }

  /** Starts a message with its header and question; the counts of records follow with `setCounts`. */
  begin(id: number, flags: number, question: WrittenQuestion | undefined, compresses: boolean): void {
    this.#at = 0;
    this.#compresses = compresses;
    this.#question = question;
    this.#isQuestionSeen = false;
    // A map that lives long gets its new tables, on clearing and growing, among the old objects: costly garbage.
    if (this.#seen.size > 0) this.#seen = new Map();
    this.#uint16(id);
    this.#uint16(flags);
    this.#uint16(question === undefined ? 0 : 1);
    this.#uint16(0);
    this.#uint16(0);
    this.#uint16(0);
    if (question !== undefined) this.bytes(question.bytes);
  }

  setCounts(answers: number, authority: number, additional: number): void {
    const buffer = this.#buffer;
    buffer[6] = answers >> 8;
    buffer[7] = answers;
    buffer[8] = authority >> 8;
    buffer[9] = authority;
    buffer[10] = additional >> 8;
    buffer[11] = additional;
  }

  bytes(bytes: Uint8Array): void {
    const length = bytes.length;
    this.#reserve(length);
    // A loop beats `set` for the few bytes of an address or a question.
    if (length > 48) this.#buffer.set(bytes, this.#at);
    else for (let i = 0, at = this.#at; i < length; i++, at++) this.#buffer[at] = bytes[i] as number;
    this.#at += length;
  }

  record(record: ResourceRecord): void {
    if (record.owner === undefined) this.#questionName();
    else this.name(record.owner, true);
    this.#reserve(10);
    this.#uint16(record.type);
    this.#uint16(record.recordClass);
    this.#uint16(record.ttl >>> 16);
    this.#uint16(record.ttl & 0xffff);
    const lengthAt = this.#at;
    this.#at += 2;
    this.#rdata(record);
    const length = this.#at - lengthAt - 2;
    this.#buffer[lengthAt] = length >> 8;
    this.#buffer[lengthAt + 1] = length;
  }

  /** @param mayPoint false: written in full, though later names may point into it */
  name(name: Name, mayPoint: boolean): void {
    if (!this.#compresses) {
      this.bytes(name.wire);
      return;
    }
    if (!this.#isQuestionSeen) this.#seeQuestion();
    const at = this.#at;
    for (let i = 0; i < name.suffixes.length; i++) {
      const suffix = name.suffixes[i] as string;
      const start = name.starts[i] as number;
      const target = this.#seen.get(suffix);
      if (target === undefined) {
        if (at + start <= MAX_POINTER_TARGET) this.#seen.set(suffix, at + start);
      } else if (mayPoint) {
        this.bytes(name.wire.subarray(0, start));
        this.#reserve(2);
        this.#uint16(0xc000 | target);
        return;
      }
    }
    this.bytes(name.wire);
  }

  /** The message as bytes of its own. */
  finish(): Uint8Array {
    const length = this.#at;
    if (length > SLAB_BYTES / 4) return this.#buffer.slice(0, length);
    if (this.#slabAt + length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_BYTES);
      this.#slabAt = 0;
    }
    const message = this.#slab.subarray(this.#slabAt, this.#slabAt + length);
    message.set(this.#buffer.subarray(0, length));
    this.#slabAt += length;
    return message;
  }

  #rdata(record: ResourceRecord): void {
    const rdata = record.rdata;
    switch (rdata.kind) {
      case 'bytes':
        this.bytes(rdata.bytes);
        return;
      case 'name':
        this.name(rdata.name, true);
        return;
      case 'srv':
        this.#reserve(6);
        this.#uint16(rdata.priority);
        this.#uint16(rdata.weight);
        this.#uint16(rdata.port);
        this.name(rdata.target, false);
        return;
      case 'mx':
        this.#reserve(2);
        this.#uint16(rdata.preference);
        this.name(rdata.exchange, true);
        return;
      case 'soa':
        this.name(rdata.mname, true);
        this.name(rdata.rname, true);
        this.#reserve(20);
        for (const number of rdata.numbers) {
          this.#uint16(number >>> 16);
          this.#uint16(number & 0xffff);
        }
        return;
      default:
        rdata satisfies never;
    }
  }

  #questionName(): void {
    const name = this.#question?.name;
    if (name === undefined) throw new Error('a record of the question needs a question');
    if (this.#compresses && name.wire.length > 1) {
      this.#reserve(2);
      this.#uint16(0xc000 | HEADER_BYTES);
    } else {
      this.bytes(name.wire);
    }
  }

  #seeQuestion(): void {
    this.#isQuestionSeen = true;
    const name = this.#question?.name;
    if (name === undefined) return;
    for (let i = 0; i < name.suffixes.length; i++)
      this.#seen.set(name.suffixes[i] as string, HEADER_BYTES + (name.starts[i] as number));
  }

  /** The caller has reserved the room. */
  #uint16(value: number): void {
    this.#buffer[this.#at++] = value >> 8;
    this.#buffer[this.#at++] = value;
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#at + length));
    grown.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = grown;
  }
}

/** How many bytes a record takes without compression; `questionNameBytes` is the length of the question's name. */
export function uncompressedSize(record: ResourceRecord, questionNameBytes: number): number {
  return (record.owner?.wire.length ?? questionNameBytes) + 10 + rdataSize(record, false);
}

/** No encoding of the record is shorter. */
export function smallestSize(record: ResourceRecord): number {
  const owner = record.owner === undefined ? 2 : Math.min(2, record.owner.wire.length);
  return owner + 10 + rdataSize(record, true);
}

/** @throws RangeError for OPT, which is no record of a section here */
function rdataSize(record: ResourceRecord, smallest: boolean): number {
  if (record.type === TYPE_OPT) throw new RangeError('OPT is written apart');
  const rdata = record.rdata;
  const nameSize = (name: Name) => (smallest ? Math.min(2, name.wire.length) : name.wire.length);
  switch (rdata.kind) {
    case 'bytes':
      return rdata.bytes.length;
    case 'name':
      return nameSize(rdata.name);
    case 'srv':
      return 6 + rdata.target.wire.length;
    case 'mx':
      return 2 + nameSize(rdata.exchange);
    case 'soa':
      return nameSize(rdata.mname) + nameSize(rdata.rname) + 20;
  }
}
