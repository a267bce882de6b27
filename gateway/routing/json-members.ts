/** Cuts a JSON object or array into its top-level members as raw text, so that answers can be merged byte for byte. */

import { parseJson } from '../upstream/pool-listing.ts';

export interface Member {
  /** Decoded key; '' for array elements. */
  readonly key: string;
  /** The value's text exactly as it came. */
  readonly raw: string;
}

export interface Members {
  readonly shape: 'object' | 'array';
  readonly members: readonly Member[];
  /** The text was indented, as agents do for `?pretty`. */
  readonly isPretty: boolean;
}

/** @returns undefined when the text doesn't start with an object or array, or is malformed at its top level */
export function splitMembers(text: string): Members | undefined {
  const open = text.search(/\S/);
  const shape = text[open] === '{' ? 'object' : text[open] === '[' ? 'array' : undefined;
  if (shape === undefined) return undefined;
  const members: Member[] = [];
  let at = skipBlanks(text, open + 1);
  while (at < text.length && text[at] !== '}' && text[at] !== ']') {
    let key = '';
    if (shape === 'object') {
      const keyEnd = valueEnd(text, at);
      const decoded = parseJson(text.slice(at, keyEnd));
      at = skipBlanks(text, keyEnd);
      if (typeof decoded !== 'string' || text[at] !== ':') return undefined;
      key = decoded;
      at = skipBlanks(text, at + 1);
    }
    const end = valueEnd(text, at);
    if (end === at) return undefined;
    members.push({ key, raw: text.slice(at, end) });
    at = skipBlanks(text, end);
    if (text[at] === ',') at = skipBlanks(text, at + 1);
  }
  if (at >= text.length) return undefined;
  return { shape, members, isPretty: text.endsWith('\n') };
}

/** First complete JSON value of a text: what an agent reads of a request body. */
export function firstValue(text: string): unknown {
  const start = skipBlanks(text, 0);
  return parseJson(text.slice(start, valueEnd(text, start)));
}

/** The inverse: keys in byte order as Go prints a map, laid out as agents do. */
export function joinMembers({ shape, members, isPretty }: Members): string {
  const [open, close] = shape === 'object' ? ['{', '}'] : ['[', ']'];
  const newline = isPretty ? '\n' : '';
  if (members.length === 0) return `${open}${close}${newline}`;
  const colon = isPretty ? ': ' : ':';
  const ordered = shape === 'object' ? members.toSorted(byKeyBytes) : members;
  const parts = ordered.map(({ key, raw }) => (shape === 'object' ? goString(key) + colon + raw : raw));
  if (!isPretty) return `${open}${parts.join(',')}${close}`;
  return `${open}\n    ${parts.join(',\n    ')}\n${close}\n`;
}

/** Field by the rules of Go's decoder: names match in any case, and the last one that matches counts. */
export function goField(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  const lower = name.toLowerCase();
  return Object.entries(value).findLast(([key]) => key.toLowerCase() === lower)?.[1];
}

/** JSON text with the escapes that Go adds. */
function goString(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** UTF-8 order equals code point order, which UTF-16 order is not. */
function byKeyBytes(a: Member, b: Member): number {
  const [left, right] = [[...a.key], [...b.key]];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text[at] as string)) at++;
  return at;
}

/** End of the value that starts at `from`: balanced brackets, strings skipped; a scalar ends at a delimiter. */
function valueEnd(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === '"') {
      at = stringEnd(text, at);
      if (depth === 0) return at + 1;
    } else if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (depth === 0 && (char === ',' || char === ':' || ' \t\r\n'.includes(char as string))) return at;
  }
  return text.length;
}

/** Index of the closing quote. */
function stringEnd(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at;
  }
  return text.length;
}
