/** Collects the frames of one turn of the event loop into few pieces of memory, for one write. */

import {
  FLAG_END,
  FRAME_HEADER_BYTES,
  KIND,
  MAX_BODY_BYTES,
  MAX_HEAD_BYTES,
  MuxHeadError,
} from './frames.ts';

/** Bodies from this size on are handed to the socket as they are; copying a shorter one costs less than a vector of its own. */
const OWN_PIECE_FROM_BYTES = 4096;
const SLAB_BYTES = 64 * 1024;

const NO_BYTES = new Uint8Array(0);

/**
 * Invariant: what was written since the last `take` is `#pieces` followed by `#slab` from `#start` to `#at`. Slabs are
 * only ever filled forwards, so that pieces that the socket still holds never change.
 */
export class FrameWriter {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #start = 0;
  #at = 0;
  #pieces: Uint8Array[] = [];

  get isEmpty(): boolean {
    return this.#pieces.length === 0 && this.#at === this.#start;
  }

  /** Everything so far, in order. The bodies among it must not change until they are written. */
  take(): Uint8Array[] {
    this.#endPiece();
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces;
  }

  hello(maxStreams: number): void {
    this.#number(KIND.hello, 0, maxStreams);
  }

  window(stream: number, bytes: number): void {
    this.#number(KIND.window, stream, bytes);
  }

  ping(token: number): void {
    this.#number(KIND.ping, 0, token);
  }

  pong(token: number): void {
    this.#number(KIND.pong, 0, token);
  }

  goaway(lastStream: number): void {
    this.#number(KIND.goaway, 0, lastStream);
  }

  reset(stream: number, reason: number): void {
    const at = this.#open(KIND.reset, stream, 1, 1);
    this.#slab[at] = reason;
  }

  /**
   * @param head from `headText`: only characters of Latin-1
   * @param body at most `MAX_BODY_BYTES`
   * @throws MuxHeadError when the head is too long; nothing is written then
   */
  request(stream: number, isEnd: boolean, head: string, body: Uint8Array = NO_BYTES): void {
    const at = this.#openWithHead(KIND.request, stream, 5, head, body.length);
    this.#slab[at] = isEnd ? FLAG_END : 0;
    this.#slab.writeUInt32BE(head.length, at + 1);
    this.#slab.write(head, at + 5, head.length, 'latin1');
    this.#body(body);
  }

  /** As `request`. `body` may be text, which goes out as UTF-8: then `bodyLength` is its length in bytes. */
  response(
    stream: number,
    isEnd: boolean,
    status: number,
    head: string,
    body: Uint8Array | string = NO_BYTES,
    bodyLength = body.length,
  ): void {
    const at = this.#openWithHead(KIND.response, stream, 7, head, bodyLength);
    this.#slab[at] = isEnd ? FLAG_END : 0;
    this.#slab.writeUInt16BE(status, at + 1);
    this.#slab.writeUInt32BE(head.length, at + 3);
    this.#slab.write(head, at + 7, head.length, 'latin1');
    if (typeof body === 'string') this.#text(body, bodyLength);
    else this.#body(body);
  }

  data(stream: number, isEnd: boolean, bytes: Uint8Array): void {
    const at = this.#open(KIND.data, stream, 1 + bytes.length, 1);
    this.#slab[at] = isEnd ? FLAG_END : 0;
    this.#body(bytes);
  }

  #number(kind: number, stream: number, value: number): void {
    const at = this.#open(kind, stream, 4, 4);
    this.#slab.writeUInt32BE(value, at);
  }

  #openWithHead(kind: number, stream: number, fixed: number, head: string, bodyLength: number): number {
    if (head.length > MAX_HEAD_BYTES) throw new MuxHeadError(`headers of ${head.length} bytes are too long`);
    if (bodyLength > MAX_BODY_BYTES) throw new RangeError('the body is too long for one frame');
    return this.#open(kind, stream, fixed + head.length + bodyLength, fixed + head.length);
  }

  /** Writes a frame's header and makes room for `room` bytes behind it. @returns where they begin */
  #open(kind: number, stream: number, length: number, room: number): number {
    this.#reserve(FRAME_HEADER_BYTES + room);
    const at = this.#at;
    this.#slab.writeUInt32BE(length, at);
    this.#slab[at + 4] = kind;
    this.#slab.writeUInt32BE(stream, at + 5);
    this.#at = at + FRAME_HEADER_BYTES + room;
    return at + FRAME_HEADER_BYTES;
  }

  #body(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (bytes.length >= OWN_PIECE_FROM_BYTES) {
      this.#endPiece();
      this.#pieces.push(bytes);
      return;
    }
    this.#reserve(bytes.length);
    this.#slab.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #text(text: string, length: number): void {
    if (length === 0) return;
    this.#reserve(length);
    this.#slab.write(text, this.#at, length, 'utf8');
    this.#at += length;
  }

  #reserve(bytes: number): void {
    if (this.#slab.length - this.#at >= bytes) return;
    this.#endPiece();
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
    this.#start = 0;
    this.#at = 0;
  }

  #endPiece(): void {
    if (this.#at > this.#start) this.#pieces.push(this.#slab.subarray(this.#start, this.#at));
    this.#start = this.#at;
  }
}
