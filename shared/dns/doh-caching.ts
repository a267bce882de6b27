/** How long an answer over HTTPS may be kept (RFC 8484 §5.1). */

import { type DnsMessage, FLAG_TC } from './message.ts';
import { RCODE_NOERROR, RCODE_NXDOMAIN, TYPE_SOA } from './record-types.ts';

/**
 * Seconds: the smallest TTL of the answers, or for an answer without any how long the absence holds
 * (RFC 2308 §5: the SOA's TTL or its minimum, whichever is less). Undefined: not to be kept at all.
 */
export function dohMaxAge(message: DnsMessage): number | undefined {
  const rcode = message.flags & 0xf;
  if ((rcode !== RCODE_NOERROR && rcode !== RCODE_NXDOMAIN) || (message.flags & FLAG_TC) !== 0)
    return undefined;
  if (message.answers.length > 0) {
    let smallest = Number.POSITIVE_INFINITY;
    for (const { ttl } of message.answers) smallest = Math.min(smallest, ttl);
    return smallest;
  }
  const soa = message.authority.find(({ type }) => type === TYPE_SOA);
  if (soa === undefined) return undefined;
  const minimum = soa.rdata.kind === 'soa' ? (soa.rdata.numbers[4] ?? 0) : 0;
  return Math.min(soa.ttl, minimum);
}
