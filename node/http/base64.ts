/** Standard base64 as Go decodes it: padding is required, line breaks are skipped, and the first bad byte is named. */

import { GoJsonError } from './go-json-parse.ts';

/** @throws GoJsonError `illegal base64 data at input byte N` */
export function decodeGoBase64(text: string): Uint8Array {
  // Whole groups of the alphabet without line breaks need no closer look.
  const isPlain = text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
  const badByte = isPlain ? undefined : firstBadByte(text);
  if (badByte !== undefined) throw new GoJsonError(`illegal base64 data at input byte ${badByte}`);
  return Buffer.from(text, 'base64');
}

/** Positions count bytes; up to the first bad one all are ASCII, so characters do as well. */
function firstBadByte(text: string): number | undefined {
  let at = 0;
  const skipLineBreaks = () => {
    while (text[at] === '\n' || text[at] === '\r') at++;
  };
  for (;;) {
    for (let inGroup = 0; inGroup < 4; inGroup++) {
      skipLineBreaks();
      const character = text[at];
      if (character === undefined) return inGroup === 0 ? undefined : at - inGroup;
      at++;
      if (/^[A-Za-z0-9+/]$/.test(character)) continue;
      if (character !== '=' || inGroup < 2) return at - 1;
      if (inGroup === 2) {
        skipLineBreaks();
        if (text[at] === undefined) return text.length;
        // Go counts from what it has read, not from the byte that it has just looked at.
        if (text[at] !== '=') return at - 1;
        at++;
      }
      skipLineBreaks();
      return at < text.length ? at : undefined;
    }
  }
}
