/** One request over a multiplexed connection, from the promise of its answer to the last byte of it. */

import { MAX_BODY_BYTES, WINDOW_BYTES } from '../../shared/mux/frames.ts';
import { type Answer, EMPTY, type HeaderList } from '../exchange/exchange.ts';
import { joined } from '../exchange/web-exchange.ts';
import type { MuxConnection } from './mux-connection.ts';
import { type Transport, UpstreamError, type UpstreamRequest } from './transport.ts';

/** Unread bytes that a streamed answer may hold before the agent is left to wait. */
const STREAM_BUFFER_BYTES = WINDOW_BYTES;
/** The window is widened when this much of it is used up, not for every frame. */
const GRANT_FROM_BYTES = WINDOW_BYTES / 2;

type Collecting =
  | { readonly stage: 'head' }
  | { readonly stage: 'whole'; readonly chunks: Uint8Array[]; size: number }
  | { readonly stage: 'stream'; readonly sink: ReadableStreamDefaultController<Uint8Array> }
  | { readonly stage: 'done' };

const HEAD: Collecting = { stage: 'head' };
const DONE: Collecting = { stage: 'done' };

/** Invariant: the promise is settled exactly once, when the stage leaves 'head' or 'whole'. */
export class MuxStream {
  readonly request: UpstreamRequest;
  readonly #deadlineMs: number;
  readonly #limitBytes: number;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: UpstreamError) => void;
  #connection: MuxConnection | undefined;
  #id = 0;
  #collecting: Collecting = HEAD;
  #status = 0;
  #headers: HeaderList = [];
  #owedBytes = 0;
  #windowBytes = WINDOW_BYTES;
  #onWindow: (() => void) | undefined;
  #isBodyStopped = false;
  #abortElsewhere: ((reason: UpstreamError) => void) | undefined;

  /** @param deadlineMs by when the answer must have begun, on the monotonic clock; Infinity: whenever */
  constructor(
    request: UpstreamRequest,
    deadlineMs: number,
    limitBytes: number,
    resolve: (answer: Answer) => void,
    reject: (error: UpstreamError) => void,
  ) {
    this.request = request;
    this.#deadlineMs = deadlineMs;
    this.#limitBytes = limitBytes;
    this.#resolve = resolve;
    this.#reject = reject;
    request.onStart?.((reason) => this.abandon(reason));
  }

  get isDone(): boolean {
    return this.#collecting === DONE;
  }

  opened(id: number, connection: MuxConnection): void {
    this.#id = id;
    this.#connection = connection;
  }

  abandon(reason: UpstreamError): void {
    if (this.#collecting === DONE) return;
    if (this.#abortElsewhere !== undefined) {
      this.#abortElsewhere(reason);
      return;
    }
    this.#connection?.cancel(this.#id);
    this.fail(reason);
  }

  /** The agent turned out to speak HTTP only. */
  handOver(transport: Transport, baseUrl: string): void {
    const onStart = (abort: (reason: UpstreamError) => void) => {
      this.#abortElsewhere = abort;
    };
    transport.send(baseUrl, { ...this.request, onStart }).then(
      (answer) => {
        this.#collecting = DONE;
        this.#resolve(answer);
      },
      (error: UpstreamError) => this.fail(error),
    );
  }

  fail(error: UpstreamError): void {
    const now = this.#collecting;
    this.#collecting = DONE;
    this.stopBody();
    if (now.stage === 'stream') now.sink.error(error);
    else if (now.stage !== 'done') this.#reject(error);
  }

  checkDeadline(nowMs: number): void {
    if (nowMs >= this.#deadlineMs && this.#collecting === HEAD)
      this.abandon(new UpstreamError('timeout', 'no answer in time'));
  }

  respond(status: number, headers: HeaderList, body: Uint8Array, isEnd: boolean): void {
    if (this.#collecting !== HEAD) return;
    if (isEnd) {
      this.#collecting = DONE;
      this.stopBody();
      this.#resolve({ status, headers, body });
      return;
    }
    this.#status = status;
    this.#headers = headers;
    if (this.request.delivery === 'stream') this.#beginStream(body.length === 0 ? [] : [body]);
    else this.#collecting = { stage: 'whole', chunks: [body], size: body.length };
  }

  receive(bytes: Uint8Array, isEnd: boolean): void {
    const now = this.#collecting;
    if (now.stage === 'stream') {
      if (bytes.length > 0) now.sink.enqueue(bytes);
      this.#owedBytes += bytes.length;
      if (isEnd) this.#endStream(now.sink);
      else if ((now.sink.desiredSize ?? 0) > 0) this.#grant();
    } else if (now.stage === 'whole') {
      now.chunks.push(bytes);
      now.size += bytes.length;
      this.#owedBytes += bytes.length;
      if (isEnd) this.#endWhole(now.chunks, now.size);
      else if (now.size > this.#limitBytes) this.#beginStream(now.chunks);
      else this.#grant();
    }
  }

  /** Sends the body piece by piece, as far as the agent is ready for it. */
  sendBody(): void {
    const { body } = this.request;
    const chunks = body.kind === 'stream' ? body.chunks : body.kind === 'bytes' ? [body.bytes] : [];
    this.#pumpBody(chunks).catch((error: unknown) => {
      this.abandon(
        new UpstreamError('broken', error instanceof Error ? error.message : String(error), error),
      );
    });
  }

  stopBody(): void {
    this.#isBodyStopped = true;
    this.#onWindow?.();
  }

  widen(bytes: number): void {
    this.#windowBytes += bytes;
    this.#onWindow?.();
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  async #pumpBody(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        if (this.#windowBytes === 0 && !this.#isBodyStopped) await this.#window();
        if (this.#isBodyStopped) return;
        const size = Math.min(chunk.length - at, this.#windowBytes, MAX_BODY_BYTES);
        this.#windowBytes -= size;
        this.#connection?.data(this.#id, false, chunk.subarray(at, at + size));
        at += size;
      }
    }
    if (!this.#isBodyStopped) this.#connection?.data(this.#id, true, EMPTY);
  }

  #window(): Promise<void> {
    return new Promise((resolve) => {
      this.#onWindow = () => {
        this.#onWindow = undefined;
        resolve();
      };
    });
  }

  #grant(): void {
    if (this.#owedBytes < GRANT_FROM_BYTES) return;
    this.#connection?.grant(this.#id, this.#owedBytes);
    this.#owedBytes = 0;
  }

  #endWhole(chunks: readonly Uint8Array[], size: number): void {
    this.#collecting = DONE;
    this.stopBody();
    const body = size === 0 ? EMPTY : joined(chunks, size);
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }

  #endStream(sink: ReadableStreamDefaultController<Uint8Array>): void {
    this.#collecting = DONE;
    this.stopBody();
    sink.close();
  }

  #beginStream(head: readonly Uint8Array[]): void {
    const body = new ReadableStream<Uint8Array>(
      {
        start: (sink) => {
          this.#collecting = { stage: 'stream', sink };
          for (const chunk of head) sink.enqueue(chunk);
        },
        pull: () => {
          if (this.#collecting !== DONE) this.#grant();
        },
        cancel: () => {
          this.#collecting = DONE;
          this.stopBody();
          this.#connection?.cancel(this.#id);
        },
      },
      { highWaterMark: STREAM_BUFFER_BYTES, size: (chunk) => chunk?.length ?? 0 },
    );
    this.#resolve({ status: this.#status, headers: this.#headers, body });
  }
}
