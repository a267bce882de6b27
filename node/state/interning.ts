/** One copy of texts that many records repeat, and no text that keeps a decoded command alive. */

import { byteText } from './byte-text.ts';

const LONGEST_SHARED = 64;
const MOST_SHARED = 65_536;

let shared = new Map<string, string>();

/**
 * A text of its own memory: decoders hand out slices, and a slice keeps all it was cut from. Short texts come back
 * as the same string each time, as long as there is room; that saves memory only and is never relied upon.
 */
export function own(text: string): string {
  if (text.length <= LONGEST_SHARED) {
    const known = shared.get(text);
    if (known !== undefined) return known;
    const copy = flatCopy(text);
    if (shared.size >= MOST_SHARED) shared = new Map();
    shared.set(copy, copy);
    return copy;
  }
  return flatCopy(text);
}

function flatCopy(text: string): string {
  const bytes = byteText(text);
  return bytes.length === text.length ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

/** A deep copy of JSON-like data made of owned texts. Keys `__proto__` stay ordinary keys. */
export function ownData<T>(value: T): T;
export function ownData(value: unknown): unknown {
  if (typeof value === 'string') return own(value);
  if (Array.isArray(value)) return value.map((item: unknown) => ownData(item));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [own(key), ownData(item)]));
  }
  return value;
}

/** As `ownData`, the keys in ascending order: what a Go map is rendered as. null stays null. */
export function ownMap<V>(map: Readonly<Record<string, V>> | null | undefined): Record<string, V> | null {
  if (map === null || map === undefined) return null;
  const entries = Object.entries(map).map(([key, item]): [string, V] => [own(key), ownData(item)]);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries);
}

/** Whether two pieces of JSON-like data are equal; the order of object keys doesn't count. */
export function isSameData(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const entries = Object.entries(a);
  if (entries.length !== Object.keys(b).length) return false;
  const other: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(b));
  return entries.every(([key, item]) => Object.hasOwn(other, key) && isSameData(item, other[key]));
}
