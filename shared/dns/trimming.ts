/** Cutting service answers to what the transport and the client take (reference: size limits). */

import type { DnsConfig } from './config.ts';
import { HEADER_BYTES, MAX_MESSAGE_BYTES, type ResourceRecord } from './message.ts';
import { smallestSize, uncompressedSize } from './message-writer.ts';
import { TYPE_TXT } from './record-types.ts';
import type { Sections } from './sections.ts';

/** `https` is cut like `tcp`: both are streams. */
export type DnsTransport = 'udp' | 'tcp' | 'https';

const PLAIN_UDP_BYTES = 512;
/** What fits an IPv4 datagram, less the OPT that is appended after cutting. */
const MAX_UDP_BYTES = 65467;
const UDP_ROOM_BYTES = 7;
const MAX_STREAM_BYTES = 65523;
/** More answers than this cap on plain UDP are never sent, whatever is configured. */
const MAX_PLAIN_UDP_ANSWERS = 8;
const MAX_STREAM_ANSWERS = 4096;
const MAX_STREAM_SRV_ANSWERS = 1024;
/** Owner pointer, fixed fields and an IPv4 address. */
const SMALLEST_ANSWER_BYTES = 16;
const SMALLEST_QUESTION_BYTES = 5;

export interface SizeLimits {
  readonly isStream: boolean;
  /** For the message without OPT. */
  readonly maxBytes: number;
  /** Cap on answers for clients that take 512 bytes only; undefined for others. */
  readonly maxAnswers: number | undefined;
}

/** @param udpSize what the client announced with EDNS; undefined without EDNS */
export function sizeLimits(
  transport: DnsTransport,
  udpSize: number | undefined,
  optBytes: number,
  config: DnsConfig,
): SizeLimits {
  if (transport !== 'udp') {
    const maxBytes = Math.min(MAX_STREAM_BYTES, MAX_MESSAGE_BYTES - optBytes);
    return { isStream: true, maxBytes, maxAnswers: undefined };
  }
  const size = Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, udpSize ?? 0));
  const maxAnswers =
    size === PLAIN_UDP_BYTES ? Math.min(MAX_PLAIN_UDP_ANSWERS, config.udpAnswerLimit) : undefined;
  return { isStream: false, maxBytes: size - UDP_ROOM_BYTES, maxAnswers };
}

/** How many of `total` answers may be sent at all: building more of them would be in vain. */
export function worthBuilding(limits: SizeLimits, total: number, isSrv: boolean): number {
  if (limits.maxAnswers !== undefined) return Math.min(total, limits.maxAnswers);
  const streamCap = isSrv ? MAX_STREAM_SRV_ANSWERS : MAX_STREAM_ANSWERS;
  const byCount = limits.isStream ? Math.min(total, streamCap) : total;
  return Math.min(byCount, Math.floor(limits.maxBytes / SMALLEST_ANSWER_BYTES) + 1);
}

export interface Measure {
  /** Length of the question's name on the wire. */
  readonly questionNameBytes: number;
  readonly compresses: boolean;
  /** Exact size of the message with compression and without OPT. */
  compressedSize(sections: Sections): number;
}

/**
 * The sections with as many answers as fit, at least one if there was any. Where anything was cut, Additional is
 * reduced to one address record for each SRV target left, CNAMEs followed.
 */
export function trimSections(
  sections: Sections,
  limits: SizeLimits,
  measure: Measure,
  enableTruncate: boolean,
): Sections {
  const rule = sections.trim;
  if (rule === undefined) return sections;
  const allowed = worthBuilding(limits, rule.total, rule.isSrv);
  const isCapped = allowed < rule.total;
  // Consul computes what it cut to the cap without compression, and sends it compressed.
  const compresses = measure.compresses && !(isCapped && limits.maxAnswers !== undefined);
  const addresses = addressIndex(sections.additional);
  const firstAnswers = (count: number): Sections => {
    const answers = sections.answers.slice(0, count);
    return { ...sections, answers, additional: targetAddresses(answers, addresses) };
  };
  const fits = (candidate: Sections) => isWithin(candidate, limits.maxBytes, compresses, measure);
  const whole = isCapped ? firstAnswers(allowed) : sections;
  if (fits(whole)) return isCapped ? withTruncation(whole, enableTruncate) : whole;
  if (whole.answers.length <= 1) return isCapped ? withTruncation(whole, enableTruncate) : whole;
  const count = largestFitting(whole.answers, addresses, limits.maxBytes, (n) => fits(firstAnswers(n)));
  return withTruncation(firstAnswers(count), enableTruncate);
}

/** The largest n, 1 ≤ n < all, for which `fits(n)`; 1 when none does. Sizes grow with n. */
function largestFitting(
  answers: readonly ResourceRecord[],
  addresses: ReadonlyMap<string, ResourceRecord>,
  maxBytes: number,
  fits: (count: number) => boolean,
): number {
  // Mostly the lower bound is the exact size, so that the first try settles it.
  let high = Math.max(1, possiblyFitting(answers, addresses, maxBytes));
  if (fits(high)) return high;
  let low = 1;
  high--;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** No more answers than this fit with the addresses of their targets, not even by the lower bound of sizes. */
function possiblyFitting(
  answers: readonly ResourceRecord[],
  addresses: ReadonlyMap<string, ResourceRecord>,
  maxBytes: number,
): number {
  const seen = new Set<string>();
  let bytes = HEADER_BYTES + SMALLEST_QUESTION_BYTES;
  let count = 0;
  for (const answer of answers) {
    bytes += smallestSize(answer);
    for (const address of addressesOfTarget(answer, addresses, seen)) bytes += smallestSize(address);
    if (bytes > maxBytes || count === answers.length - 1) break;
    count++;
  }
  return count;
}

function isWithin(sections: Sections, maxBytes: number, compresses: boolean, measure: Measure): boolean {
  const fixed = HEADER_BYTES + measure.questionNameBytes + 4;
  let largest = fixed;
  let smallest = fixed;
  for (const section of [sections.answers, sections.authority, sections.additional]) {
    for (const record of section) {
      largest += uncompressedSize(record, measure.questionNameBytes);
      smallest += smallestSize(record);
    }
  }
  if (largest <= maxBytes) return true;
  return compresses && smallest <= maxBytes && measure.compressedSize(sections) <= maxBytes;
}

/** First address or CNAME record of each owner. Text is left out: it must not take the place of an address. */
function addressIndex(additional: readonly ResourceRecord[]): ReadonlyMap<string, ResourceRecord> {
  const index = new Map<string, ResourceRecord>();
  for (const record of additional) {
    const isText = record.type === TYPE_TXT;
    const owner = record.owner?.folded;
    if (!isText && owner !== undefined && !index.has(owner)) index.set(owner, record);
  }
  return index;
}

function targetAddresses(
  answers: readonly ResourceRecord[],
  addresses: ReadonlyMap<string, ResourceRecord>,
): ResourceRecord[] {
  const seen = new Set<string>();
  return addresses.size === 0 ? [] : answers.flatMap((answer) => addressesOfTarget(answer, addresses, seen));
}

/** Records at the target of an SRV answer and, where those are CNAMEs, at their targets. `seen` grows. */
function addressesOfTarget(
  answer: ResourceRecord,
  addresses: ReadonlyMap<string, ResourceRecord>,
  seen: Set<string>,
): ResourceRecord[] {
  const found: ResourceRecord[] = [];
  let target = answer.rdata.kind === 'srv' ? answer.rdata.target.folded : undefined;
  while (target !== undefined && !seen.has(target)) {
    seen.add(target);
    const record = addresses.get(target);
    if (record !== undefined) found.push(record);
    target = record?.rdata.kind === 'name' ? record.rdata.name.folded : undefined;
  }
  return found;
}

function withTruncation(sections: Sections, enableTruncate: boolean): Sections {
  return { ...sections, isTruncated: enableTruncate };
}
