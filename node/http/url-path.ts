/** Request paths as Go's server sees them: decoded once, cleaned by redirect, checked for characters nobody can print. */

/** A request target split at the first `?`; `path` is decoded. */
export interface RequestTarget {
  readonly path: string;
  /** '' when there is none. */
  readonly rawQuery: string;
  /** The path may not be what `cleanPath` makes of it. */
  readonly mayBeUnclean: boolean;
  /** Every character is printable. */
  readonly isPrintable: boolean;
}

/**
 * Splits and decodes a request target. One pass over the characters serves the usual case.
 *
 * @returns undefined when an escape is malformed, or the decoded bytes are no UTF-8: keys are text here, and replacing
 *   bytes would let two keys fall together
 */
export function parseTarget(url: string): RequestTarget | undefined {
  const target = url.charCodeAt(0) === SLASH ? url : withoutOrigin(url);
  const question = target.indexOf('?');
  const end = question === -1 ? target.length : question;
  const rawQuery = question === -1 ? '' : target.slice(question + 1);
  let mayBeUnclean = false;
  for (let i = 0; i < end; i++) {
    const c = target.charCodeAt(i);
    if (c === PERCENT || c <= SPACE || c >= DELETE) return decodeTarget(target.slice(0, end), rawQuery);
    if (c === SLASH) {
      const next = target.charCodeAt(i + 1);
      if (next === SLASH || next === DOT) mayBeUnclean = true;
    }
  }
  return { path: target.slice(0, end), rawQuery, mayBeUnclean, isPrintable: true };
}

/** Go's `path.Clean` for a rooted path, but with a trailing slash kept. */
export function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') kept.pop();
    else if (part !== '' && part !== '.') kept.push(part);
  }
  const clean = `/${kept.join('/')}`;
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean;
}

/** Go's escaping of a decoded path for a `Location` header. */
export function escapePath(path: string): string {
  return encodeURI(path.toWellFormed()).replace(
    /[?#!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const SPACE = 0x20;
const DELETE = 0x7f;

/** Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the plain space. */
const NOT_PRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;

/** The absolute form (`http://host/path`) that proxies send. Anything else is not a path that we serve. */
function withoutOrigin(url: string): string {
  const authority = url.indexOf('://');
  if (authority === -1) return url;
  const slash = url.indexOf('/', authority + 3);
  return slash === -1 ? '/' : url.slice(slash);
}

function decodeTarget(rawPath: string, rawQuery: string): RequestTarget | undefined {
  const path = decodePath(rawPath);
  if (path === undefined) return undefined;
  return { path, rawQuery, mayBeUnclean: true, isPrintable: !NOT_PRINTABLE.test(path) };
}

function decodePath(raw: string): string | undefined {
  try {
    // Node hands over bytes above 127 as Latin-1; on the wire they are UTF-8.
    const text = /[\x80-\xff]/.test(raw) ? utf8FromLatin1(raw) : raw;
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function utf8FromLatin1(raw: string): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(raw, 'latin1'));
}
