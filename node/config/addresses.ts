/** Picks the agent's own addresses: literals, `{{ GetPrivateIP }}` templates, and Consul's rules when none is given. */

import { isIPv4, isIPv6 } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { ConfigError } from './config-error.ts';

/** As `os.networkInterfaces()`. */
export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** RFC 1918 and RFC 6598. */
const PRIVATE_V4: readonly (readonly [network: number, bits: number])[] = [
  [0x0a000000, 8],
  [0xac100000, 12],
  [0xc0a80000, 16],
  [0x64400000, 10],
];

/**
 * Expands a go-sockaddr template; text without one comes back as it is. Several addresses are separated by blanks.
 * @throws ConfigError for templates other than GetPrivateIP, GetPublicIP, GetInterfaceIP
 */
export function expandAddress(textWithTemplate: string, interfaces: Interfaces): string {
  return textWithTemplate.replace(/\{\{\s*(.*?)\s*\}\}/g, (_, expression: string) => {
    if (expression === 'GetPrivateIP') return privateV4(interfaces)[0] ?? '';
    if (expression === 'GetPublicIP')
      return external(interfaces).find((ip) => isIPv4(ip) && !isPrivateV4(ip)) ?? '';
    const named = /^GetInterfaceIP "([^"]+)"$/.exec(expression)?.[1];
    if (named !== undefined) return interfaces[named]?.[0]?.address ?? '';
    throw new ConfigError(
      `unsupported address template {{ ${expression} }}; use GetPrivateIP, GetPublicIP or GetInterfaceIP "name"`,
    );
  });
}

/**
 * The address that others use when none is configured: the bind address, or for `0.0.0.0` the host's only private
 * IPv4 and for `::` its only public IPv6.
 * @throws ConfigError with Consul's text when the choice is not unique
 */
export function detectAdvertiseAddress(bindAddress: string, interfaces: Interfaces): string {
  if (bindAddress === '0.0.0.0') {
    const found = privateV4(interfaces);
    if (found.length > 1) {
      throw new ConfigError(
        "Multiple private IPv4 addresses found. Please configure one with 'bind' and/or 'advertise'.",
        { keys: ['bind_addr'] },
      );
    }
    if (found[0] === undefined)
      throw new ConfigError('No private IPv4 address found', { keys: ['bind_addr'] });
    return found[0];
  }
  if (bindAddress === '::') {
    const found = external(interfaces).filter((ip) => isIPv6(ip) && !/^f[cde]/i.test(ip));
    if (found.length > 1) {
      throw new ConfigError(
        "Multiple public IPv6 addresses found. Please configure one with 'bind' and/or 'advertise'.",
        { keys: ['bind_addr'] },
      );
    }
    if (found[0] === undefined)
      throw new ConfigError('No public IPv6 address found', { keys: ['bind_addr'] });
    return found[0];
  }
  return bindAddress;
}

/** `0.0.0.0`, `::` or `[::]`: fine to listen on, useless to tell others. */
export function isAnyAddress(address: string): boolean {
  return address === '0.0.0.0' || address === '::' || address === '[::]';
}

function privateV4(interfaces: Interfaces): string[] {
  return external(interfaces).filter((ip) => isIPv4(ip) && isPrivateV4(ip));
}

function external(interfaces: Interfaces): string[] {
  return Object.values(interfaces).flatMap((list) =>
    (list ?? []).filter((entry) => !entry.internal).map((entry) => entry.address),
  );
}

function isPrivateV4(ip: string): boolean {
  const value = ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return PRIVATE_V4.some(
    ([network, bits]) => Math.floor(value / 2 ** (32 - bits)) === Math.floor(network / 2 ** (32 - bits)),
  );
}
