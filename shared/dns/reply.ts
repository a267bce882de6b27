/** Writing a reply: header, question as it came, sections, OPT for those who sent one. */

import { encodeOpt } from './edns.ts';
import { FLAG_CD, FLAG_QR, FLAG_RD, FLAG_TC, MAX_MESSAGE_BYTES } from './message.ts';
import type { MessageWriter, WrittenQuestion } from './message-writer.ts';
import type { Name } from './name.ts';
import { RCODE_NOERROR } from './record-types.ts';
import type { DnsRequest } from './request.ts';
import type { Sections } from './sections.ts';
import type { DnsTransport } from './trimming.ts';

const OPCODE_BITS = 0x7800;
/** Payload of the largest IPv4 datagram. */
const MAX_DATAGRAM_BYTES = 65507;

export interface ReplyForm {
  readonly request: DnsRequest;
  readonly name: Name;
  readonly compresses: boolean;
  /** Of the whole message. */
  readonly maxBytes: number;
}

export function replyForm(
  request: DnsRequest,
  name: Name,
  transport: DnsTransport,
  compresses: boolean,
): ReplyForm {
  const maxBytes = transport === 'udp' ? MAX_DATAGRAM_BYTES : MAX_MESSAGE_BYTES;
  return { request, name, compresses, maxBytes };
}

/**
 * Writes one reply.
 *
 * @param extraFlags AA and RA as they apply
 * @param echoesEdns answer OPT with OPT
 * @param isForClient a NOERROR answer holds for the client's subnet only
 */
export function writeReply(
  writer: MessageWriter,
  { request, name, maxBytes, compresses }: ReplyForm,
  sections: Sections,
  extraFlags: number,
  echoesEdns: boolean,
  isForClient: boolean,
): Uint8Array {
  const copied = request.flags & (OPCODE_BITS | FLAG_RD | FLAG_CD);
  const truncated = sections.isTruncated === true ? FLAG_TC : 0;
  const flags = FLAG_QR | copied | extraFlags | truncated | sections.rcode;
  const question: WrittenQuestion = { bytes: request.question, name };
  const opt = echoesEdns ? encodeReplyOpt(request, sections.rcode, isForClient) : undefined;
  const fitting = writeWithin(
    writer,
    request.id,
    flags,
    question,
    compresses,
    sections,
    maxBytes - (opt?.length ?? 0),
  );
  if (opt !== undefined) {
    writer.bytes(opt);
    const { answers, authority, additional } = fitting;
    writer.setCounts(answers.length, authority.length, additional.length + 1);
  }
  return writer.finish();
}

/** Service answers were cut before; what a node says about itself may still be more than a message holds. */
function writeWithin(
  writer: MessageWriter,
  id: number,
  flags: number,
  question: WrittenQuestion,
  compresses: boolean,
  sections: Sections,
  maxBytes: number,
): Sections {
  writeSections(writer, id, flags, question, compresses, sections);
  if (writer.length <= maxBytes) return sections;
  const bare = { ...sections, additional: [] };
  writeSections(writer, id, flags, question, compresses, bare);
  if (writer.length <= maxBytes) return bare;
  const nothing = { ...bare, answers: [], authority: [] };
  writeSections(writer, id, flags | FLAG_TC, question, compresses, nothing);
  return nothing;
}

/** Writes everything but OPT. */
export function writeSections(
  writer: MessageWriter,
  id: number,
  flags: number,
  question: WrittenQuestion,
  compresses: boolean,
  { answers, authority, additional }: Sections,
): void {
  writer.begin(id, flags, question, compresses);
  writer.setCounts(answers.length, authority.length, additional.length);
  for (const record of answers) writer.record(record);
  for (const record of authority) writer.record(record);
  for (const record of additional) writer.record(record);
}

/** Only size and client subnet come back; the scope says for whom the answer holds. */
function encodeReplyOpt(request: DnsRequest, rcode: number, isForClient: boolean): Uint8Array | undefined {
  const { edns } = request;
  if (edns === undefined) return undefined;
  const scopeBits = isForClient && rcode === RCODE_NOERROR ? (edns.subnet?.sourceBits ?? 0) : 0;
  const subnet = edns.subnet === undefined ? undefined : { ...edns.subnet, scopeBits };
  return encodeOpt(edns.udpSize, false, subnet);
}
