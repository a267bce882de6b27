/** Request targets as logs and traces may show them: without the tokens that some carry. */

import { decodeField } from '../proxy/target.ts';

const HIDDEN = '<hidden>';

/** Endpoints of the legacy ACL system, which have a token in the path. */
const SECRET_IN_PATH = /^(\/v1\/acl\/(?:create|update|destroy|info|clone|list)\/)[^?]+/;

/** Keys of a query that hold a secret, however they are escaped. */
const SECRET_KEYS: ReadonlySet<string> = new Set(['token', 'secret', 'secretid']);

export function maskedTarget(target: string): string {
  const at = target.indexOf('?');
  if (at === -1) return maskedPath(target);
  const pairs = target.slice(at + 1).split('&');
  return `${maskedPath(target.slice(0, at))}?${pairs.map(maskedPair).join('&')}`;
}

export function maskedPath(path: string): string {
  return path.startsWith('/v1/acl/') ? path.replace(SECRET_IN_PATH, `$1${HIDDEN}`) : path;
}

function maskedPair(pair: string): string {
  const at = pair.indexOf('=');
  const name = at === -1 ? pair : pair.slice(0, at);
  const key = decodeField(name);
  // A key that can't be decoded is shown to nobody: it may be meant to hide.
  return key === undefined || SECRET_KEYS.has(key.trim().toLowerCase()) ? `${name}=${HIDDEN}` : pair;
}
