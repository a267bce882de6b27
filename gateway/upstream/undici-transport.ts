/** The transport on Node: undici's dispatcher with keep-alive pools, raw headers in and out, no Request or Response. */

import { Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import { type Answer, EMPTY, type RequestBody } from '../exchange/exchange.ts';
import { joined } from '../exchange/web-exchange.ts';
import { allHeaders, type Transport, UpstreamError, type UpstreamRequest } from './transport.ts';

export interface UndiciTransportOptions {
  /** Connections per agent for short requests, ≥ 1. */
  readonly maxConnections: number;
  /** Connections per agent for waits and streams, ≥ 1. */
  readonly maxWaits: number;
  /** Largest answer that is collected, bytes. */
  readonly answerLimitBytes: number;
  /** Largest header block of an answer, bytes. */
  readonly maxHeaderBytes: number;
  /** Milliseconds to open a connection. */
  readonly connectTimeoutMs: number;
}

interface AgentPools {
  /** Short requests have their own connections, so that waits can never starve them. */
  readonly short: Pool;
  readonly waits: Pool;
}

/** Unread bytes that a stream may hold before the agent is told to pause. */
const STREAM_BUFFER_BYTES = 256 * 1024;

export function createUndiciTransport(options: UndiciTransportOptions): Transport {
  const agents = new Map<string, AgentPools>();
  const open = (baseUrl: string, connections: number) =>
    new Pool(baseUrl, {
      connections,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 30_000,
      maxHeaderSize: options.maxHeaderBytes,
      connect: { timeout: options.connectTimeoutMs },
    });
  const poolsOf = (baseUrl: string): AgentPools => {
    const known = agents.get(baseUrl);
    if (known !== undefined) return known;
    const pools = { short: open(baseUrl, options.maxConnections), waits: open(baseUrl, options.maxWaits) };
    agents.set(baseUrl, pools);
    return pools;
  };
  return {
    send: (baseUrl, request) =>
      new Promise((resolve, reject) => {
        const { short, waits } = poolsOf(baseUrl);
        const handler = new AnswerHandler(request, options.answerLimitBytes, resolve, reject);
        dispatch(request.isWait ? waits : short, request, handler);
      }),
    forget: (baseUrl) => {
      const pools = agents.get(baseUrl);
      agents.delete(baseUrl);
      for (const pool of pools === undefined ? [] : [pools.short, pools.waits]) void pool.close();
    },
    close: async () => {
      const all = [...agents.values()].flatMap(({ short, waits }) => [short, waits]);
      agents.clear();
      await Promise.all(all.map((pool) => pool.destroy()));
    },
  };
}

function dispatch(pool: Pool, request: UpstreamRequest, handler: AnswerHandler): void {
  try {
    pool.dispatch(
      {
        method: request.method,
        path: request.target,
        headers: allHeaders(request) as string[],
        body: bodyOf(request.body),
        headersTimeout: request.timeoutMs,
      },
      handler,
    );
  } catch (error) {
    handler.refuse(error);
  }
}

function bodyOf(body: RequestBody): Uint8Array | Readable | null {
  if (body.kind === 'none') return null;
  if (body.kind === 'bytes') return body.isChunked ? Readable.from([body.bytes]) : body.bytes;
  return Readable.from(body.chunks, { objectMode: false });
}

type Collecting =
  | { readonly stage: 'head' }
  | { readonly stage: 'whole'; readonly chunks: Uint8Array[]; size: number }
  | { readonly stage: 'stream'; readonly sink: ReadableStreamDefaultController<Uint8Array> }
  | { readonly stage: 'done' };

/**
 * Follows one request through undici's callbacks.
 * Invariant: the promise is settled exactly once, when the stage leaves 'head' or 'whole'.
 */
class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #request: UpstreamRequest;
  readonly #limitBytes: number;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: UpstreamError) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #abandoned: UpstreamError | undefined;
  #status = 0;
  #headers: string[] = [];
  #collecting: Collecting = { stage: 'head' };

  constructor(
    request: UpstreamRequest,
    limitBytes: number,
    resolve: (answer: Answer) => void,
    reject: (error: UpstreamError) => void,
  ) {
    this.#request = request;
    this.#limitBytes = limitBytes;
    this.#resolve = resolve;
    this.#reject = reject;
    request.onStart?.((reason) => this.#abandon(reason));
  }

  /** The dispatcher would not take the request at all. */
  refuse(error: unknown): void {
    this.#fail(new UpstreamError('not-sent', messageOf(error), error));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#abandoned !== undefined) controller.abort(this.#abandoned);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = decodeHeaders(controller.rawHeaders);
    if (this.#request.delivery === 'stream') this.#beginStream([]);
    else this.#collecting = { stage: 'whole', chunks: [], size: 0 };
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    const now = this.#collecting;
    if (now.stage === 'stream') {
      now.sink.enqueue(chunk);
      if ((now.sink.desiredSize ?? 0) <= 0) controller.pause();
    } else if (now.stage === 'whole') {
      now.chunks.push(chunk);
      now.size += chunk.length;
      if (now.size > this.#limitBytes) this.#beginStream(now.chunks);
    }
  }

  onResponseEnd(): void {
    const now = this.#collecting;
    this.#collecting = { stage: 'done' };
    if (now.stage === 'stream') now.sink.close();
    else if (now.stage === 'whole')
      this.#resolve({
        status: this.#status,
        headers: this.#headers,
        body: now.size === 0 ? EMPTY : joined(now.chunks, now.size),
      });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(this.#abandoned ?? classify(error, this.#controller !== undefined));
  }

  #abandon(reason: UpstreamError): void {
    if (this.#collecting.stage === 'done') return;
    this.#abandoned = reason;
    if (this.#controller !== undefined) this.#controller.abort(reason);
    // Still queued: the caller is told now, and undici is stopped when the request would start.
    else this.#fail(reason);
  }

  #fail(error: UpstreamError): void {
    const now = this.#collecting;
    this.#collecting = { stage: 'done' };
    if (now.stage === 'stream') now.sink.error(error);
    else if (now.stage !== 'done') this.#reject(error);
  }

  #beginStream(head: readonly Uint8Array[]): void {
    const body = new ReadableStream<Uint8Array>(
      {
        start: (sink) => {
          this.#collecting = { stage: 'stream', sink };
          for (const chunk of head) sink.enqueue(chunk);
        },
        pull: () => this.#controller?.resume(),
        cancel: () => {
          this.#collecting = { stage: 'done' };
          this.#controller?.abort(new UpstreamError('abandoned', 'the client went away'));
        },
      },
      { highWaterMark: STREAM_BUFFER_BYTES, size: (chunk) => chunk?.length ?? 0 },
    );
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }
}

/** Header names and values are bytes; latin1 keeps each as it is. */
function decodeHeaders(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')));
}

function classify(error: Error, wasSent: boolean): UpstreamError {
  const code = 'code' in error ? error.code : undefined;
  if (!wasSent) return new UpstreamError('not-sent', messageOf(error), error);
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT')
    return new UpstreamError('timeout', messageOf(error), error);
  return new UpstreamError('broken', messageOf(error), error);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A refused connection to a name with several addresses has its text only in the parts.
  if (error.message === '' && error instanceof AggregateError) return error.errors.map(messageOf).join(', ');
  return error.message;
}
