/** The calling side of one connection: many requests in flight, answers in any order. */

import type { Socket } from 'node:net';
import type { Env, Timer } from '../../shared/env.ts';
import { asRemoteError, ConsulError, toConsulError } from '../../shared/errors.ts';
import { reasonOf } from './dial.ts';
import { FRAME_TYPE, FrameDecoder, MAX_REPLY_BYTES, MAX_REQUEST_BYTES } from './frame.ts';
import { FrameWriter } from './frame-writer.ts';
import {
  packRequest,
  type RpcReply,
  type RpcRequest,
  unpackError,
  unpackJson,
  unpackRead,
  unpackValue,
} from './messages.ts';
import { connectionLost, unreachable } from './rpc-errors.ts';

/** How often a connection looks whether its peer still answers. */
const CHECK_INTERVAL_MS = 3000;
/** Silence for so long, although asked, means that the peer is gone. */
const DEAD_AFTER_MS = 9000;
/** As `DEAD_AFTER_MS`, for a peer that others say is gone. */
const PROBE_TIMEOUT_MS = 1000;
const MAX_IN_FLIGHT = 16_384;
const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
const EMPTY = new Uint8Array(0);

interface PendingCall {
  readonly kind: RpcRequest['kind'];
  /** Whether the request went to the system; until then a failure means that nothing was applied. */
  isWritten: boolean;
  readonly resolve: (reply: RpcReply) => void;
  readonly reject: (error: unknown) => void;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

/** Invariant: every pending call is settled exactly once, by its answer, its signal, or the end of the connection. */
export class ClientConnection {
  readonly #env: Env;
  readonly #socket: Socket;
  readonly #writer: FrameWriter;
  readonly #decoder = new FrameDecoder(MAX_REPLY_BYTES);
  readonly #onClose: () => void;
  readonly #pending = new Map<number, PendingCall>();
  #unwritten: PendingCall[] = [];
  #nextId = 1;
  #lastHeardMs: number;
  #lastUsedMs: number;
  #isClosed = false;
  #timer: Timer;

  /** @param socket connected, preface already sent */
  constructor(socket: Socket, env: Env, onClose: () => void) {
    this.#socket = socket;
    this.#env = env;
    this.#onClose = onClose;
    this.#writer = new FrameWriter(socket, () => this.#markWritten());
    this.#lastHeardMs = env.clock.monotonicMs();
    this.#lastUsedMs = this.#lastHeardMs;
    this.#timer = env.clock.setTimer(CHECK_INTERVAL_MS, () => this.#check());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.close(error));
    socket.on('close', () => this.close());
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** Milliseconds since the last call began or ended. */
  idleMs(): number {
    return this.#pending.size > 0 ? 0 : this.#env.clock.monotonicMs() - this.#lastUsedMs;
  }

  /** Rejects with a `ConsulError`, or with the signal's reason. */
  call(request: RpcRequest, signal?: AbortSignal): Promise<RpcReply> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const refusal = this.#refusal();
      const payload = refusal === undefined ? packOrError(request) : refusal;
      if (payload instanceof ConsulError) {
        reject(payload);
        return;
      }
      const id = this.#takeId();
      const onAbort = signal === undefined ? undefined : () => this.#abort(id);
      const call = { kind: request.kind, isWritten: false, resolve, reject, signal, onAbort };
      if (onAbort !== undefined) signal?.addEventListener('abort', onAbort, { once: true });
      this.#lastUsedMs = this.#env.clock.monotonicMs();
      this.#pending.set(id, call);
      this.#unwritten.push(call);
      this.#writer.write(FRAME_TYPE.request, id, payload);
    });
  }

  /** Asks for a sign of life and closes the connection when none comes soon. */
  probe(): void {
    if (this.#isClosed || this.#pending.size === 0) return;
    const askedAtMs = this.#env.clock.monotonicMs();
    this.#writer.write(FRAME_TYPE.ping, 0, EMPTY);
    this.#env.clock.setTimer(PROBE_TIMEOUT_MS, () => {
      if (this.#lastHeardMs <= askedAtMs) this.close(new Error('i/o timeout'));
    });
  }

  close(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer.cancel();
    this.#writer.close();
    this.#socket.destroy();
    const reason = error === undefined ? 'EOF' : reasonOf(error);
    for (const [id, call] of this.#pending) {
      const failure = call.isWritten ? connectionLost(reason, error) : unreachable(reason, error);
      this.#settle(id, call)?.reject(failure);
    }
    this.#onClose();
  }

  #refusal(): ConsulError | undefined {
    if (this.#isClosed) return unreachable('connection closed');
    if (this.#pending.size >= MAX_IN_FLIGHT) return unreachable('too many requests in flight');
    if (this.#writer.queuedBytes > MAX_QUEUED_BYTES) return unreachable('peer does not keep up');
    return undefined;
  }

  /** Ids wrap after 2^32 calls; one that is still in use is skipped. */
  #takeId(): number {
    do {
      this.#nextId = this.#nextId === 0xffff_ffff ? 1 : this.#nextId + 1;
    } while (this.#pending.has(this.#nextId));
    return this.#nextId;
  }

  #markWritten(): void {
    for (const call of this.#unwritten) call.isWritten = true;
    this.#unwritten = [];
  }

  #abort(id: number): void {
    const call = this.#pending.get(id);
    if (call === undefined) return;
    this.#writer.write(FRAME_TYPE.cancel, id, EMPTY);
    this.#settle(id, call)?.reject(call.signal?.reason);
  }

  #settle(id: number, call: PendingCall): PendingCall | undefined {
    if (!this.#pending.delete(id)) return undefined;
    if (call.onAbort !== undefined) call.signal?.removeEventListener('abort', call.onAbort);
    this.#lastUsedMs = this.#env.clock.monotonicMs();
    return call;
  }

  #receive(chunk: Buffer): void {
    this.#lastHeardMs = this.#env.clock.monotonicMs();
    try {
      this.#decoder.push(chunk, (type, id, payload) => this.#onFrame(type, id, payload));
    } catch (error) {
      this.close(toConsulError(error));
    }
  }

  #onFrame(type: number, id: number, payload: Buffer): void {
    if (type === FRAME_TYPE.pong) return;
    // An answer to a call that was aborted in the meantime finds nobody waiting.
    const call = this.#pending.get(id);
    if (call === undefined) return;
    let reply: RpcReply | undefined;
    try {
      reply = type === FRAME_TYPE.error ? undefined : unpackReply(call.kind, type, payload);
    } catch (error) {
      this.#settle(id, call)?.reject(toConsulError(error));
      return;
    }
    const waiting = this.#settle(id, call);
    if (reply === undefined) waiting?.reject(asRemoteError(unpackError(payload)));
    else waiting?.resolve(reply);
  }

  #check(): void {
    const silentMs = this.#env.clock.monotonicMs() - this.#lastHeardMs;
    if (this.#pending.size === 0) {
      this.#lastHeardMs = this.#env.clock.monotonicMs();
    } else if (silentMs >= DEAD_AFTER_MS) {
      this.close(new Error('i/o timeout'));
      return;
    } else if (silentMs >= CHECK_INTERVAL_MS) {
      this.#writer.write(FRAME_TYPE.ping, 0, EMPTY);
    }
    this.#timer = this.#env.clock.setTimer(CHECK_INTERVAL_MS, () => this.#check());
  }
}

function packOrError(request: RpcRequest): Buffer | ConsulError {
  try {
    const payload = packRequest(request);
    if (payload.length <= MAX_REQUEST_BYTES) return payload;
    return new ConsulError('too-large', 413, `request of ${payload.length} bytes is too large`);
  } catch (error) {
    return new ConsulError('bad-request', 400, toConsulError(error).message, { cause: error });
  }
}

function unpackReply(kind: RpcRequest['kind'], type: number, payload: Buffer): RpcReply {
  if (kind === 'json' && type === FRAME_TYPE.json) return { kind, reply: unpackJson(payload) };
  if (kind === 'read' && type === FRAME_TYPE.value) return { kind, reply: unpackRead(payload) };
  if (kind === 'write' && type === FRAME_TYPE.value) return { kind, result: unpackValue(payload) };
  throw new ConsulError('internal', 500, `unexpected frame type ${type} from peer`);
}
