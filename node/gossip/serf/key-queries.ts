/** Answers to the internal key queries: install, use, remove and list gossip keys on this node. */

import type { Keyring } from '../codec/keyring.ts';
import { decodeKeyRequest, encodeKeyResponse, type KeyResponse } from '../codec/query-payloads.ts';

export const KEY_QUERY = {
  install: '_serf_install-key',
  use: '_serf_use-key',
  remove: '_serf_remove-key',
  list: '_serf_list-keys',
} as const;

/** Room for the message and framing around the listed keys in a response of at most 1024 bytes. */
const MAX_KEY_LIST_BYTES = 700;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

export interface KeyAnswer {
  readonly payload: Uint8Array;
  /** The keyring differs from before and should be saved. */
  readonly isChanged: boolean;
}

/** Undefined when `name` is no key query. */
export function answerKeyQuery(name: string, payload: Uint8Array, keyring: Keyring): KeyAnswer | undefined {
  switch (name) {
    case KEY_QUERY.list:
      return { payload: encodeKeyResponse(listKeys(keyring)), isChanged: false };
    case KEY_QUERY.install:
      return modify(payload, keyring, (key) => keyring.install(key));
    case KEY_QUERY.use:
      return modify(payload, keyring, (key) => keyring.use(key));
    case KEY_QUERY.remove:
      return modify(payload, keyring, (key) => keyring.remove(key));
    default:
      return undefined;
  }
}

function modify(
  payload: Uint8Array,
  keyring: Keyring,
  change: (key: Uint8Array) => string | undefined,
): KeyAnswer {
  const before = keyring.keys;
  const problem = keyring.isEmpty
    ? 'No keyring to modify (encryption not enabled)'
    : applied(payload, change);
  const response = { isDone: problem === undefined, message: problem ?? '', keys: [], primaryKey: '' };
  return { payload: encodeKeyResponse(response), isChanged: before !== keyring.keys };
}

function applied(payload: Uint8Array, change: (key: Uint8Array) => string | undefined): string | undefined {
  const key = decodeKeyRequest(payload);
  return key === undefined ? 'failed to decode key request' : change(key);
}

function listKeys(keyring: Keyring): KeyResponse {
  const { primary } = keyring;
  if (primary === undefined)
    return {
      isDone: false,
      message: 'Keyring is empty (encryption not enabled)',
      keys: [],
      primaryKey: '',
    };
  const all = keyring.keys.map(base64);
  const shown: string[] = [];
  let bytes = 0;
  for (const key of all) {
    bytes += key.length + 2;
    if (bytes > MAX_KEY_LIST_BYTES) break;
    shown.push(key);
  }
  const isWhole = shown.length === all.length;
  const message = isWhole
    ? ''
    : `truncated key list response, showing first ${shown.length} of ${all.length} keys`;
  return { isDone: true, message, keys: shown, primaryKey: base64(primary) };
}
