/** `/v1/kv`: keys and values. */

import type { KvEntry, Uint64 } from '../types/v1.ts';
import type { Calls } from './calls.ts';
import { type Answer, jsonAnswer, type Query, type ReadOptions, type WriteOptions } from './transport.ts';
import { type WatchOptions, watch } from './watch.ts';

export interface PutOptions extends WriteOptions {
  /** Kept with the value, 0 to 2⁶⁴ − 1. */
  readonly flags?: Uint64;
  /** Only if this is still the key's ModifyIndex; 0: only if there is no such key. */
  readonly cas?: Uint64;
  /** Takes the lock on the key for this session. */
  readonly acquire?: string;
  /** Gives the lock back, if this session holds it. */
  readonly release?: string;
}

export interface KvClient {
  /** undefined when there is none. */
  get(key: string, options?: ReadOptions): Promise<KvEntry | undefined>;
  /** The value as text; undefined when there is no such key. */
  text(key: string, options?: ReadOptions): Promise<string | undefined>;
  /** All entries whose key begins with `prefix`, in order of their bytes. */
  list(prefix: string, options?: ReadOptions): Promise<KvEntry[]>;
  /** Their keys; with a separator cut behind its first occurrence after the prefix. */
  keys(prefix: string, separator?: string, options?: ReadOptions): Promise<string[]>;
  /** @returns false when the condition of `options` did not hold */
  put(key: string, value: string | Uint8Array, options?: PutOptions): Promise<boolean>;
  /** @returns false when `cas` is not the key's ModifyIndex any more */
  delete(key: string, options?: WriteOptions & { readonly cas?: Uint64 }): Promise<boolean>;
  /** Deletes every key that begins with `prefix`. */
  deleteAll(prefix: string, options?: WriteOptions): Promise<void>;
  /** undefined as value while there is no such key. */
  watch(key: string, options?: WatchOptions): AsyncGenerator<Answer<KvEntry | undefined>, void, void>;
  watchAll(prefix: string, options?: WatchOptions): AsyncGenerator<Answer<KvEntry[]>, void, void>;
}

export function createKvClient(calls: Calls): KvClient {
  const { env } = calls;
  /** [] when there is nothing, which Consul says by 404. */
  const entries = async <T>(path: string, query: Query, options: ReadOptions = {}): Promise<Answer<T[]>> => {
    const answer = jsonAnswer<T[] | undefined>(
      await calls.send({ method: 'GET', path, query, options, accept: [404] }),
    );
    return { ...answer, value: answer.value ?? [] };
  };
  const one = async (key: string, options?: ReadOptions): Promise<Answer<KvEntry | undefined>> => {
    const answer = await entries<KvEntry>(keyPath(key), {}, options);
    return { ...answer, value: answer.value[0] };
  };
  const all = (prefix: string, options?: ReadOptions) =>
    entries<KvEntry>(prefixPath(prefix), { recurse: true }, options);
  return {
    get: async (key, options) => (await one(key, options)).value,
    text: async (key, options) => {
      const entry = (await one(key, options)).value;
      return entry === undefined ? undefined : valueText(entry);
    },
    list: async (prefix, options) => (await all(prefix, options)).value,
    keys: async (prefix, separator, options) =>
      (await entries<string>(prefixPath(prefix), { keys: true, separator }, options)).value,
    put: async (key, value, { datacenter, signal, ...query } = {}) => {
      const path = keyPath(key);
      const options = writeOptions(datacenter, signal);
      return jsonAnswer<boolean>(await calls.send({ method: 'PUT', path, query, body: value, options }))
        .value;
    },
    delete: (key, { cas, ...options } = {}) =>
      calls.write<boolean>('DELETE', keyPath(key), { cas }, undefined, options),
    deleteAll: async (prefix, options) => {
      await calls.write('DELETE', prefixPath(prefix), { recurse: true }, undefined, options);
    },
    watch: (key, options = {}) => watch((each) => one(key, each), options, env),
    watchAll: (prefix, options = {}) => watch((each) => all(prefix, each), options, env),
  };
}

/** The bytes of a value; none for an empty one. */
export function valueBytes({ Value }: Pick<KvEntry, 'Value'>): Uint8Array {
  return Uint8Array.from(atob(Value ?? ''), (char) => char.charCodeAt(0));
}

/** A value as UTF-8 text. */
export function valueText(entry: Pick<KvEntry, 'Value'>): string {
  return new TextDecoder().decode(valueBytes(entry));
}

function writeOptions(datacenter: string | undefined, signal: AbortSignal | undefined): WriteOptions {
  return { ...(datacenter !== undefined && { datacenter }), ...(signal !== undefined && { signal }) };
}

/** @throws RangeError for an empty key, or one that cannot be written as a path */
function keyPath(key: string): string {
  if (key === '') throw new RangeError('a key has at least one character');
  return prefixPath(key);
}

/** Slashes stay, so that logs and balancers see the parts. `//`, `.` and `..` would be cleaned away on the way. */
function prefixPath(prefix: string): string {
  const parts = prefix.split('/');
  const isClean = parts.every((each, i) =>
    each === '' ? i === parts.length - 1 : each !== '.' && each !== '..',
  );
  if (!isClean) throw new RangeError(`not a key that Consul can be asked for: ${JSON.stringify(prefix)}`);
  return `/v1/kv/${parts.map(encodeURIComponent).join('/')}`;
}
