/** Who may write, and what is blocked, by configuration. */

import { BlockList, isIPv6 } from 'node:net';
import type { HttpConfig } from './options.ts';

export interface AccessRules {
  isBlocked(path: string): boolean;
  mayWrite(remoteAddress: string): boolean;
  /** Header names and values in turn for every registered endpoint. */
  readonly headers: readonly string[];
}

/** Everything about a configuration that requests ask for, prepared once. */
export function accessRules(config: HttpConfig): AccessRules {
  const writers = config.allowWriteHttpFrom.length === 0 ? undefined : parseBlocks(config.allowWriteHttpFrom);
  const { blockEndpoints } = config;
  const configured = Object.entries(config.responseHeaders).flatMap(([name, value]) => [
    canonicalHeader(name),
    value,
  ]);
  const translates = config.translateWanAddrs ? ['X-Consul-Translate-Addresses', 'true'] : [];
  return {
    isBlocked: (path) => blockEndpoints.some((prefix) => path.startsWith(prefix)),
    mayWrite: (address) => writers === undefined || isIn(writers, address),
    headers: ['Vary', 'Accept-Encoding', ...configured, ...translates],
  };
}

/** @throws Error naming the block that is none */
function parseBlocks(blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) {
    const [network, bits] = block.split('/', 2);
    if (network === undefined || bits === undefined || !/^\d+$/.test(bits))
      throw new Error(`invalid CIDR address: ${block}`);
    list.addSubnet(network, Number(bits), isIPv6(network) ? 'ipv6' : 'ipv4');
  }
  return list;
}

/** A unix socket has no address and so no place in any block. */
function isIn(blocks: BlockList, address: string): boolean {
  return address !== '' && blocks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

function canonicalHeader(name: string): string {
  return name
    .split('-')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1).toLowerCase())
    .join('-');
}
