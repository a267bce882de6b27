/** What is wrong with standard base64, as Go sees it: padding is required, and line breaks are skipped. */

/** @returns the first byte that does not fit; undefined when the text is right */
export function badBase64At(text: string): number | undefined {
  // Whole groups of the alphabet without line breaks need no closer look.
  const isPlain = text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
  return isPlain ? undefined : firstBadByte(text);
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
