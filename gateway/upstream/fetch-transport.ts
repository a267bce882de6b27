/** The transport over `fetch`: Cloudflare Workers and other Web runtimes. */

import type { Clock } from '../../shared/env.ts';
import { type Answer, EMPTY, type RequestBody } from '../exchange/exchange.ts';
import { joined } from '../exchange/web-exchange.ts';
import { allHeaders, type Transport, UpstreamError, type UpstreamRequest } from './transport.ts';

export interface FetchTransportOptions {
  /** Largest answer that is collected, bytes. */
  readonly answerLimitBytes: number;
  readonly clock: Clock;
  /** The runtime's own unless a test brings another. */
  readonly fetch?: typeof fetch;
}

/**
 * `fetch` doesn't say how far a request got, so every failure counts as sent ('broken'), except where the runtime
 * names a refused connection. Fewer writes can be retried than on Node; none is retried wrongly.
 */
export function createFetchTransport(options: FetchTransportOptions): Transport {
  const call = options.fetch ?? ((input: string, init: RequestInit) => fetch(input, init));
  return {
    send: async (baseUrl, request) => {
      const attempt = startAttempt(request, options.clock);
      try {
        const response = await call(baseUrl + request.target, requestInit(request, attempt.signal));
        if (request.delivery === 'stream') return streamed(response);
        return await collected(response, options.answerLimitBytes);
      } catch (error) {
        throw attempt.failure() ?? classify(error);
      } finally {
        attempt.end();
      }
    },
    forget: () => undefined,
    close: () => Promise.resolve(),
  };
}

interface Attempt {
  readonly signal: AbortSignal;
  failure(): UpstreamError | undefined;
  end(): void;
}

function startAttempt(request: UpstreamRequest, clock: Clock): Attempt {
  const controller = new AbortController();
  let failure: UpstreamError | undefined;
  const abort = (reason: UpstreamError) => {
    failure ??= reason;
    controller.abort(reason);
  };
  request.onStart?.(abort);
  const timer =
    request.timeoutMs === 0
      ? undefined
      : clock.setTimer(request.timeoutMs, () => abort(new UpstreamError('timeout', 'no answer in time')));
  return { signal: controller.signal, failure: () => failure, end: () => timer?.cancel() };
}

function requestInit(request: UpstreamRequest, signal: AbortSignal): RequestInit {
  const headers = new Headers();
  const sent = allHeaders(request);
  for (let i = 0; i < sent.length; i += 2) headers.append(sent[i] as string, sent[i + 1] as string);
  const init: RequestInit = { method: request.method, headers, redirect: 'manual', signal };
  const body = bodyOf(request.body);
  return body === null ? init : { ...init, body };
}

function bodyOf(body: RequestBody): BodyInit | null {
  if (body.kind === 'none') return null;
  // TypeScript's lib keeps ArrayBuffer and SharedArrayBuffer apart; no body here is ever shared memory.
  if (body.kind === 'bytes') return body.bytes as BodyInit;
  return streamOf(body.chunks);
}

function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream({
    pull: async (sink) => {
      const part = await iterator.next();
      if (part.done) sink.close();
      else sink.enqueue(part.value);
    },
    cancel: async () => {
      await iterator.return?.();
    },
  });
}

/** `fetch` has undone the transfer encoding and, on Workers, compresses again what says it is compressed. */
function headersOf(response: Response): string[] {
  const list: string[] = [];
  response.headers.forEach((value, name) => {
    if (name !== 'content-length' || response.headers.get('content-encoding') === null)
      list.push(name, value);
  });
  return list;
}

function streamed(response: Response): Answer {
  const head = { status: response.status, headers: headersOf(response) };
  return response.body === null ? { ...head, body: EMPTY } : { ...head, body: response.body };
}

async function collected(response: Response, limitBytes: number): Promise<Answer> {
  if (response.body === null) return streamed(response);
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size <= limitBytes) {
    const { done, value } = await reader.read();
    if (done) return { status: response.status, headers: headersOf(response), body: joined(chunks, size) };
    chunks.push(value);
    size += value.length;
  }
  return { status: response.status, headers: headersOf(response), body: continued(chunks, reader) };
}

function continued(
  head: readonly Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    pull: async (sink) => {
      const kept = head[sent++];
      if (kept !== undefined) return sink.enqueue(kept);
      const { done, value } = await reader.read();
      if (done) sink.close();
      else sink.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

function classify(error: unknown): UpstreamError {
  const text = error instanceof Error ? causeChain(error) : String(error);
  const isRefused = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|connection refused/i.test(text);
  return new UpstreamError(isRefused ? 'not-sent' : 'broken', text, error);
}

function causeChain(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${causeChain(error.cause)}` : '';
  const code = 'code' in error ? ` (${String(error.code)})` : '';
  return `${error.message}${code}${cause}`;
}
