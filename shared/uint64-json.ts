/** JSON whose integers may exceed 2^53: they come as bigint instead of losing digits. */

/** @throws SyntaxError as `JSON.parse` */
export function parseUint64Json(text: string): unknown {
  return JSON.parse(
    text,
    function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
      const source = context?.source;
      const isLossy = typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined;
      return isLossy && /^-?\d+$/.test(source) ? BigInt(source) : value;
    },
  );
}
