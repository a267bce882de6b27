/** Takes a request target apart without changing it. */

export interface Target {
  /** Decoded path, as an agent matches it; undefined when it isn't decodable or would be redirected by the agent. */
  readonly path: string | undefined;
  /** Raw query without the question mark. */
  readonly query: string;
}

export function splitTarget(target: string): Target {
  const at = target.indexOf('?');
  const rawPath = at === -1 ? target : target.slice(0, at);
  return { path: decodePath(rawPath), query: at === -1 ? '' : target.slice(at + 1) };
}

/** Paths with `//`, `.` or `..` segments are the agent's to redirect (reference §1.1). */
const UNCLEAN = /\/\/|\/\.{1,2}(?:\/|$)/;

function decodePath(raw: string): string | undefined {
  const decoded = raw.includes('%') ? decodeOrUndefined(raw) : raw;
  return decoded === undefined || UNCLEAN.test(decoded) ? undefined : decoded;
}

function decodeOrUndefined(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw);
  } catch {
    // Malformed escapes are answered by the agent.
    return undefined;
  }
}

/** First value of a query key, decoded; '' when it stands without a value; undefined when absent. */
export function queryValue(query: string, key: string): string | undefined {
  if (!query.includes(key) && !query.includes('%')) return undefined;
  for (const pair of query.split('&')) {
    const at = pair.indexOf('=');
    if (decodeField(at === -1 ? pair : pair.slice(0, at)) === key)
      return at === -1 ? '' : (decodeField(pair.slice(at + 1)) ?? '');
  }
  return undefined;
}

/** The target without any `key`. */
export function withoutQueryValue(target: string, key: string): string {
  const at = target.indexOf('?');
  if (at === -1) return target;
  const kept = target
    .slice(at + 1)
    .split('&')
    .filter((pair) => pair !== '' && keyOf(pair) !== key);
  return kept.length === 0 ? target.slice(0, at) : `${target.slice(0, at)}?${kept.join('&')}`;
}

/** The target with every `key` replaced by one `key=value` at its end. `value` needs no encoding. */
export function withQueryValue(target: string, key: string, value: string): string {
  const at = target.indexOf('?');
  const path = at === -1 ? target : target.slice(0, at);
  const kept =
    at === -1
      ? []
      : target
          .slice(at + 1)
          .split('&')
          .filter((pair) => keyOf(pair) !== key);
  return `${path}?${[...kept, `${key}=${value}`].filter((pair) => pair !== '').join('&')}`;
}

function keyOf(pair: string): string | undefined {
  return decodeField(pair.split('=', 1)[0] ?? '');
}

/** A key or value of a query, decoded; undefined when it can't be. */
export function decodeField(text: string): string | undefined {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
