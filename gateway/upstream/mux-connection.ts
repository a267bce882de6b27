/** One multiplexed connection to an agent, gateway's end: requests out, answers back, and word of its death. */

import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../shared/env.ts';
import { FrameReader, type FrameSink } from '../../shared/mux/frame-reader.ts';
import { FrameWriter } from '../../shared/mux/frame-writer.ts';
import {
  HeaderLists,
  headText,
  MAX_BODY_BYTES,
  MAX_WINDOW_BYTES,
  MuxProtocolError,
  RESET,
} from '../../shared/mux/frames.ts';
import { REQUEST_ID_HEADER } from '../../shared/request-id.ts';
import type { HeaderList, RequestBody } from '../exchange/exchange.ts';
import type { MuxStream } from './mux-stream.ts';
import { UpstreamError } from './transport.ts';

export interface MuxConnectionOptions {
  readonly socket: Duplex;
  readonly clock: Clock;
  /** Requests after which it takes no more: stream numbers are never used again, and there are only so many. */
  readonly maxRequests: number;
  /** It takes no more requests: it is closed, or the agent is about to end. May be called twice. */
  readonly onRetired: () => void;
}

/** Answers differ by their index at least: enough for a few thousand hot objects. */
const MAX_KNOWN_HEADS = 4096;
/** How often deadlines and silence are looked at while requests are open. */
const TICK_MS = 100;
/** An agent that has said nothing for so long while requests are open is asked for a sign of life … */
const QUIET_MS = 5000;
/** … and counts as dead when it takes longer than this to give one. */
const PONG_LIMIT_MS = 5000;

/**
 * Invariant: `#streams` has the requests whose answer isn't complete; those in `#unsent` are written at the end of this
 * turn of the event loop and have not left the process.
 */
export class MuxConnection implements FrameSink {
  readonly #options: MuxConnectionOptions;
  readonly #reader = new FrameReader(this);
  readonly #writer = new FrameWriter();
  readonly #lists = new HeaderLists(MAX_KNOWN_HEADS);
  readonly #streams = new Map<number, MuxStream>();
  #unsent: MuxStream[] = [];
  #lastStream = 0;
  /** What the agent allows; nothing is known before its hello, which is the first thing it says. */
  #maxStreams = 1;
  #isRetired = false;
  #isFlushing = false;
  #heardMs: number;
  #pingedMs: number | undefined;
  #ticking: Timer | undefined;
  readonly #sentHeads = new WeakMap<HeaderList, string>();

  constructor(options: MuxConnectionOptions, firstBytes: Buffer) {
    this.#options = options;
    this.#heardMs = options.clock.monotonicMs();
    const { socket } = options;
    let reason = 'the agent closed the connection';
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => socket.destroy());
    socket.on('error', (error: Error) => {
      reason = error.message;
      socket.destroy();
    });
    socket.on('close', () => this.#closed(reason));
    if (firstBytes.length > 0) this.#receive(firstBytes);
  }

  get isUsable(): boolean {
    return !this.#isRetired;
  }

  get maxStreams(): number {
    return this.#maxStreams;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** Sends a request, or fails the stream when that is not possible. */
  open(stream: MuxStream): void {
    if (this.#isRetired || this.#streams.size >= this.#maxStreams) {
      const why = this.#isRetired
        ? 'the agent is about to end'
        : 'the agent has too many requests in progress';
      stream.fail(new UpstreamError('not-sent', why));
      return;
    }
    const { method, target, headers, requestId, body } = stream.request;
    const isWhole = body.kind !== 'stream' && (body.kind === 'none' || body.bytes.length <= MAX_BODY_BYTES);
    const id = ++this.#lastStream;
    try {
      const head = `${headText([method, target], NO_HEADERS)}${this.#headersText(headers)}${numbering(requestId)}${framing(body)}`;
      this.#frames().request(id, isWhole, head, isWhole && body.kind === 'bytes' ? body.bytes : undefined);
    } catch (error) {
      stream.fail(
        new UpstreamError('not-sent', error instanceof Error ? error.message : String(error), error),
      );
      return;
    }
    this.#streams.set(id, stream);
    this.#unsent.push(stream);
    stream.opened(id, this);
    if (this.#ticking === undefined) this.#tick();
    if (!isWhole) stream.sendBody();
    if (id >= this.#options.maxRequests) this.retire();
  }

  /** More of a request's body. */
  data(id: number, isEnd: boolean, bytes: Uint8Array): void {
    this.#frames().data(id, isEnd, bytes);
  }

  /** The stream is ready for more of its answer. */
  grant(id: number, bytes: number): void {
    this.#frames().window(id, bytes);
  }

  /** The answer is complete. */
  forget(id: number): void {
    this.#streams.delete(id);
    if (this.#isRetired && this.#streams.size === 0) this.#options.socket.end();
  }

  /** The answer is not wanted any more. */
  cancel(id: number): void {
    if (!this.#streams.delete(id)) return;
    this.#frames().reset(id, RESET.cancelled);
    if (this.#isRetired && this.#streams.size === 0) setImmediate(() => this.#options.socket.end());
  }

  /** No new requests; closes when the last answer is complete. */
  retire(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    this.#options.onRetired();
    if (this.#streams.size === 0) this.#options.socket.end();
  }

  destroy(): void {
    this.#options.socket.destroy();
  }

  onHello(maxStreams: number): void {
    this.#maxStreams = maxStreams;
  }

  onResponse(id: number, isEnd: boolean, status: number, head: string, body: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    const headers = this.#lists.parse(head);
    if (isEnd) this.forget(id);
    stream.respond(status, headers, body, isEnd);
  }

  onData(id: number, isEnd: boolean, bytes: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (isEnd) this.forget(id);
    stream.receive(bytes, isEnd);
  }

  onWindow(id: number, bytes: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (stream.windowBytes + bytes > MAX_WINDOW_BYTES) throw new MuxProtocolError('a window without bounds');
    stream.widen(bytes);
  }

  onReset(id: number, reason: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (reason === RESET.cancelled) {
      // The answer comes or came without the rest of the request's body.
      stream.stopBody();
      return;
    }
    this.forget(id);
    stream.fail(
      reason === RESET.refused
        ? new UpstreamError('not-sent', 'the agent took no more requests')
        : new UpstreamError('broken', 'the agent broke its answer off'),
    );
  }

  onPong(): void {
    this.#pingedMs = undefined;
  }

  onGoaway(lastStream: number): void {
    const refused = [...this.#streams].filter(([id]) => id > lastStream);
    for (const [id, stream] of refused) {
      this.#streams.delete(id);
      stream.fail(new UpstreamError('not-sent', 'the agent is about to end'));
    }
    this.retire();
  }

  onRequest(): void {
    throw new MuxProtocolError('a request from an agent');
  }

  onPing(): void {
    throw new MuxProtocolError('a ping from an agent');
  }

  /** Lists repeat, because the heads that they come from do. Checked for what could pass as another header. */
  #headersText(headers: HeaderList): string {
    if (headers.length === 0) return '';
    const known = this.#sentHeads.get(headers);
    if (known !== undefined) return known;
    const text = `\n${headText(NO_HEADERS, headers)}`;
    this.#sentHeads.set(headers, text);
    return text;
  }

  #frames(): FrameWriter {
    if (!this.#isFlushing) {
      this.#isFlushing = true;
      setImmediate(() => this.#flush());
    }
    return this.#writer;
  }

  /** Everything that this turn of the event loop had to say, in one write. */
  #flush(): void {
    this.#isFlushing = false;
    const { socket } = this.#options;
    if (socket.destroyed) return;
    const pieces = this.#writer.take();
    this.#unsent = [];
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) socket.write(only);
    else {
      socket.cork();
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    }
  }

  #receive(chunk: Buffer): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof MuxProtocolError)) throw error;
      this.#options.socket.destroy(error);
    }
  }

  /** One timer for all requests: deadlines need no more precision than this. */
  #tick(): void {
    this.#ticking = undefined;
    const { clock, socket } = this.#options;
    if (this.#streams.size === 0) {
      this.#pingedMs = undefined;
      return;
    }
    const nowMs = clock.monotonicMs();
    for (const stream of this.#streams.values()) stream.checkDeadline(nowMs);
    if (this.#pingedMs !== undefined && this.#heardMs > this.#pingedMs) this.#pingedMs = undefined;
    if (this.#pingedMs !== undefined) {
      if (nowMs - this.#pingedMs >= PONG_LIMIT_MS) {
        socket.destroy(new UpstreamError('broken', 'the agent gives no sign of life'));
        return;
      }
    } else if (nowMs - this.#heardMs >= QUIET_MS) {
      this.#pingedMs = nowMs;
      this.#frames().ping(1);
    }
    this.#ticking = clock.setTimer(TICK_MS, () => this.#tick());
  }

  #closed(reason: string): void {
    this.#isRetired = true;
    this.#options.onRetired();
    this.#ticking?.cancel();
    const unsent = new Set(this.#unsent);
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    this.#unsent = [];
    for (const stream of streams)
      stream.fail(new UpstreamError(unsent.has(stream) ? 'not-sent' : 'broken', reason));
  }
}

const NO_HEADERS: readonly string[] = [];

/** The gateway's own number: nothing in it has to be checked. */
function numbering(requestId: string | undefined): string {
  return requestId === undefined ? '' : `\n${REQUEST_ID_HEADER}\n${requestId}`;
}

/** How a body would be announced over HTTP, for what agents say about its length. */
function framing(body: RequestBody): string {
  if (body.kind === 'none') return '';
  if (body.kind === 'bytes' && !body.isChunked) return `\nContent-Length\n${body.bytes.length}`;
  if (body.kind === 'stream' && body.length !== undefined) return `\nContent-Length\n${body.length}`;
  return '\nTransfer-Encoding\nchunked';
}
