/** The few ways of calling from which all methods of the client are made. */

import type { Env } from '../env.ts';
import { renderJson } from '../json.ts';
import {
  type Answer,
  jsonAnswer,
  type Query,
  type RawAnswer,
  type ReadOptions,
  type RequestInput,
  type Transport,
  type WriteOptions,
} from './transport.ts';
import { type WatchOptions, watch } from './watch.ts';

export interface Calls {
  /** A read with its index. */
  read<T>(path: string, query?: Query, options?: ReadOptions): Promise<Answer<T>>;
  /** A read that is followed. */
  watch<T>(path: string, query?: Query, options?: WatchOptions): AsyncGenerator<Answer<T>, void, void>;
  /** Sends JSON, or nothing, and decodes what comes back. */
  write<T>(
    method: 'PUT' | 'POST' | 'DELETE',
    path: string,
    query?: Query,
    body?: unknown,
    options?: WriteOptions,
  ): Promise<T>;
  send(input: RequestInput): Promise<RawAnswer>;
  readonly stream: Transport['stream'];
  readonly env: Env;
}

export function createCalls(transport: Transport, env: Env): Calls {
  const read = async <T>(path: string, query: Query = {}, options: ReadOptions = {}) =>
    jsonAnswer<T>(await transport.send({ method: 'GET', path, query, options }));
  return {
    read,
    watch: <T>(path: string, query: Query = {}, options: WatchOptions = {}) =>
      watch((each) => read<T>(path, query, each), options, env),
    write: async <T>(
      method: 'PUT' | 'POST' | 'DELETE',
      path: string,
      query: Query = {},
      body?: unknown,
      options: WriteOptions = {},
    ) => {
      const json = body === undefined ? undefined : renderJson(body, false);
      return jsonAnswer<T>(await transport.send({ method, path, query, body: json, options })).value;
    },
    send: (input) => transport.send(input),
    stream: (input) => transport.stream(input),
    env,
  };
}

/** One part of a path. @throws RangeError when it is empty or cannot be written as a part of a path */
export function part(text: string): string {
  if (text === '' || text === '.' || text === '..')
    throw new RangeError(`not a name: ${JSON.stringify(text)}`);
  return encodeURIComponent(text);
}
