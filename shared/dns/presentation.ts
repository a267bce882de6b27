/** Record data in presentation form (RFC 1035 §5, RFC 3597), as JSON answers and tests show it. */

import { formatIp, hexOf } from './addresses.ts';
import type { ResourceRecord } from './message.ts';
import { presentName } from './name.ts';
import { TYPE_A, TYPE_AAAA, TYPE_TXT } from './record-types.ts';

/** `10.1.2.3`, `1 10 81 n1.node.dc1.consul.`, `"rack=r1"`, `\# 4 0a010203` … */
export function presentData(record: ResourceRecord): string {
  const { rdata, type } = record;
  switch (rdata.kind) {
    case 'name':
      return presentName(rdata.name.wire);
    case 'srv':
      return `${rdata.priority} ${rdata.weight} ${rdata.port} ${presentName(rdata.target.wire)}`;
    case 'mx':
      return `${rdata.preference} ${presentName(rdata.exchange.wire)}`;
    case 'soa':
      return [presentName(rdata.mname.wire), presentName(rdata.rname.wire), ...rdata.numbers].join(' ');
    case 'bytes':
      return presentBytes(type, rdata.bytes);
  }
}

function presentBytes(type: number, bytes: Uint8Array): string {
  if ((type === TYPE_A && bytes.length === 4) || (type === TYPE_AAAA && bytes.length === 16))
    return formatIp(bytes);
  const strings = type === TYPE_TXT ? characterStrings(bytes) : undefined;
  if (strings !== undefined) return strings.map(quoted).join(' ');
  return bytes.length === 0 ? '\\# 0' : `\\# ${bytes.length} ${hexOf(bytes)}`;
}

/** undefined when the lengths do not add up. */
function characterStrings(bytes: Uint8Array): Uint8Array[] | undefined {
  const strings: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = at + 1 + (bytes[at] ?? 0);
    if (end > bytes.length) return undefined;
    strings.push(bytes.subarray(at + 1, end));
    at = end;
  }
  return strings;
}

/** Printable UTF-8 stays readable; other bytes become `\\DDD`. */
function quoted(string: Uint8Array): string {
  const text = new TextDecoder().decode(string);
  const characters = text.includes('\ufffd') ? String.fromCharCode(...string) : text;
  let escaped = '';
  for (const character of characters) escaped += escapeCharacter(character, characters !== text);
  return `"${escaped}"`;
}

function escapeCharacter(character: string, isByte: boolean): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  const code = character.charCodeAt(0);
  const isPrintable = code >= 0x20 && code !== 0x7f && !(isByte && code > 0x7e);
  return isPrintable ? character : `\\${String(code).padStart(3, '0')}`;
}
