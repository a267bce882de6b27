/** The query part of a request URL, decoded once on first use, in the order sent. */

/** The query holds an escape that is none; the request is answered with an empty 500. */
export class QuerySyntaxError extends Error {
  override readonly name = 'QuerySyntaxError';
}

/** Invariant: `#values[i]` belongs to `#keys[i]`; a key may occur several times. */
export class QueryString {
  readonly #keys: string[] = [];
  readonly #values: string[] = [];

  /** @throws QuerySyntaxError when an escape is malformed */
  constructor(raw: string) {
    let start = 0;
    while (start < raw.length) {
      let end = raw.indexOf('&', start);
      if (end === -1) end = raw.length;
      if (end > start) this.#add(raw, start, end);
      start = end + 1;
    }
  }

  /** The first value, undefined when the key is absent. */
  get(key: string): string | undefined {
    const at = this.#keys.indexOf(key);
    return at === -1 ? undefined : this.#values[at];
  }

  /** The first value, '' when the key is absent: for keys whose empty value means nothing. */
  text(key: string): string {
    return this.get(key) ?? '';
  }

  has(key: string): boolean {
    return this.#keys.includes(key);
  }

  all(key: string): string[] {
    return this.#values.filter((_, i) => this.#keys[i] === key);
  }

  /** Go's `Values.Encode`: escaped again, sorted by key, values of a key in the order sent. */
  encode(): string {
    const order = this.#keys.map((_, i) => i);
    order.sort((a, b) => compare(this.#keys[a] ?? '', this.#keys[b] ?? '') || a - b);
    return order
      .map((i) => `${escapeComponent(this.#keys[i] ?? '')}=${escapeComponent(this.#values[i] ?? '')}`)
      .join('&');
  }

  #add(raw: string, start: number, end: number): void {
    const equals = raw.indexOf('=', start);
    const hasValue = equals !== -1 && equals < end;
    this.#keys.push(unescapeComponent(raw.slice(start, hasValue ? equals : end)));
    this.#values.push(hasValue ? unescapeComponent(raw.slice(equals + 1, end)) : '');
  }
}

export const EMPTY_QUERY = new QueryString('');

/** The same query with the values of `token` replaced, fit for a log. */
export function maskTokens(rawQuery: string): string {
  return rawQuery
    .split('&')
    .map((pair) => {
      const equals = pair.indexOf('=');
      return equals !== -1 && isToken(pair.slice(0, equals)) ? `${pair.slice(0, equals)}=<hidden>` : pair;
    })
    .join('&');
}

function isToken(rawKey: string): boolean {
  try {
    return unescapeComponent(rawKey) === 'token';
  } catch {
    // A key that cannot be decoded is no key of ours; the request fails elsewhere.
    return false;
  }
}

function unescapeComponent(raw: string): string {
  const spaced = raw.includes('+') ? raw.replaceAll('+', ' ') : raw;
  if (!spaced.includes('%')) return spaced;
  if (/%(?![0-9A-Fa-f]{2})/.test(spaced)) throw new QuerySyntaxError('invalid URL escape');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return decodeLossy(spaced);
  }
}

/** Escapes that are no UTF-8 become U+FFFD, as they would in Go's JSON. */
function decodeLossy(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}

function escapeComponent(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
