/** One request of the client: its URL, its deadline, its answer with what Consul says about it, its refusal as an error. */

import type { Clock } from '../env.ts';
import { parseUint64Json } from '../uint64-json.ts';

/** `undefined` is left out, `true` is sent without a value, a list repeats the parameter. */
export type QueryValue = string | number | bigint | boolean | readonly string[] | undefined;
export type Query = Readonly<Record<string, QueryValue>>;

/** How a read may be answered. */
export interface ReadOptions {
  /** `stale`: any server answers. `consistent`: the leader makes sure that it still leads. */
  readonly consistency?: 'default' | 'stale' | 'consistent';
  /** Another datacenter than that of the client. */
  readonly datacenter?: string;
  /** `index` of the last answer: waits until there is something newer. 0 and undefined don't wait. */
  readonly index?: bigint | undefined;
  /** How long to wait for news, > 0; 5 minutes if not given, and at most 10. */
  readonly waitMs?: number | undefined;
  /** Ends the request. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a write. */
export type WriteOptions = Pick<ReadOptions, 'datacenter' | 'signal'>;

export interface Answer<T> {
  readonly value: T;
  /** For `index` of the next read; 0n where the endpoint gives none. May be smaller than that of an earlier answer. */
  readonly index: bigint;
  /** Whether the server that answered knows a leader; true where the endpoint doesn't say. */
  readonly hasLeader: boolean;
  /** Milliseconds since that server heard from the leader. */
  readonly lastContactMs: number;
}

/** An answer that says no. `message` names the request and holds the text of the answer. */
export class RequestError extends Error {
  /** HTTP status; 0 for a redirect in browsers, which don't show it. */
  readonly status: number;
  /** The text that Consul gave as its reason. */
  readonly reason: string;

  constructor(request: string, status: number, reason: string) {
    super(`${request}: ${status} ${reason}`);
    this.name = 'RequestError';
    this.status = status;
    this.reason = reason;
  }
}

export interface TransportOptions {
  /** Without a slash at the end. */
  readonly address: string;
  readonly token: string | undefined;
  readonly datacenter: string | undefined;
  readonly timeoutMs: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
}

export interface RequestInput {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** From `/v1/` on, parts already escaped. */
  readonly path: string;
  readonly query?: Query;
  readonly body?: string | Uint8Array | undefined;
  readonly options?: ReadOptions | undefined;
  /** Statuses besides 200 that are an answer too. */
  readonly accept?: readonly number[];
}

/** The body as text with its status, or as bytes. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

export interface Transport {
  /** @throws RequestError when the answer says no, TimeoutError (DOMException) when none came in time, what `fetch` throws otherwise */
  send(input: RequestInput): Promise<RawAnswer>;
  /** A GET whose body is read as it comes; its headers must come in time, the rest may take forever. @throws as `send` */
  stream(input: Pick<RequestInput, 'path' | 'query' | 'options'>): Promise<ReadableStream<Uint8Array>>;
}

const DEFAULT_WAIT_MS = 300_000;

export function createTransport(settings: TransportOptions): Transport {
  return {
    async send(input) {
      const { method, path, options = {}, accept = [] } = input;
      const deadline = startDeadline(settings, options);
      try {
        const response = await settings.fetch(urlOf(settings, input), {
          method,
          // A redirect means that the path can't be written so. Followed, a write would change another key.
          redirect: 'manual',
          headers: settings.token === undefined ? {} : { 'X-Consul-Token': settings.token },
          signal: deadline.signal,
          ...(input.body === undefined ? {} : { body: input.body as BodyInit }),
        });
        const bytes = new Uint8Array(await response.arrayBuffer());
        const { status, headers } = response;
        if (status !== 200 && !accept.includes(status))
          throw new RequestError(`${method} ${path}`, status, textOf(bytes));
        return { status, headers, bytes };
      } finally {
        deadline.end();
      }
    },
    async stream(input) {
      const { path, options = {} } = input;
      const deadline = startDeadline(settings, options);
      try {
        const { status, body } = await get(settings, input, deadline.signal);
        if (status === 200 && body !== null) return body;
        throw new RequestError(`GET ${path}`, status, body === null ? '' : await new Response(body).text());
      } finally {
        deadline.end();
      }
    },
  };
}

async function get(
  settings: TransportOptions,
  input: Pick<RequestInput, 'path' | 'query' | 'options'>,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: ReadableStream<Uint8Array> | null }> {
  const headers = settings.token === undefined ? {} : { 'X-Consul-Token': settings.token };
  const url = urlOf(settings, { method: 'GET', ...input });
  const { status, body } = await settings.fetch(url, { redirect: 'manual', headers, signal });
  return { status, body };
}

/** Decodes JSON; whole numbers that a double can't hold come as bigint. */
export function jsonAnswer<T>({ headers, bytes }: RawAnswer): Answer<T> {
  const index = headers.get('x-consul-index') ?? '';
  return {
    // What the API answers is described by the types; agents are held to them by their own tests.
    value: (bytes.length === 0 ? undefined : parseUint64Json(textOf(bytes))) as T,
    index: /^\d+$/.test(index) ? BigInt(index) : 0n,
    hasLeader: headers.get('x-consul-knownleader') !== 'false',
    lastContactMs: Number(headers.get('x-consul-lastcontact') ?? 0),
  };
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function urlOf(
  { address, datacenter }: TransportOptions,
  { path, query = {}, options = {} }: RequestInput,
): string {
  const { consistency = 'default', index, waitMs } = options;
  const isWait = index !== undefined && index > 0n;
  const parameters: Query = {
    dc: options.datacenter ?? datacenter,
    stale: consistency === 'stale',
    consistent: consistency === 'consistent',
    index: isWait ? index : undefined,
    wait: isWait && waitMs !== undefined ? `${Math.max(1, Math.round(waitMs))}ms` : undefined,
    ...query,
  };
  const pairs = Object.entries(parameters).flatMap(([name, value]) => pairsOf(name, value));
  return `${address}${path}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`;
}

function pairsOf(name: string, value: QueryValue): string[] {
  if (value === undefined || value === false) return [];
  if (value === true) return [name];
  const values = typeof value === 'object' ? value : [String(value)];
  return values.map((each) => `${name}=${encodeURIComponent(each)}`);
}

/** Waits get their time on top, with the sixteenth that servers add to spread them. */
function startDeadline({ timeoutMs, clock }: TransportOptions, { index = 0n, waitMs, signal }: ReadOptions) {
  const waitsMs = index > 0n ? (waitMs ?? DEFAULT_WAIT_MS) * (17 / 16) : 0;
  const controller = new AbortController();
  const timer = clock.setTimer(timeoutMs + waitsMs, () =>
    controller.abort(new DOMException('no answer in time', 'TimeoutError')),
  );
  return {
    signal: signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]),
    end: () => timer.cancel(),
  };
}
