/** The records that answers are made of. */

import type { DnsConfig } from './config.ts';
import type { RecordData, ResourceRecord } from './message.ts';
import { type Name, nameFromText } from './name.ts';
import {
  CLASS_IN,
  TYPE_A,
  TYPE_AAAA,
  TYPE_ANY,
  TYPE_CNAME,
  TYPE_NS,
  TYPE_PTR,
  TYPE_SOA,
  TYPE_SRV,
  TYPE_TXT,
} from './record-types.ts';

const SRV_PRIORITY = 1;
const MAX_STRING_BYTES = 255;
const encoder = new TextEncoder();

/** A or AAAA by the length of `ip` (4 or 16 bytes). */
export function addressRecord(owner: Name | undefined, ttl: number, ip: Uint8Array): ResourceRecord {
  return record(owner, ip.length === 4 ? TYPE_A : TYPE_AAAA, ttl, { kind: 'bytes', bytes: ip });
}

export function cnameRecord(owner: Name | undefined, ttl: number, target: Name): ResourceRecord {
  return record(owner, TYPE_CNAME, ttl, { kind: 'name', name: target });
}

export function nsRecord(owner: Name, ttl: number, server: Name): ResourceRecord {
  return record(owner, TYPE_NS, ttl, { kind: 'name', name: server });
}

export function ptrRecord(target: Name): ResourceRecord {
  return record(undefined, TYPE_PTR, 0, { kind: 'name', name: target });
}

export function srvRecord(ttl: number, weight: number, port: number, target: Name): ResourceRecord {
  return record(undefined, TYPE_SRV, ttl, { kind: 'srv', priority: SRV_PRIORITY, weight, port, target });
}

/** Text over 255 bytes becomes several character-strings of one record. */
export function txtRecord(owner: Name | undefined, ttl: number, text: string): ResourceRecord {
  const utf8 = encoder.encode(text);
  const strings = Math.max(1, Math.ceil(utf8.length / MAX_STRING_BYTES));
  const bytes = new Uint8Array(utf8.length + strings);
  for (let i = 0; i < strings; i++) {
    const part = utf8.subarray(i * MAX_STRING_BYTES, (i + 1) * MAX_STRING_BYTES);
    bytes[i * (MAX_STRING_BYTES + 1)] = part.length;
    bytes.set(part, i * (MAX_STRING_BYTES + 1) + 1);
  }
  return record(owner, TYPE_TXT, ttl, { kind: 'bytes', bytes });
}

/** One TXT per pair of node meta. Keys that begin with `rfc1035-` give the bare value, others RFC 1464 text. */
export function nodeMetaRecords(
  owner: Name | undefined,
  ttl: number,
  meta: Readonly<Record<string, string>> | null,
): ResourceRecord[] {
  return Object.entries(meta ?? {}).map(([key, value]) =>
    txtRecord(owner, ttl, key.toLowerCase().startsWith('rfc1035-') ? value : attributeText(key, value)),
  );
}

/** The zone's own names, encoded once. */
export interface ZoneNames {
  /** With dots as separators and a final dot, lower case; '.' for the root. */
  readonly text: string;
  readonly apex: Name;
  readonly soaMname: Name;
  readonly soaRname: Name;
}

/** @throws RangeError when the domain is no valid name */
export function zoneNames(domain: string): ZoneNames {
  const text = domain === '' || domain === '.' ? '.' : `${domain.toLowerCase().replace(/\.$/, '')}.`;
  const below = (label: string) => nameFromText(text === '.' ? `${label}.` : `${label}.${text}`);
  const apex = nameFromText(text);
  const soaMname = below('ns');
  const soaRname = below('hostmaster');
  if (apex === undefined || soaMname === undefined || soaRname === undefined)
    throw new RangeError(`"${domain}" is not a valid DNS domain`);
  return { text, apex, soaMname, soaRname };
}

/** `<first>.<kind>.<datacenter>.<domain>`; undefined when that is no valid name. */
export function nameInZone(
  zone: ZoneNames,
  first: string,
  kind: 'node' | 'addr' | 'service',
  datacenter: string,
): Name | undefined {
  return nameFromText(`${first}.${kind}.${datacenter}.${zone.text === '.' ? '' : zone.text}`);
}

/** @param nowMs wall clock, for the serial */
export function soaRecord(zone: ZoneNames, config: DnsConfig, nowMs: number): ResourceRecord {
  const { refresh, retry, expire, minTtl } = config.soa;
  const numbers = [Math.floor(nowMs / 1000) >>> 0, refresh, retry, expire, minTtl];
  return record(zone.apex, TYPE_SOA, minTtl, {
    kind: 'soa',
    mname: zone.soaMname,
    rname: zone.soaRname,
    numbers,
  });
}

/** Whether a question of this type about a service takes such an address. TXT does, as in Consul. */
export function takesServiceAddress(type: number, ip: Uint8Array): boolean {
  const own = ip.length === 4 ? TYPE_A : TYPE_AAAA;
  return type === own || type === TYPE_ANY || type === TYPE_SRV || type === TYPE_NS || type === TYPE_TXT;
}

function record(owner: Name | undefined, type: number, ttl: number, rdata: RecordData): ResourceRecord {
  return { owner, type, recordClass: CLASS_IN, ttl, rdata };
}

/** RFC 1464: `` ` `` and `=` and outer blanks of the key are quoted with `` ` ``; of the value only `` ` ``. */
function attributeText(key: string, value: string): string {
  const quoted = key.replaceAll('`', '``').replaceAll('=', '`=');
  const leading = /^ +/.exec(quoted)?.[0].length ?? 0;
  const rest = quoted.slice(leading);
  const trailing = / +$/.exec(rest)?.[0].length ?? 0;
  const middle = trailing === 0 ? rest : rest.slice(0, -trailing);
  return `${'` '.repeat(leading)}${middle}${'` '.repeat(trailing)}=${value.replaceAll('`', '``')}`;
}
