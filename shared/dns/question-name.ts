/** From the name of a question to what is asked: zones, keyword labels, datacenter suffix (reference: name grammar). */

import { addressOfReverseName } from './addresses.ts';
import type { ServiceLookup } from './lookups.ts';
import { foldCase, labelTexts, type Name, nameFromWire } from './name.ts';
import { TYPE_SRV } from './record-types.ts';

/** What a name asks for. */
export type Asked =
  | { readonly kind: 'service'; readonly lookup: ServiceLookup }
  /** A name, or an ID prefix. */
  | { readonly kind: 'node'; readonly node: string; readonly datacenter: string }
  | { readonly kind: 'query'; readonly query: string; readonly datacenter: string }
  /** `.addr.`: the label, which may not be an address. */
  | { readonly kind: 'address'; readonly label: string }
  /** `address` undefined: the name is not the full reverse of any address. */
  | { readonly kind: 'reverse'; readonly address: string | undefined }
  /** In the zone, but of no form that means something. */
  | { readonly kind: 'invalid' }
  /** Outside the zones. */
  | { readonly kind: 'foreign' };

export interface AskedName {
  readonly name: Name;
  readonly asked: Asked;
}

/** The part of the configuration that names are read by. */
export interface Zones {
  /** Labels, lower case. */
  readonly domain: readonly string[];
  /** Empty for none. */
  readonly altDomain: readonly string[];
  readonly datacenter: string;
}

const INVALID: Asked = { kind: 'invalid' };
const FOREIGN: Asked = { kind: 'foreign' };
const KEYWORDS: ReadonlySet<string> = new Set(['service', 'connect', 'ingress', 'node', 'query', 'addr']);

export function zoneLabels(domain: string): string[] {
  return foldCase(domain)
    .split('.')
    .filter((label) => label !== '');
}

/** @param wire valid, uncompressed; kept */
export function readAskedName(wire: Uint8Array, type: number, zones: Zones): AskedName {
  const name = nameFromWire(wire);
  const labels = labelTexts(wire).map((label) => label.toLowerCase());
  return { name, asked: readLabels(labels, type, zones) };
}

/** Whether the name lies strictly inside one of the zones, so that it is resolved here. */
export function isInsideZones(wire: Uint8Array, zones: Zones): boolean {
  const labels = labelTexts(wire).map((label) => label.toLowerCase());
  return [zones.domain, zones.altDomain].some(
    (zone) => zone.length > 0 && labels.length > zone.length && endsWith(labels, zone),
  );
}

function readLabels(labels: readonly string[], type: number, zones: Zones): Asked {
  const matching = [zones.domain, zones.altDomain]
    .filter((zone) => zone.length > 0 && endsWith(labels, zone))
    .map((zone) => zone.length);
  if (matching.length > 0) return readInside(labels.slice(0, -Math.max(...matching)), type, zones.datacenter);
  if (labels.at(-1) === 'arpa') return { kind: 'reverse', address: addressOfReverseName(labels) };
  return zones.domain.length === 0 ? readInside(labels, type, zones.datacenter) : FOREIGN;
}

/** @param labels lower case, without the zone */
function readInside(labels: readonly string[], type: number, ownDatacenter: string): Asked {
  const at = labels.findLastIndex((label) => KEYWORDS.has(label) || isShortForm(label, type));
  const keyword = labels[at];
  if (keyword === undefined) return INVALID;
  const isShort = !KEYWORDS.has(keyword);
  const parts = labels.slice(0, isShort ? at + 1 : at);
  const suffix = labels.slice(at + 1);
  if (parts.length === 0 || suffix.length > 1) return INVALID;
  return readParts(isShort ? 'service' : keyword, parts, suffix[0] ?? ownDatacenter);
}

/** In SRV questions `_web._tcp.consul` is `_web._tcp.service.consul`. */
function isShortForm(label: string, type: number): boolean {
  return type === TYPE_SRV && label.startsWith('_');
}

function readParts(keyword: string, parts: readonly string[], datacenter: string): Asked {
  const last = parts.at(-1) ?? '';
  switch (keyword) {
    case 'service':
      return { kind: 'service', lookup: serviceLookup(parts, datacenter) };
    case 'connect':
    case 'ingress':
      return { kind: 'service', lookup: { service: last, tag: undefined, kind: keyword, datacenter } };
    case 'node':
      return { kind: 'node', node: parts.join('.'), datacenter };
    case 'query':
      return { kind: 'query', query: parts.join('.'), datacenter };
    default:
      return parts.length === 1 ? { kind: 'address', label: last } : INVALID;
  }
}

function serviceLookup(parts: readonly string[], datacenter: string): ServiceLookup {
  const [first = '', second = ''] = parts;
  if (parts.length === 2 && first.startsWith('_') && second.startsWith('_')) {
    const tag = second.slice(1);
    const isAny = tag === 'tcp' || tag === '';
    return { service: first.slice(1), tag: isAny ? undefined : tag, kind: 'service', datacenter };
  }
  const tag = parts.slice(0, -1).join('.');
  return { service: parts.at(-1) ?? '', tag: tag === '' ? undefined : tag, kind: 'service', datacenter };
}

function endsWith(labels: readonly string[], zone: readonly string[]): boolean {
  const from = labels.length - zone.length;
  return from >= 0 && zone.every((label, i) => labels[from + i] === label);
}
