/** One multiplexed connection at the agent: requests come in frames, go the way of every other, and answer in frames. */

import type { Duplex } from 'node:stream';
import { FrameReader, type FrameSink } from '../../shared/mux/frame-reader.ts';
import { FrameWriter } from '../../shared/mux/frame-writer.ts';
import {
  HeaderLists,
  MAX_WINDOW_BYTES,
  MuxProtocolError,
  RESET,
  WINDOW_BYTES,
} from '../../shared/mux/frames.ts';
import type { Incoming, Outgoing } from './message.ts';
import { MuxBody, MuxRequest, MuxResponse, type MuxWire, type PeerAddress } from './mux-message.ts';

/** Requests in progress on one connection, blocking queries included; more are refused, which tells the gateway that nothing was done. */
export const MAX_STREAMS = 16_384;

/** Clients of one gateway differ little in their headers. */
const MAX_KNOWN_HEADS = 256;

/** Bodies of requests in progress, and of answers that their reader has not asked for, on one connection together. */
const MAX_HELD_BYTES = 256 * 1024 * 1024;

/** Above this many unsent bytes no more requests are read, so that a gateway that doesn't read can't fill the memory. */
const CONGESTED_BYTES = 1024 * 1024;

export interface MuxConnectionOptions {
  readonly socket: Duplex & PeerAddress;
  readonly dispatch: (incoming: Incoming, response: Outgoing) => void;
  /** Called once when the connection is gone. */
  readonly onClose: () => void;
  /** Called with what was wrong when the peer doesn't keep to the protocol. */
  readonly onBroken: (error: Error) => void;
}

/**
 * Invariant: `#responses` has the streams whose answer isn't complete, `#bodies` those of them whose request isn't;
 * `#lastStream` is the highest number that was ever opened.
 */
export class MuxConnection implements FrameSink, MuxWire {
  readonly #options: MuxConnectionOptions;
  readonly #reader = new FrameReader(this);
  readonly #writer = new FrameWriter();
  readonly #headers = new HeaderLists(MAX_KNOWN_HEADS);
  readonly #responses = new Map<number, MuxResponse>();
  readonly #bodies = new Map<number, MuxBody>();
  #lastStream = 0;
  #isFlushing = false;
  #isLeaving = false;
  #heldBytes = 0;

  constructor(options: MuxConnectionOptions, firstBytes: Buffer) {
    this.#options = options;
    const { socket } = options;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#closed());
    this.frames().hello(MAX_STREAMS);
    if (firstBytes.length > 0) this.#receive(firstBytes);
  }

  /** No new requests; the connection ends with the last answer. */
  leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.frames().goaway(this.#lastStream);
  }

  destroy(): void {
    this.#options.socket.destroy();
  }

  frames(): FrameWriter {
    if (!this.#isFlushing) {
      this.#isFlushing = true;
      setImmediate(() => this.#flush());
    }
    return this.#writer;
  }

  hold(bytes: number): boolean {
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) return false;
    this.#heldBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
  }

  forget(stream: number, requestBytes: number): void {
    this.#responses.delete(stream);
    this.release(requestBytes);
    const body = this.#bodies.get(stream);
    if (body === undefined) return;
    // The answer came before the request was complete: the rest of that is of no use.
    this.#bodies.delete(stream);
    this.frames().reset(stream, RESET.cancelled);
    body.breakOff();
  }

  onRequest(stream: number, isEnd: boolean, head: string, bytes: Buffer): void {
    if (stream <= this.#lastStream) throw new MuxProtocolError(`stream ${stream} came twice`);
    const first = head.indexOf('\n');
    const second = first === -1 ? -1 : head.indexOf('\n', first + 1);
    if (first < 1) throw new MuxProtocolError('a request without a target');
    const rawHeaders = second === -1 ? NO_HEADERS : this.#headers.parse(head.slice(second + 1));
    // A body in pieces may fill its window before anyone reads it.
    const requestBytes = isEnd ? bytes.length : bytes.length + WINDOW_BYTES;
    if (this.#isLeaving || this.#responses.size >= MAX_STREAMS || !this.hold(requestBytes)) {
      this.frames().reset(stream, RESET.refused);
      if (!this.#isLeaving) this.#lastStream = stream;
      return;
    }
    this.#lastStream = stream;
    const method = head.slice(0, first);
    const target = second === -1 ? head.slice(first + 1) : head.slice(first + 1, second);
    const body = isEnd ? bytes : this.#openBody(stream, bytes);
    const { socket, dispatch } = this.#options;
    const request = new MuxRequest(method, target, rawHeaders, socket, body);
    const response = new MuxResponse(stream, method, requestBytes, this);
    this.#responses.set(stream, response);
    dispatch(request, response);
  }

  #openBody(stream: number, first: Buffer): MuxBody {
    const body = new MuxBody(stream, this);
    this.#bodies.set(stream, body);
    // The bytes that came with the request count against no window.
    if (first.length > 0) body.push(first);
    return body;
  }

  onData(stream: number, isEnd: boolean, bytes: Buffer): void {
    const body = this.#bodies.get(stream);
    // It may have been on its way when the answer was complete.
    if (body === undefined) return;
    if (isEnd) this.#bodies.delete(stream);
    if (!body.receive(bytes, isEnd)) throw new MuxProtocolError('more data than the window allows');
  }

  onWindow(stream: number, bytes: number): void {
    const response = this.#responses.get(stream);
    if (response === undefined) return;
    if (response.windowBytes + bytes > MAX_WINDOW_BYTES)
      throw new MuxProtocolError('a window without bounds');
    response.widen(bytes);
  }

  onReset(stream: number): void {
    const body = this.#bodies.get(stream);
    this.#bodies.delete(stream);
    body?.breakOff();
    this.#responses.get(stream)?.gone();
  }

  onPing(token: number): void {
    this.frames().pong(token);
  }

  onHello(): void {
    throw new MuxProtocolError('a hello from a gateway');
  }

  onResponse(): void {
    throw new MuxProtocolError('an answer from a gateway');
  }

  onPong(): void {
    throw new MuxProtocolError('a pong that nobody asked for');
  }

  onGoaway(): void {
    throw new MuxProtocolError('a goaway from a gateway');
  }

  #receive(chunk: Buffer): void {
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof MuxProtocolError)) throw error;
      this.#options.onBroken(error);
      this.#options.socket.destroy();
    }
  }

  /** Everything that this turn of the event loop had to say, in one write. */
  #flush(): void {
    this.#isFlushing = false;
    const { socket } = this.#options;
    if (socket.destroyed) return;
    const pieces = this.#writer.take();
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) socket.write(only);
    else if (pieces.length > 1) {
      socket.cork();
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    }
    if (this.#isLeaving && this.#responses.size === 0) socket.end();
    else if (socket.writableLength > CONGESTED_BYTES) this.#holdOff(socket);
  }

  #holdOff(socket: Duplex): void {
    if (socket.isPaused()) return;
    socket.pause();
    socket.once('drain', () => socket.resume());
  }

  #closed(): void {
    for (const body of this.#bodies.values()) body.breakOff();
    this.#bodies.clear();
    for (const response of [...this.#responses.values()]) response.gone();
    this.#options.onClose();
  }
}

const NO_HEADERS: readonly string[] = [];
