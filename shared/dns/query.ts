/** Building a query: one question, OPT if wanted. */

import { type ClientSubnet, encodeOpt } from './edns.ts';
import { FLAG_CD, FLAG_RD, HEADER_BYTES } from './message.ts';
import type { Name } from './name.ts';
import { CLASS_IN } from './record-types.ts';

export interface DnsQuery {
  /** 0–65535. */
  readonly id: number;
  readonly name: Name;
  readonly type: number;
  /** IN unless given. */
  readonly questionClass?: number;
  /** RD, true unless given. */
  readonly wantsRecursion?: boolean;
  /** CD. */
  readonly isCheckingDisabled?: boolean;
  /** 0 unless given. */
  readonly opcode?: number;
  readonly edns?: {
    readonly udpSize: number;
    readonly isDnssecOk?: boolean;
    readonly subnet?: ClientSubnet;
  };
}

/** The query on the wire. */
export function encodeQuery(query: DnsQuery): Uint8Array {
  const { name, edns } = query;
  const opt =
    edns === undefined ? new Uint8Array(0) : encodeOpt(edns.udpSize, edns.isDnssecOk ?? false, edns.subnet);
  const questionEnd = HEADER_BYTES + name.wire.length + 4;
  const bytes = new Uint8Array(questionEnd + opt.length);
  const view = new DataView(bytes.buffer);
  const flags =
    ((query.opcode ?? 0) << 11) |
    ((query.wantsRecursion ?? true) ? FLAG_RD : 0) |
    (query.isCheckingDisabled ? FLAG_CD : 0);
  view.setUint16(0, query.id);
  view.setUint16(2, flags);
  view.setUint16(4, 1);
  view.setUint16(10, edns === undefined ? 0 : 1);
  bytes.set(name.wire, HEADER_BYTES);
  view.setUint16(questionEnd - 4, query.type);
  view.setUint16(questionEnd - 2, query.questionClass ?? CLASS_IN);
  bytes.set(opt, questionEnd);
  return bytes;
}
