/** Lists of networks in CIDR notation, such as `10.0.0.0/8`. */

import { BlockList, isIP, isIPv6 } from 'node:net';

/**
 * Whether an IP address lies in one of the networks.
 *
 * @throws Error `invalid CIDR address: x` for the first one that is none
 */
export function inNetworks(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(network) ?? [];
    const isKnown = isIP(address) !== 0 && Number(bits) <= (isIPv6(address) ? 128 : 32);
    if (!isKnown) throw new Error(`invalid CIDR address: ${network}`);
    list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return (address) => isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
