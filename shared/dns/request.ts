/** Vetting what arrives: which messages are dropped, refused in twelve bytes, or worth an answer (reference: listener). */

import { type EdnsOptions, readEdns } from './edns.ts';
import { DnsFormatError, FLAG_QR, FLAG_RD, HEADER_BYTES, MessageReader, skipName } from './message.ts';
import { binaryText } from './name.ts';
import { RCODE_FORMERR, RCODE_NOTIMP, TYPE_OPT } from './record-types.ts';

const OPCODE_QUERY = 0;

/** A well-formed query for one name. */
export interface DnsRequest {
  readonly id: number;
  /** Second word of the header. */
  readonly flags: number;
  /** Name, type and class on the wire: a view of the message. */
  readonly question: Uint8Array;
  /** The question's name on the wire, one character a byte, as spelled. */
  readonly nameKey: string;
  readonly type: number;
  readonly questionClass: number;
  readonly edns: EdnsOptions | undefined;
}

export type Vetted =
  | { readonly verdict: 'drop' }
  /** To be answered with `reply` as it stands. */
  | { readonly verdict: 'refuse'; readonly reply: Uint8Array }
  | { readonly verdict: 'answer'; readonly request: DnsRequest };

const DROP: Vetted = { verdict: 'drop' };

/** Never throws. */
export function vetRequest(message: Uint8Array): Vetted {
  if (message.length < HEADER_BYTES) return DROP;
  const flags = uint16(message, 2);
  if ((flags & FLAG_QR) !== 0) return DROP;
  const opcode = (flags >> 11) & 0xf;
  // Consul takes NOTIFY (4) for a query: nobody who announces a change of a zone wants an answer about its names.
  if (opcode !== OPCODE_QUERY) return refuse(message, flags, RCODE_NOTIMP);
  const answers = uint16(message, 6);
  const authority = uint16(message, 8);
  const additional = uint16(message, 10);
  if (uint16(message, 4) !== 1 || answers > 1 || authority > 1 || additional > 2)
    return refuse(message, flags, RCODE_FORMERR);
  try {
    return { verdict: 'answer', request: readRequest(message, flags, answers + authority, additional) };
  } catch (thrown) {
    if (!(thrown instanceof DnsFormatError)) throw thrown;
    return refuse(message, flags, RCODE_FORMERR);
  }
}

function readRequest(message: Uint8Array, flags: number, before: number, additional: number): DnsRequest {
  const nameEnd = skipName(message, HEADER_BYTES, false);
  const end = nameEnd + 4;
  if (end > message.length) throw new DnsFormatError('question is cut off');
  return {
    id: uint16(message, 0),
    flags,
    question: message.subarray(HEADER_BYTES, end),
    nameKey: binaryText(message, HEADER_BYTES, nameEnd),
    type: uint16(message, nameEnd),
    questionClass: uint16(message, nameEnd + 2),
    edns: before + additional === 0 ? undefined : readOpt(message, end, before, additional),
  };
}

/** The last OPT of the additional section. Other records only have to be whole. */
function readOpt(
  message: Uint8Array,
  from: number,
  before: number,
  additional: number,
): EdnsOptions | undefined {
  const reader = new MessageReader(message, from);
  let edns: EdnsOptions | undefined;
  for (let i = 0; i < before + additional; i++) {
    reader.name();
    const type = reader.uint16();
    const recordClass = reader.uint16();
    const ttl = reader.uint32();
    const rdata = reader.bytes(reader.uint16());
    if (type !== TYPE_OPT || i < before) continue;
    edns = readEdns(recordClass, ttl, rdata);
    if (edns === undefined) throw new DnsFormatError('bad option in OPT');
  }
  return edns;
}

/** Header only: id, QR, RD, the code; the opcode stays for NOTIMP and is 0 for FORMERR. */
function refuse(message: Uint8Array, flags: number, rcode: number): Vetted {
  const opcode = rcode === RCODE_NOTIMP ? flags & 0x7800 : 0;
  const word = FLAG_QR | opcode | (flags & FLAG_RD) | rcode;
  const reply = new Uint8Array(HEADER_BYTES);
  reply[0] = message[0] ?? 0;
  reply[1] = message[1] ?? 0;
  reply[2] = word >> 8;
  reply[3] = word;
  return { verdict: 'refuse', reply };
}

function uint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}
