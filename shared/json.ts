/** JSON text exactly as Consul prints it (Go's encoder with HTML escaping). */

/** What Go escapes and `JSON.stringify` does not, or spells otherwise. The last branch keeps escape pairs together. */
const DIFFERENCES = /[<>&\u2028\u2029]|\\(?:[bf]|ud[89a-f][0-9a-f]{2}|[\s\S])/g;
const MAY_DIFFER = /[<>&\u2028\u2029]|\\[bf]|\\ud/;

const REPLACEMENTS: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
  '\\b': '\\u0008',
  '\\f': '\\u000c',
};

/**
 * Renders plain data. Keys keep their order (producers sort maps), bigints become plain digits, keys whose value is
 * undefined are left out, and undefined itself is `null`.
 *
 * @param pretty four spaces of indent and one trailing newline, as for `?pretty`
 * @throws TypeError for cyclic data
 */
export function renderJson(value: unknown, pretty: boolean): string {
  const text = stringify(value, pretty ? 4 : undefined) ?? 'null';
  const escaped = MAY_DIFFER.test(text) ? text.replace(DIFFERENCES, replacement) : text;
  return pretty ? `${escaped}\n` : escaped;
}

/** The value is what Consul prints as `null`, `[]` or `{}`. */
export function isEmptyJson(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value !== 'object') return false;
  for (const _ in value) return false;
  return true;
}

function replacement(match: string): string {
  return REPLACEMENTS[match] ?? (match.startsWith('\\ud') ? '\\ufffd' : match);
}

/** The plain call is several times faster than one with a replacer, so bigints are looked for only after it failed. */
function stringify(value: unknown, indent: number | undefined): string | undefined {
  try {
    return JSON.stringify(value, undefined, indent);
  } catch (error) {
    if (!(error instanceof TypeError) || !/BigInt/.test(error.message)) throw error;
    return JSON.stringify(value, bigintAsDigits, indent);
  }
}

interface RawJson {
  rawJSON(text: string): unknown;
}

function bigintAsDigits(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? (JSON as JSON & RawJson).rawJSON(value.toString()) : value;
}
