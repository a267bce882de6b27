/** What is said of one operation, and short ways to say it. */

import type { QueryParameter } from './parameters.ts';
import type { Schema } from './schema.ts';

export type HttpMethod = 'GET' | 'PUT' | 'POST' | 'DELETE';

/** JSON of a schema, or bytes of a media type. */
export type Content = { readonly schema: Schema } | { readonly bytes: string };

export interface Operation {
  /** Unique; the first word is the group. */
  readonly id: string;
  readonly method: HttpMethod;
  /** With `{…}` for what varies. */
  readonly path: string;
  readonly summary: string;
  readonly query: readonly QueryParameter[];
  readonly body: Content | undefined;
  /** undefined: 200 without a body. */
  readonly answer: Content | undefined;
  /** What other statuses mean, where one status is part of the normal use. */
  readonly otherwise?: Readonly<Record<number, string>>;
}

type Extra = Partial<Pick<Operation, 'query' | 'body' | 'otherwise'>>;

export const CONSISTENCY = ['dc', 'stale', 'consistent', 'max_stale'] as const;
/** The parameters that most reads take. */
export const READ = [...CONSISTENCY, 'index', 'wait'] as const;
/** Reads of catalog and health. */
export const DISCOVERY = [...READ, 'filter'] as const;
export const LISTING = [...DISCOVERY, 'near', 'node-meta'] as const;
export const INSTANCES = [...LISTING, 'cached', 'passing'] as const;

export const MISSING = { 404: 'There is none.' };
export const TOKEN_NEEDED = { 401: 'Access control is off.' };

/** A line of the table; without `answer` it is 200 and no body. */
export function operation(method: HttpMethod) {
  return (id: string, path: string, summary: string, answer?: Schema, extra: Extra = {}): Operation => ({
    id,
    method,
    path,
    summary,
    query: [],
    body: undefined,
    answer: answer === undefined ? undefined : { schema: answer },
    ...extra,
  });
}

export const get = operation('GET');
export const put = operation('PUT');
export const post = operation('POST');
export const remove = operation('DELETE');
