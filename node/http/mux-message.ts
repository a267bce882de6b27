/** One request and its answer on a multiplexed connection. */

import { Readable } from 'node:stream';
import type { FrameWriter } from '../../shared/mux/frame-writer.ts';
import { headText, MAX_BODY_BYTES, RESET, WINDOW_BYTES } from '../../shared/mux/frames.ts';
import type { Outgoing } from './message.ts';

/** The connection as its streams use it. */
export interface MuxWire {
  /** Frames to be sent at the end of this turn of the event loop. */
  frames(): FrameWriter;
  /** Whether there is room for so many more bytes, which then count until they are released. */
  hold(bytes: number): boolean;
  release(bytes: number): void;
  /** The stream is over on this side, and so are the bytes that its request held. */
  forget(stream: number, requestBytes: number): void;
}

export interface PeerAddress {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** Shaped like what node:http hands out, as far as routes look. */
export class MuxRequest {
  readonly method: string;
  readonly url: string;
  /** Names and values in turn; shared with other requests. */
  readonly rawHeaders: readonly string[];
  /** Where the connection comes from. */
  readonly socket: PeerAddress;
  /** Bytes when the body came whole with the request, as nearly all do. */
  readonly body: Uint8Array | Readable;

  constructor(
    method: string,
    url: string,
    rawHeaders: readonly string[],
    socket: PeerAddress,
    body: Uint8Array | Readable,
  ) {
    this.method = method;
    this.url = url;
    this.rawHeaders = rawHeaders;
    this.socket = socket;
    this.body = body;
  }
}

/** A body that comes in pieces. What was read is asked for again: no more than a window is ever held. */
export class MuxBody extends Readable {
  readonly #stream: number;
  readonly #wire: MuxWire;
  #owedBytes = 0;
  #receivableBytes = WINDOW_BYTES;

  constructor(stream: number, wire: MuxWire) {
    super({ highWaterMark: WINDOW_BYTES / 2 });
    this.#stream = stream;
    this.#wire = wire;
    // Whoever reads it listens by himself; a request that ends unread breaks off unheard.
    this.on('error', () => undefined);
  }

  /** @returns false when the peer sent more than it may */
  receive(bytes: Uint8Array, isEnd: boolean): boolean {
    this.#receivableBytes -= bytes.length;
    if (this.#receivableBytes < 0) return false;
    this.#owedBytes += bytes.length;
    if (!this.destroyed && bytes.length > 0) this.push(bytes);
    if (!this.destroyed && isEnd) this.push(null);
    return true;
  }

  breakOff(): void {
    this.destroy(new Error('the body broke off'));
  }

  override _read(): void {
    if (this.#owedBytes === 0) return;
    this.#wire.frames().window(this.#stream, this.#owedBytes);
    this.#receivableBytes += this.#owedBytes;
    this.#owedBytes = 0;
  }
}

const NO_LISTENERS: readonly (() => void)[] = [];

/**
 * The answer to one request: in one frame when it is short, piece by piece within the peer's window when it is not.
 *
 * Invariant: `#queue` holds what the window did not allow yet; nothing is queued before the head was sent.
 */
export class MuxResponse implements Outgoing {
  destroyed = false;
  headersSent = false;
  writableFinished = false;
  readonly #stream: number;
  readonly #isHead: boolean;
  readonly #wire: MuxWire;
  readonly #requestBytes: number;
  /** What of the queue counts at the connection. */
  #heldBytes = 0;
  #status = 0;
  #headers: readonly string[] = [];
  #windowBytes = WINDOW_BYTES;
  #queue: Uint8Array[] = [];
  #isEnded = false;
  #onClose: readonly (() => void)[] = NO_LISTENERS;
  #onDrain: readonly (() => void)[] = NO_LISTENERS;

  /** @param requestBytes held on behalf of the request until this is over */
  constructor(stream: number, method: string, requestBytes: number, wire: MuxWire) {
    this.#requestBytes = requestBytes;
    this.#stream = stream;
    this.#isHead = method === 'HEAD';
    this.#wire = wire;
  }

  /**
   * A whole answer at once.
   *
   * @param lengthBytes of the body; text goes out as UTF-8
   * @throws MuxHeadError when a header can't be sent
   */
  answer(status: number, headers: readonly string[], body: Uint8Array | string, lengthBytes: number): void {
    if (this.destroyed || this.headersSent) return;
    this.headersSent = true;
    const isBodiless = this.#isHead || status === 204 || status === 304;
    if (isBodiless || lengthBytes <= MAX_BODY_BYTES) {
      const sent = this.#isHead ? [...headers, 'Content-Length', String(lengthBytes)] : headers;
      const head = headText(NO_LEAD, sent);
      if (isBodiless) this.#wire.frames().response(this.#stream, true, status, head);
      else this.#wire.frames().response(this.#stream, true, status, head, body, lengthBytes);
      this.#finish();
      return;
    }
    const head = headText(NO_LEAD, [...headers, 'Content-Length', String(lengthBytes)]);
    if (!this.#wire.hold(lengthBytes)) {
      this.destroy();
      return;
    }
    this.#heldBytes = lengthBytes;
    this.#wire.frames().response(this.#stream, false, status, head);
    this.#queue.push(typeof body === 'string' ? Buffer.from(body, 'utf8') : body);
    this.#isEnded = true;
    this.#pump();
  }

  writeHead(status: number, headers: readonly string[]): void {
    this.#status = status;
    this.#headers = headers;
  }

  flushHeaders(): void {
    if (this.headersSent || this.destroyed) return;
    const head = headText(NO_LEAD, this.#headers);
    this.headersSent = true;
    this.#wire.frames().response(this.#stream, false, this.#status, head);
  }

  write(piece: string | Uint8Array): boolean {
    if (this.destroyed || this.#isEnded) return false;
    this.flushHeaders();
    if (piece.length > 0 && !this.#isHead)
      this.#queue.push(typeof piece === 'string' ? Buffer.from(piece, 'utf8') : piece);
    this.#pump();
    return this.#queue.length === 0;
  }

  end(body?: string | Uint8Array, encoding?: 'latin1'): void {
    if (this.destroyed || this.#isEnded) return;
    this.flushHeaders();
    if (body !== undefined && body.length > 0 && !this.#isHead)
      this.#queue.push(typeof body === 'string' ? Buffer.from(body, encoding ?? 'utf8') : body);
    this.#isEnded = true;
    this.#pump();
  }

  on(event: 'drain' | 'close', listener: () => void): void {
    if (event === 'close') this.#onClose = [...this.#onClose, listener];
    else this.#onDrain = [...this.#onDrain, listener];
  }

  once(_event: 'close', listener: () => void): void {
    // There is one end.
    this.#onClose = [...this.#onClose, listener];
  }

  /** Breaks the answer off; the gateway sees that something is missing. */
  destroy(): void {
    if (this.destroyed || this.writableFinished) return;
    this.#wire.frames().reset(this.#stream, RESET.broken);
    this.gone();
  }

  /** Nobody waits for it any more, or the connection is lost. */
  gone(): void {
    if (this.destroyed || this.writableFinished) return;
    this.destroyed = true;
    this.#queue = [];
    this.#close();
  }

  /** The peer is ready for more. */
  widen(bytes: number): void {
    this.#windowBytes += bytes;
    if (this.#queue.length === 0) return;
    this.#pump();
    if (this.#queue.length === 0 && !this.#isEnded) for (const drained of this.#onDrain) drained();
  }

  get windowBytes(): number {
    return this.#windowBytes;
  }

  #pump(): void {
    const frames = this.#wire.frames();
    for (let piece = this.#queue[0]; piece !== undefined; piece = this.#queue[0]) {
      const size = Math.min(piece.length, this.#windowBytes, MAX_BODY_BYTES);
      if (size === 0) return;
      this.#windowBytes -= size;
      const isWhole = size === piece.length;
      if (isWhole) this.#queue.shift();
      else this.#queue[0] = piece.subarray(size);
      const isEnd = this.#isEnded && this.#queue.length === 0;
      frames.data(this.#stream, isEnd, isWhole ? piece : piece.subarray(0, size));
      if (isEnd) {
        this.#finish();
        return;
      }
    }
    if (!this.#isEnded) return;
    frames.data(this.#stream, true, NO_BYTES);
    this.#finish();
  }

  #finish(): void {
    this.writableFinished = true;
    this.#close();
  }

  #close(): void {
    this.#wire.release(this.#heldBytes);
    this.#wire.forget(this.#stream, this.#requestBytes);
    for (const closed of this.#onClose) closed();
  }
}

const NO_LEAD: readonly string[] = [];
const NO_BYTES = new Uint8Array(0);
