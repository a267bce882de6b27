/** Who sends a request, as limits count it: the ACL token that agents would take, and the address behind trusted proxies. */

import { type HeaderList, headerOf } from '../exchange/exchange.ts';
import { queryValue, splitTarget } from '../proxy/target.ts';
import type { AddressBlocks } from './address-blocks.ts';

/** Where agents look, in their order: `?token`, `X-Consul-Token`, `Authorization: Bearer`. '' without any. */
export function tokenOf(target: string, headers: HeaderList): string {
  const inQuery = queryValue(splitTarget(target).query, 'token');
  if (inQuery) return inQuery;
  const inHeader = headerOf(headers, 'x-consul-token');
  if (inHeader) return inHeader;
  const [scheme, token] = (headerOf(headers, 'authorization') ?? '').trim().split(/\s+/, 2);
  return scheme?.toLowerCase() === 'bearer' ? (token ?? '') : '';
}

/** Hops looked at; a longer chain is somebody's invention. */
const MAX_HOPS = 32;

/**
 * The connection's address, or, where that is a trusted proxy's, the last one in `X-Forwarded-For` that is not. What
 * stands further left was written by the client and proves nothing.
 */
export function addressOf(connected: string, headers: HeaderList, trusted: AddressBlocks): string {
  if (trusted.isEmpty || !trusted.has(connected)) return connected;
  const hops = allForwarded(headers).slice(-MAX_HOPS);
  for (let hop = hops.pop(); hop !== undefined; hop = hops.pop()) if (!trusted.has(hop)) return hop;
  return connected;
}

/** A network of IPv6 is one client: anybody has 2^64 addresses of it. */
export function addressKey(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('%', 1).join('').split('::', 2);
  const groups = head === '' ? [] : head.split(':');
  const behind = tail === undefined || tail === '' ? [] : tail.split(':');
  while (groups.length + behind.length < 8) groups.push('0');
  return `${[...groups, ...behind]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}

function allForwarded(headers: HeaderList): string[] {
  const hops: string[] = [];
  for (let i = 0; i < headers.length; i += 2)
    if ((headers[i] as string).toLowerCase() === 'x-forwarded-for')
      hops.push(...(headers[i + 1] as string).split(',').map((hop) => hop.trim()));
  return hops.filter((hop) => hop !== '');
}
