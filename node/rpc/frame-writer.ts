/** Collects the frames of one turn of the event loop and hands them to the socket in one write. */

import type { Socket } from 'node:net';
import { type FrameType, frameHeader } from './frame.ts';

/** Up to here pieces are copied together: cheaper than a vector of many small buffers. */
const COPY_BELOW_BYTES = 64 * 1024;

/**
 * Invariant: `#pieces` were not given to the socket yet, `#pendingBytes` in all, and a flush is scheduled while there
 * are any. Nothing is accepted once closed.
 */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #onFlush: (() => void) | undefined;
  #pieces: Uint8Array[] = [];
  #pendingBytes = 0;
  #isScheduled = false;
  #isClosed = false;
  readonly #flush = () => this.flush();

  /** @param onFlush called right before the pieces go to the socket */
  constructor(socket: Socket, onFlush?: () => void) {
    this.#socket = socket;
    this.#onFlush = onFlush;
  }

  /** Bytes that neither the socket nor the system has taken yet. */
  get queuedBytes(): number {
    return this.#pendingBytes + this.#socket.writableLength;
  }

  /** @param body a second part of the payload, so that a large text need not be copied behind its head */
  write(type: FrameType, id: number, payload: Uint8Array, body?: Uint8Array): void {
    if (this.#isClosed) return;
    const payloadBytes = payload.length + (body?.length ?? 0);
    const header = frameHeader(type, id, payloadBytes);
    this.#pieces.push(header, payload);
    if (body !== undefined) this.#pieces.push(body);
    this.#pendingBytes += header.length + payloadBytes;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#flush);
  }

  flush(): void {
    this.#isScheduled = false;
    if (this.#isClosed || this.#pieces.length === 0) return;
    const pieces = this.#pieces;
    const bytes = this.#pendingBytes;
    this.#pieces = [];
    this.#pendingBytes = 0;
    this.#onFlush?.();
    if (bytes <= COPY_BELOW_BYTES) {
      this.#socket.write(Buffer.concat(pieces, bytes));
      return;
    }
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
  }

  /** Drops what was not flushed. */
  close(): void {
    this.#isClosed = true;
    this.#pieces = [];
    this.#pendingBytes = 0;
  }
}
