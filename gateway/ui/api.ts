/** Requests to the agent's API with the token in use, and its errors in words. */

import type { Clock } from '../../shared/env.ts';

/** An answer with status 200 or 404: both say something about the thing asked for. */
export interface ApiAnswer {
  readonly isFound: boolean;
  readonly text: string;
  /** X-Consul-Index; undefined where the endpoint doesn't block. */
  readonly index: number | undefined;
  /** False only when the agent says so. */
  readonly isLeaderKnown: boolean;
}

/** What the API refused or failed to do. `message` is the server's own text, `status` 0 when there was no answer. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface ApiRequest {
  readonly method?: 'GET' | 'PUT' | 'DELETE';
  /** From the host's root, escaped: `/v1/kv/a%20b`. */
  readonly path: string;
  /** Values are escaped; one that is true stands without a value. */
  readonly query?: Readonly<Record<string, string | number | true | undefined>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
}

/** @throws ApiError; DOMException `AbortError` when the signal fired */
export type CallApi = (request: ApiRequest) => Promise<ApiAnswer>;

/** Longer than any wait asked for, so that a connection that died silently is noticed. */
const SILENCE_LIMIT_MS = 90_000;

export function createApi(token: () => string, clock: Clock): CallApi {
  return async ({ method = 'GET', path, query = {}, body, signal }) => {
    const silence = new AbortController();
    const timer = clock.setTimer(SILENCE_LIMIT_MS, () => silence.abort());
    const stop = () => silence.abort();
    signal?.addEventListener('abort', stop);
    try {
      const response = await fetch(path + queryText(query), {
        method,
        headers: token() === '' ? {} : { 'X-Consul-Token': token() },
        body: body ?? null,
        cache: 'no-store',
        // A redirect means that the path named something else than what was asked for.
        redirect: 'error',
        signal: silence.signal,
      });
      const text = await response.text();
      if (!response.ok && response.status !== 404) throw new ApiError(response.status, text.trim());
      return {
        isFound: response.ok,
        text,
        index: indexOf(response.headers.get('X-Consul-Index')),
        isLeaderKnown: response.headers.get('X-Consul-KnownLeader') !== 'false',
      };
    } catch (error) {
      if (error instanceof ApiError || signal?.aborted === true) throw error;
      throw new ApiError(0, error instanceof Error ? error.message : String(error));
    } finally {
      timer.cancel();
      signal?.removeEventListener('abort', stop);
    }
  };
}

/** `?dc=dc1&keys`, empty without parameters. */
export function queryText(query: Readonly<Record<string, string | number | true | undefined>>): string {
  const parts = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => (value === true ? name : `${name}=${encodeURIComponent(String(value))}`));
  return parts.length === 0 ? '' : `?${parts.join('&')}`;
}

/** @throws ApiError when the text isn't JSON, such as the page of some proxy in between */
export function parseJson({ text, isFound }: ApiAnswer): unknown {
  if (!isFound) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(502, 'The answer is not JSON.');
  }
}

export interface Explanation {
  readonly title: string;
  readonly advice: string;
  /** A token with more rights may help. */
  readonly isAboutToken: boolean;
}

/** A failure as a person can use it. */
export function explain(error: ApiError): Explanation {
  const { status, message } = error;
  if (status === 0)
    return plain('No answer', 'The agent cannot be reached from this browser. Is it running?');
  if (/ACL not found/i.test(message))
    return aboutToken('The token is not known', 'It may have been deleted or mistyped.');
  if (status === 403 || status === 401)
    return aboutToken('Permission denied', 'Set a token that may see or do this.');
  if (/no cluster leader/i.test(message))
    return plain('No cluster leader', 'The servers have not elected a leader.');
  if (status === 429 || status === 503) return plain('The agent is busy', 'It refuses requests for now.');
  if (status === 413) return plain('Too large', 'The agent does not take values of this size.');
  return plain(`The agent answered with an error (${status})`, '');
}

function plain(title: string, advice: string): Explanation {
  return { title, advice, isAboutToken: false };
}

function aboutToken(title: string, advice: string): Explanation {
  return { title, advice, isAboutToken: true };
}

function indexOf(header: string | null): number | undefined {
  const index = Number(header);
  return header !== null && Number.isSafeInteger(index) && index > 0 ? index : undefined;
}
