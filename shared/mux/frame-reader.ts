/** Cuts the bytes of a multiplexed connection into frames, whatever pieces they come in. */

import {
  FLAG_END,
  FRAME_HEADER_BYTES,
  KIND,
  MAX_BODY_BYTES,
  MAX_HEAD_BYTES,
  MAX_PAYLOAD_BYTES,
  MuxProtocolError,
} from './frames.ts';

/**
 * What a side does with the frames it gets. A side that has no use for a kind throws a MuxProtocolError.
 * Bodies are views of the bytes that came in; heads are text as `headText` makes it.
 */
export interface FrameSink {
  onHello(maxStreams: number): void;
  onRequest(stream: number, isEnd: boolean, head: string, body: Buffer): void;
  onResponse(stream: number, isEnd: boolean, status: number, head: string, body: Buffer): void;
  onData(stream: number, isEnd: boolean, bytes: Buffer): void;
  onWindow(stream: number, bytes: number): void;
  onReset(stream: number, reason: number): void;
  onPing(token: number): void;
  onPong(token: number): void;
  onGoaway(lastStream: number): void;
}

/** Invariant: `#partial` holds the first `#have` bytes of a frame that isn't complete; it is as long as is known to be needed. */
export class FrameReader {
  readonly #sink: FrameSink;
  #partial: Buffer | undefined;
  #have = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** @throws MuxProtocolError, after which the connection is of no more use */
  push(chunk: Buffer): void {
    let at = this.#partial === undefined ? 0 : this.#complete(chunk);
    while (chunk.length - at >= FRAME_HEADER_BYTES) {
      const length = lengthAt(chunk, at);
      const start = at + FRAME_HEADER_BYTES;
      if (chunk.length - start < length) break;
      this.#frame(chunk, at, start, start + length);
      at = start + length;
    }
    if (at < chunk.length) this.#keep(chunk, at);
  }

  /** Adds to the frame that is incomplete. @returns where the rest of the chunk begins */
  #complete(chunk: Buffer): number {
    let at = 0;
    while (this.#partial !== undefined && at < chunk.length) {
      const partial = this.#partial;
      const taken = chunk.copy(
        partial,
        this.#have,
        at,
        Math.min(chunk.length, at + partial.length - this.#have),
      );
      at += taken;
      this.#have += taken;
      if (this.#have < partial.length) return at;
      const total = FRAME_HEADER_BYTES + lengthAt(partial, 0);
      if (total > partial.length) {
        this.#partial = Buffer.allocUnsafe(total);
        partial.copy(this.#partial);
        continue;
      }
      this.#partial = undefined;
      this.#frame(partial, 0, FRAME_HEADER_BYTES, total);
    }
    return at;
  }

  #keep(chunk: Buffer, at: number): void {
    const left = chunk.length - at;
    const total = left < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + lengthAt(chunk, at);
    this.#partial = Buffer.allocUnsafe(total);
    this.#have = chunk.copy(this.#partial, 0, at);
  }

  #frame(bytes: Buffer, at: number, start: number, end: number): void {
    const stream = bytes.readUInt32BE(at + 5);
    switch (bytes[at + 4]) {
      case KIND.request:
        this.#request(stream, bytes, start, end);
        break;
      case KIND.response:
        this.#response(stream, bytes, start, end);
        break;
      case KIND.data:
        if (end === start || end - start - 1 > MAX_BODY_BYTES) throw broken('data of a wrong length');
        this.#sink.onData(stream, isEnd(bytes, start), bytes.subarray(start + 1, end));
        break;
      case KIND.window:
        this.#sink.onWindow(stream, numberIn(bytes, start, end));
        break;
      case KIND.reset:
        if (end - start !== 1) throw broken('a reset of a wrong length');
        this.#sink.onReset(stream, bytes[start] ?? 0);
        break;
      case KIND.hello:
        this.#sink.onHello(numberIn(bytes, start, end));
        break;
      case KIND.ping:
        this.#sink.onPing(numberIn(bytes, start, end));
        break;
      case KIND.pong:
        this.#sink.onPong(numberIn(bytes, start, end));
        break;
      case KIND.goaway:
        this.#sink.onGoaway(numberIn(bytes, start, end));
        break;
      default:
        throw broken(`a frame of kind ${bytes[at + 4]}`);
    }
  }

  #request(stream: number, bytes: Buffer, start: number, end: number): void {
    const head = start + 5;
    const body = endOfHead(bytes, start + 1, head, end);
    this.#sink.onRequest(
      stream,
      isEnd(bytes, start),
      bytes.toString('latin1', head, body),
      bytes.subarray(body, end),
    );
  }

  #response(stream: number, bytes: Buffer, start: number, end: number): void {
    const head = start + 7;
    const body = endOfHead(bytes, start + 3, head, end);
    const status = bytes.readUInt16BE(start + 1);
    if (status < 200 || status > 599) throw broken(`status ${status}`);
    const text = bytes.toString('latin1', head, body);
    this.#sink.onResponse(stream, isEnd(bytes, start), status, text, bytes.subarray(body, end));
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32BE(at);
  if (length > MAX_PAYLOAD_BYTES) throw broken(`a frame of ${length} bytes`);
  return length;
}

/** Flags that nobody knows would mean something that is not understood. */
function isEnd(bytes: Buffer, at: number): boolean {
  const flags = bytes[at] ?? 0;
  if (flags > FLAG_END) throw broken(`flags ${flags}`);
  return flags === FLAG_END;
}

/** @param lengthAt where the head's length stands, `head` where the head begins */
function endOfHead(bytes: Buffer, lengthStart: number, head: number, end: number): number {
  if (head > end) throw broken('a frame without its head');
  const length = bytes.readUInt32BE(lengthStart);
  const body = head + length;
  if (length > MAX_HEAD_BYTES || body > end) throw broken('a head longer than its frame');
  if (end - body > MAX_BODY_BYTES) throw broken('a body longer than a frame may bring');
  return body;
}

function numberIn(bytes: Buffer, start: number, end: number): number {
  if (end - start !== 4) throw broken('a number of a wrong length');
  return bytes.readUInt32BE(start);
}

function broken(what: string): MuxProtocolError {
  return new MuxProtocolError(`the peer sent ${what}`);
}
