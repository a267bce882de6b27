/** Values between bytes, text and base64, without ever losing a byte. Pure. */

/** How a value is edited. */
export type ValueForm = 'text' | 'base64';

const CHUNK_BYTES = 8192;
const BYTES_A_ROW = 16;
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws Error with a sentence for the user when it is no base64 */
export function bytesFromBase64(text: string): Uint8Array<ArrayBuffer> {
  const compact = text.replace(/\s+/g, '');
  try {
    return Uint8Array.from(atob(compact), (character) => character.charCodeAt(0));
  } catch (error) {
    throw new Error('This is not valid base64.', { cause: error });
  }
}

export function base64FromBytes(bytes: Uint8Array): string {
  let characters = '';
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
    characters += String.fromCharCode(...bytes.subarray(at, at + CHUNK_BYTES));
  return btoa(characters);
}

/**
 * The value as text, if a text field gives the same bytes back: valid UTF-8 without control characters but tab and line
 * feed. A carriage return is one of those: fields turn it into a line feed.
 */
export function editableText(bytes: Uint8Array): string | undefined {
  try {
    const text = strictText.decode(bytes);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these do not survive a text field
    return /[\x00-\x08\x0b-\x1f\x7f]/.test(text) ? undefined : text;
  } catch {
    // Not UTF-8: shown as bytes.
    return undefined;
  }
}

/** @throws Error with a sentence for the user when the form does not allow the text */
export function bytesFromForm(form: ValueForm, text: string): Uint8Array<ArrayBuffer> {
  return form === 'base64' ? bytesFromBase64(text) : new TextEncoder().encode(text);
}

/** Offset, bytes and printable characters, sixteen a row; at most `limit` bytes. */
export function hexDump(bytes: Uint8Array, limit: number): string {
  const rows: string[] = [];
  const shown = bytes.subarray(0, limit);
  for (let at = 0; at < shown.length; at += BYTES_A_ROW) {
    const row = [...shown.subarray(at, at + BYTES_A_ROW)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const printable = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'));
    rows.push(
      `${at.toString(16).padStart(6, '0')}  ${hex.padEnd(BYTES_A_ROW * 3 - 1)}  ${printable.join('')}`,
    );
  }
  return rows.join('\n');
}

/** Flags are 64-bit numbers: kept as text, since a JavaScript number would round them. */
export function flagsProblem(text: string): string | undefined {
  const isFine = /^\d{1,20}$/.test(text) && BigInt(text) <= 0xffff_ffff_ffff_ffffn;
  return isFine ? undefined : 'Flags are a whole number from 0 to 18446744073709551615.';
}

/**
 * The flags of the first entry of a KV answer, digit for digit. Inside a JSON string a quote is always escaped, so only
 * a real member can match.
 */
export function exactFlags(json: string): string {
  return /[{,]\s*"Flags"\s*:\s*(\d+)/.exec(json)?.[1] ?? '0';
}
