/** An answer before it is written: a response code and three sections of records. */

import type { ResourceRecord } from './message.ts';
import { RCODE_NOERROR, RCODE_NXDOMAIN, RCODE_SERVFAIL } from './record-types.ts';

export interface Sections {
  readonly rcode: number;
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  /** Without OPT. */
  readonly additional: readonly ResourceRecord[];
  /** Present when the answer may be cut to size. */
  readonly trim?: TrimRule;
  /** Answers were left out and the client shall know. */
  readonly isTruncated?: boolean;
}

export interface TrimRule {
  /** Answers that there would be without limits; `answers` may hold fewer when more would be pointless. */
  readonly total: number;
  /** SRV answers have a higher price over streams. */
  readonly isSrv: boolean;
}

const NONE: readonly ResourceRecord[] = [];

export const EMPTY_SECTIONS: Sections = {
  rcode: RCODE_NOERROR,
  answers: NONE,
  authority: NONE,
  additional: NONE,
};

export const SERVFAIL_SECTIONS: Sections = { ...EMPTY_SECTIONS, rcode: RCODE_SERVFAIL };

export function answered(
  answers: readonly ResourceRecord[],
  additional: readonly ResourceRecord[] = NONE,
): Sections {
  return { rcode: RCODE_NOERROR, answers, authority: NONE, additional };
}

/** NXDOMAIN: `soa` tells for how long. */
export function nameError(soa: ResourceRecord): Sections {
  return { rcode: RCODE_NXDOMAIN, answers: NONE, authority: [soa], additional: NONE };
}

/** NOERROR without data. */
export function noData(soa: ResourceRecord): Sections {
  return { rcode: RCODE_NOERROR, answers: NONE, authority: [soa], additional: NONE };
}
