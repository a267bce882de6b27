/**
 * A client's connection read and written without node:http, as long as it carries nothing but plain requests: one at a
 * time, a small record while it waits. What is odd goes to node:http, connection and unread bytes together.
 */

import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../shared/env.ts';
import { PlainExchange } from '../exchange/plain-exchange.ts';
import { type PlainRequest, PlainRequestReader } from './plain-request.ts';

export interface PlainLaneOptions {
  readonly maxHeaderBytes: number;
  /** How long a request may take to arrive, at most a minute; then 408. */
  readonly requestTimeoutMs: number;
  readonly clock: Clock;
  /** Answers through the exchange; resolves when that is done. Never rejects. */
  readonly onExchange: (exchange: PlainExchange) => Promise<unknown>;
  /** Takes a connection over: paused, its bytes unread. `head` is a look at them; at least the first bytes of a connection. */
  readonly handOver: (socket: Socket, head: Uint8Array) => void;
}

export interface PlainLane {
  /** Takes over a connection of which nothing was read. */
  accept(socket: Socket): void;
  /** Ends connections without a request; the others end with their answer. */
  close(): void;
  destroyAll(): void;
}

/** Longer than clients keep connections (Go: 90 s), so that the gateway isn't the one to close under a request. */
const IDLE_MS = 120_000;
/** How long a request may take to arrive, and the first one to begin: as node:http allows for headers. */
const ARRIVAL_MS = 60_000;
const SWEEP_MS = 5000;
/** A client that takes nothing of its answer for so long is cut off: it holds memory and a connection. */
const STALL_MS = 60_000;
/** Requests that a client sends ahead are kept up to this; beyond it the client has to wait. */
const MAX_AHEAD_BYTES = 64 * 1024;

export function createPlainLane(options: PlainLaneOptions): PlainLane {
  const shared: Shared = {
    ...options,
    reader: new PlainRequestReader(options.maxHeaderBytes),
    open: new Set(),
    isClosing: false,
    arrivalMs: Math.min(ARRIVAL_MS, options.requestTimeoutMs),
  };
  const sweepMs = Math.min(SWEEP_MS, shared.arrivalMs);
  let sweeping: Timer | undefined;
  const sweep = () => {
    sweeping = undefined;
    const nowMs = options.clock.monotonicMs();
    for (const connection of shared.open) connection.sweep(nowMs);
    schedule();
  };
  const schedule = () => {
    if (sweeping === undefined && shared.open.size > 0) sweeping = options.clock.setTimer(sweepMs, sweep);
  };
  return {
    accept: (socket) => {
      shared.open.add(new PlainConnection(socket, shared));
      schedule();
    },
    close: () => {
      shared.isClosing = true;
      for (const connection of [...shared.open]) connection.leave();
    },
    destroyAll: () => {
      sweeping?.cancel();
      for (const connection of [...shared.open]) connection.destroy();
    },
  };
}

interface Shared extends PlainLaneOptions {
  readonly reader: PlainRequestReader;
  readonly open: Set<PlainConnection>;
  isClosing: boolean;
  readonly arrivalMs: number;
}

const CONNECTION = Symbol('plain connection');

interface PlainSocket extends Socket {
  [CONNECTION]?: PlainConnection | undefined;
}

/** Invariant: `#exchange` is the request in progress; `#unread` are bytes behind it, or the beginning of one that isn't complete. */
class PlainConnection {
  readonly #socket: PlainSocket;
  readonly #shared: Shared;
  readonly #clientAddress: string;
  #exchange: PlainExchange | undefined;
  #unread: Buffer | undefined;
  #hasServed = false;
  /** Since when nothing is in progress, or the request in arrival has been arriving. */
  #sinceMs: number;
  /** How much of its answers the client has taken, and since when no more. */
  #takenBytes = 0;
  #takenAtMs = 0;

  constructor(socket: PlainSocket, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
    this.#clientAddress = socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    this.#sinceMs = shared.clock.monotonicMs();
    socket[CONNECTION] = this;
    // Functions that all connections share: tens of thousands of them wait at once.
    socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    socket.resume();
  }

  receive(chunk: Buffer): void {
    if (this.#unread === undefined && this.#exchange === undefined)
      this.#sinceMs = this.#shared.clock.monotonicMs();
    const bytes = this.#unread === undefined ? chunk : Buffer.concat([this.#unread, chunk]);
    this.#unread = bytes;
    if (this.#exchange === undefined) this.#next(bytes);
    else if (bytes.length > MAX_AHEAD_BYTES) this.#socket.pause();
  }

  /** The client has nothing more to say: nobody waits for an answer, as with node:http. */
  end(): void {
    if (this.#exchange === undefined) this.#socket.end();
    else this.#socket.destroy();
  }

  closed(): void {
    this.#shared.open.delete(this);
    this.#exchange?.clientGone();
    this.#exchange = undefined;
    this.#unread = undefined;
  }

  leave(): void {
    if (this.#exchange === undefined) this.#socket.end();
    else this.#exchange.closesAfter = true;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  sweep(nowMs: number): void {
    if (this.#isStalled(nowMs)) {
      this.#socket.destroy();
      return;
    }
    if (this.#exchange !== undefined) return;
    const limitMs = this.#unread === undefined && this.#hasServed ? IDLE_MS : this.#shared.arrivalMs;
    if (nowMs - this.#sinceMs < limitMs) return;
    if (this.#unread !== undefined)
      this.#socket.write('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    this.#socket.destroySoon();
  }

  #isStalled(nowMs: number): boolean {
    const { bytesWritten, writableLength } = this.#socket;
    const takenBytes = bytesWritten - writableLength;
    if (writableLength === 0 || takenBytes !== this.#takenBytes) {
      this.#takenBytes = takenBytes;
      this.#takenAtMs = nowMs;
      return false;
    }
    return nowMs - this.#takenAtMs >= STALL_MS;
  }

  #next(bytes: Buffer): void {
    const request = this.#shared.reader.read(bytes);
    if (request === 'odd') {
      this.#handOver(bytes);
      return;
    }
    if (request === 'incomplete') {
      if (bytes === this.#unread && this.#socket.isPaused()) this.#socket.resume();
      return;
    }
    this.#unread = request.end === bytes.length ? undefined : bytes.subarray(request.end);
    this.#serve(request, bytes);
  }

  #serve(request: PlainRequest, bytes: Buffer): void {
    const body =
      request.end === request.bodyStart ? undefined : bytes.subarray(request.bodyStart, request.end);
    const { method, target, headers } = request;
    const exchange = new PlainExchange(this.#socket, this.#shared.clock, {
      method,
      target,
      headers,
      body,
      clientAddress: this.#clientAddress,
    });
    exchange.closesAfter = this.#shared.isClosing;
    this.#exchange = exchange;
    this.#hasServed = true;
    void this.#shared.onExchange(exchange).then(() => this.#answered(exchange));
  }

  #answered(exchange: PlainExchange): void {
    if (this.#exchange !== exchange) return;
    const socket = this.#socket;
    // A client that sends ahead but doesn't read has to read first.
    if (socket.writableNeedDrain && this.#unread !== undefined && !exchange.closesAfter) {
      socket.once('drain', () => this.#answered(exchange));
      return;
    }
    this.#exchange = undefined;
    this.#sinceMs = this.#shared.clock.monotonicMs();
    if (exchange.closesAfter) {
      socket.destroySoon();
      return;
    }
    if (this.#unread !== undefined) this.#next(this.#unread);
    if (this.#exchange === undefined && socket.isPaused() && socket[CONNECTION] === this) socket.resume();
  }

  #handOver(bytes: Buffer): void {
    const socket = this.#socket;
    this.#shared.open.delete(this);
    socket.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
    socket[CONNECTION] = undefined;
    this.#unread = undefined;
    socket.pause();
    socket.unshift(bytes);
    this.#shared.handOver(socket, bytes);
  }
}

function onData(this: PlainSocket, chunk: Buffer): void {
  this[CONNECTION]?.receive(chunk);
}

function onEnd(this: PlainSocket): void {
  this[CONNECTION]?.end();
}

function onError(this: PlainSocket): void {
  this.destroy();
}

function onClose(this: PlainSocket): void {
  this[CONNECTION]?.closed();
}
