/** Domain names: the wire form, the suffixes that name compression looks for, and the presentation form. */

const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;

/**
 * A domain name ready to be written many times. Immutable.
 *
 * `suffixes[i]` is the wire form from label `i` on, one character a byte, and `starts[i]` its offset in `wire`;
 * the root is not among them. Comparing suffixes is exact: the spelling of letters counts.
 */
export interface Name {
  /** Length-prefixed labels with the final zero, 1–255 bytes. */
  readonly wire: Uint8Array;
  readonly suffixes: readonly string[];
  readonly starts: readonly number[];
  /** The wire form with ASCII letters in lower case, one character a byte: equal for names that DNS holds equal. */
  readonly folded: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * A name from valid wire bytes (no compression pointers).
 *
 * @param wire kept, not copied
 */
export function nameFromWire(wire: Uint8Array): Name {
  const text = binaryText(wire, 0, wire.length);
  const suffixes: string[] = [];
  const starts: number[] = [];
  for (let at = 0; at < wire.length && wire[at] !== 0; at += 1 + (wire[at] ?? 0)) {
    starts.push(at);
    suffixes.push(text.slice(at));
  }
  return { wire, suffixes, starts, folded: foldCase(text) };
}

/** A name from labels as bytes; undefined when a label is empty or over 63 bytes, or the whole over 255. */
export function nameFromLabels(labels: readonly Uint8Array[]): Name | undefined {
  let length = 1;
  for (const label of labels) {
    if (label.length === 0 || label.length > MAX_LABEL_BYTES) return undefined;
    length += 1 + label.length;
  }
  if (length > MAX_NAME_BYTES) return undefined;
  const wire = new Uint8Array(length);
  let at = 0;
  for (const label of labels) {
    wire[at] = label.length;
    wire.set(label, at + 1);
    at += 1 + label.length;
  }
  return nameFromWire(wire);
}

/**
 * A name from plain text: labels are what stands between the dots, as UTF-8, without escapes; one final dot may be
 * given. Undefined when that is no valid name. `''` and `'.'` are the root.
 */
export function nameFromText(text: string): Name | undefined {
  const bare = text.endsWith('.') ? text.slice(0, -1) : text;
  if (bare === '') return nameFromLabels([]);
  return nameFromLabels(bare.split('.').map((label) => encoder.encode(label)));
}

/**
 * A name from presentation form (RFC 1035 §5.1): `\.` and `\DDD` stand for bytes inside a label. Undefined when it
 * is no valid name.
 */
export function nameFromPresentation(text: string): Name | undefined {
  if (text === '.') return nameFromLabels([]);
  const labels: Uint8Array[] = [];
  let label: number[] = [];
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x2e) {
      labels.push(Uint8Array.from(label));
      label = [];
    } else if (byte === 0x5c) {
      const escaped = readEscape(bytes, at + 1);
      if (escaped === undefined) return undefined;
      label.push(escaped.byte);
      at += escaped.length;
    } else {
      label.push(byte);
    }
  }
  if (label.length > 0) labels.push(Uint8Array.from(label));
  return labels.length === 0 ? undefined : nameFromLabels(labels);
}

/** Labels of a wire name as text (UTF-8), left to right, without the root. */
export function labelTexts(wire: Uint8Array): string[] {
  const labels: string[] = [];
  for (let at = 0; at < wire.length && wire[at] !== 0; at += 1 + (wire[at] ?? 0)) {
    labels.push(utf8Text(wire, at + 1, at + 1 + (wire[at] ?? 0)));
  }
  return labels;
}

/** Presentation form with the final dot; bytes that would be misread are escaped. */
export function presentName(wire: Uint8Array): string {
  if (wire.length <= 1) return '.';
  let text = '';
  for (let at = 0; at < wire.length && wire[at] !== 0; at += 1 + (wire[at] ?? 0)) {
    const end = at + 1 + (wire[at] ?? 0);
    for (let i = at + 1; i < end; i++) text += presentByte(wire[i] ?? 0);
    text += '.';
  }
  return text;
}

/** Bytes `from`…`to` as text of one character a byte. */
export function binaryText(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}

/** ASCII letters in lower case; other characters as they are. */
export function foldCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text;
}

function utf8Text(bytes: Uint8Array, from: number, to: number): string {
  for (let i = from; i < to; i++)
    if ((bytes[i] as number) >= 0x80) return decoder.decode(bytes.subarray(from, to));
  return binaryText(bytes, from, to);
}

function readEscape(bytes: Uint8Array, at: number): { byte: number; length: number } | undefined {
  const first = bytes[at];
  if (first === undefined) return undefined;
  if (first < 0x30 || first > 0x39) return { byte: first, length: 1 };
  const digits = binaryText(bytes, at, Math.min(at + 3, bytes.length));
  if (!/^\d{3}$/.test(digits) || Number(digits) > 255) return undefined;
  return { byte: Number(digits), length: 3 };
}

function presentByte(byte: number): string {
  if (byte <= 0x20 || byte >= 0x7f) return `\\${String(byte).padStart(3, '0')}`;
  const character = String.fromCharCode(byte);
  return '.\\";()@$'.includes(character) ? `\\${character}` : character;
}
