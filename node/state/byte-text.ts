/** Keys of the trees: UTF-8 bytes as text of one byte per character, so that they sort and take space as bytes do. */

let scratch = Buffer.allocUnsafe(4096);

/**
 * The UTF-8 bytes of a text, each as the character of that code. ASCII stays as it is. The result is a fresh flat
 * string: it keeps no larger text (such as a decoded command) alive.
 */
export function byteText(text: string): string {
  const most = text.length * 3;
  if (most > scratch.length) {
    if (most > MAX_SCRATCH) return Buffer.from(text, 'utf8').toString('latin1');
    scratch = Buffer.allocUnsafe(most);
  }
  return scratch.toString('latin1', 0, scratch.write(text, 'utf8'));
}

const MAX_SCRATCH = 1 << 20;

/** The inverse of `byteText`. */
export function fromByteText(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** A name as a key: any case of it gives the same. Safe as a part of `compoundKey`. */
export function nameKey(name: string): string {
  return escapeSeparator(byteText(name.toLowerCase()));
}

/** As `nameKey`, but case counts. */
export function exactKey(name: string): string {
  return escapeSeparator(byteText(name));
}

/** Between the parts of a compound key. */
export const SEPARATOR = '\0';

/** Greater than every first character of a key part: UTF-8 has no byte 0xff. */
const AFTER_PARTS = '\xff';

/** Parts made by `nameKey` or `exactKey`, so that equal keys mean equal parts and order is that of the parts. */
export function compoundKey(first: string, second: string, third?: string): string {
  const key =
    third === undefined ? first + SEPARATOR + second : first + SEPARATOR + second + SEPARATOR + third;
  return flat(key);
}

/** Bounds for `scan`: all compound keys that begin with these parts. */
export function keysUnder(...parts: readonly string[]): { readonly from: string; readonly to: string } {
  const from = parts.join(SEPARATOR) + SEPARATOR;
  return { from, to: from + AFTER_PARTS };
}

/** A part must not be mistaken for two: a separator in it is followed by what no part starts with. */
function escapeSeparator(part: string): string {
  return part.includes(SEPARATOR) ? part.replaceAll(SEPARATOR, SEPARATOR + AFTER_PARTS) : part;
}

/** A concatenation as one piece of memory, which is what comparing it a million times needs. */
function flat(text: string): string {
  if (text.length > scratch.length) return Buffer.from(text, 'latin1').toString('latin1');
  return scratch.toString('latin1', 0, scratch.write(text, 'latin1'));
}
