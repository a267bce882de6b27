/** The rule for node and service metadata, wherever it comes from: files, the API, the log. */

const MOST_PAIRS = 64;
const LONGEST_KEY = 128;
/** Bytes of UTF-8. */
const LONGEST_VALUE = 512;

const encoder = new TextEncoder();

/**
 * @param allowsReserved keys that begin with `consul-` are fine
 * @returns what is wrong with the pairs, in Consul's words; undefined when nothing is
 */
export function metadataProblem(
  meta: Readonly<Record<string, string>> | null,
  allowsReserved = false,
): string | undefined {
  if (meta === null) return undefined;
  const pairs = Object.entries(meta);
  if (pairs.length > MOST_PAIRS)
    return `Node metadata cannot contain more than ${MOST_PAIRS} key/value pairs`;
  for (const [key, value] of pairs) {
    const problem = pairProblem(key, value, allowsReserved);
    if (problem !== undefined) return `Couldn't load metadata pair ('${key}', '${value}'): ${problem}`;
  }
  return undefined;
}

function pairProblem(key: string, value: string, allowsReserved: boolean): string | undefined {
  if (key === '') return 'Key cannot be blank';
  if (!/^[a-zA-Z0-9_-]+$/.test(key)) return 'Key contains invalid characters';
  if (key.length > LONGEST_KEY) return `Key is too long (limit: ${LONGEST_KEY} characters)`;
  if (!allowsReserved && key.startsWith('consul-'))
    return "Key prefix 'consul-' is reserved for internal use";
  if (encoder.encode(value).length > LONGEST_VALUE)
    return `Value is too long (limit: ${LONGEST_VALUE} characters)`;
  return undefined;
}
