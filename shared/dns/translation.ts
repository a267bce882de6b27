/** Choosing among the tagged addresses of a node or service for a question (reference: address translation). */

import type { Node, Service } from '../types/v1.ts';
import type { DnsConfig } from './config.ts';
import { TYPE_A, TYPE_AAAA } from './record-types.ts';

/** '' when there is none. The choice is not checked against the type: the record type filter comes later. */
export function nodeAddress(node: Node, type: number, config: DnsConfig): string {
  const tagged = (key: string) => node.TaggedAddresses?.[key];
  return choose(type, node.Address, tagged, usesWan(config, node.Datacenter));
}

/** @param datacenter where the data comes from */
export function serviceAddress(
  service: Service,
  datacenter: string,
  type: number,
  config: DnsConfig,
): string {
  const tagged = (key: string) => service.TaggedAddresses?.[key]?.Address;
  return choose(type, service.Address, tagged, usesWan(config, datacenter));
}

/** 0–65535. */
export function servicePort(service: Service, datacenter: string, config: DnsConfig): number {
  const wanPort = usesWan(config, datacenter) ? (service.TaggedAddresses?.wan?.Port ?? 0) : 0;
  return (wanPort !== 0 ? wanPort : service.Port) & 0xffff;
}

function usesWan(config: DnsConfig, datacenter: string): boolean {
  return config.translateWanAddrs && datacenter !== config.datacenter;
}

function choose(
  type: number,
  plain: string,
  tagged: (key: string) => string | undefined,
  isWan: boolean,
): string {
  const pick = (wanKey: string, otherwise: string) => (isWan && tagged(wanKey)) || otherwise;
  const v4 = () => pick('wan_ipv4', tagged('lan_ipv4') ?? '');
  const v6 = () => pick('wan_ipv6', tagged('lan_ipv6') ?? '');
  const any = pick('wan', plain);
  if (type === TYPE_A) return v4() || any;
  if (type === TYPE_AAAA) return v6() || any;
  return v6() || v4() || any;
}
