/** `translate_wan_addrs`: answers about another datacenter show the addresses under which it is reached from here. */

import { isEmptyJson, renderJson } from '../../shared/json.ts';
import type { Backend, JsonReply, ReadOptions } from '../rpc/backend.ts';
import type { ReadEndpoint } from '../rpc/endpoint.ts';
import type { HttpConfig } from './options.ts';

/** Whether what comes from this datacenter ('' is the agent's own) is shown with its WAN addresses. */
export function translatesWan(config: HttpConfig, datacenter: string): boolean {
  return config.translateWanAddrs && datacenter !== '' && datacenter !== config.datacenter;
}

/** `Backend.readJson` with the addresses replaced. The text is not shared with other callers: it is made for this agent alone. */
export async function readWanJson<Args, Result>(
  backend: Backend,
  endpoint: ReadEndpoint<Args, Result>,
  args: Args,
  options: ReadOptions & { readonly pretty: boolean },
): Promise<JsonReply> {
  const { meta, value } = await backend.read(endpoint, args, options);
  const body = Buffer.from(renderJson(withWanAddresses(value), options.pretty), 'utf8');
  return { meta, body, isEmpty: isEmptyJson(value) };
}

/**
 * A copy in which every node, service and catalog row with tagged addresses has its address, and a service its port,
 * replaced; whatever else is in the value stays as it is.
 */
export function withWanAddresses(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withWanAddresses);
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) copy[key] = insideOf(key, item);
  if ('TaggedAddresses' in copy && 'Address' in copy) translate(copy, '', 'TaggedAddresses');
  if ('ServiceTaggedAddresses' in copy) translate(copy, 'Service', 'ServiceTaggedAddresses');
  return copy;
}

/** Answers hold one node or service, or several as a list or by ID. */
function insideOf(key: string, item: unknown): unknown {
  if (key === 'Node' || key === 'Service') return withWanAddresses(item);
  if (key !== 'Nodes' && key !== 'Services') return item;
  if (Array.isArray(item) || typeof item !== 'object' || item === null) return withWanAddresses(item);
  return Object.fromEntries(Object.entries(item).map(([id, entry]) => [id, withWanAddresses(entry)]));
}

/** IPv6 before IPv4 before the plain `wan`, each by its WAN form or else its LAN form, as Consul prefers them. */
function translate(row: Record<string, unknown>, prefix: '' | 'Service', taggedKey: string): void {
  const tagged = row[taggedKey];
  if (typeof tagged !== 'object' || tagged === null) return;
  const addressOf = (tag: string) => addressText(Reflect.get(tagged, tag));
  const found =
    addressOf('wan_ipv6') ||
    addressOf('lan_ipv6') ||
    addressOf('wan_ipv4') ||
    addressOf('lan_ipv4') ||
    addressOf('wan');
  if (found !== '') row[`${prefix}Address`] = found;
  const wan: unknown = Reflect.get(tagged, 'wan');
  const port: unknown = typeof wan === 'object' && wan !== null ? Reflect.get(wan, 'Port') : 0;
  if (typeof port === 'number' && port !== 0 && `${prefix}Port` in row) row[`${prefix}Port`] = port;
}

/** Nodes tag with texts, services with address and port. */
function addressText(tagged: unknown): string {
  if (typeof tagged === 'string') return tagged;
  if (typeof tagged !== 'object' || tagged === null) return '';
  const address: unknown = Reflect.get(tagged, 'Address');
  return typeof address === 'string' ? address : '';
}
