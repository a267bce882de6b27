/** The answering side of one connection. */

import type { Socket } from 'node:net';
import type { Env, Timer } from '../../shared/env.ts';
import { ConsulError, toConsulError } from '../../shared/errors.ts';
import { FRAME_TYPE, FrameDecoder, FrameError, MAX_REPLY_BYTES, MAX_REQUEST_BYTES } from './frame.ts';
import { FrameWriter } from './frame-writer.ts';
import {
  jsonHead,
  packError,
  packRead,
  packValue,
  type RpcReply,
  type RpcRequest,
  unpackRequest,
} from './messages.ts';

/** Answers requests from other agents. */
export interface RpcService {
  /**
   * @param signal given for requests that may wait; fires when the caller gave up or its connection ended
   * @throws ConsulError, also by rejection
   */
  answer(request: RpcRequest, signal: AbortSignal | undefined): Promise<RpcReply>;
}

const MAX_IN_FLIGHT = 16_384;
/** Reading pauses while so much is waiting to be sent: a peer that asks but does not read must not fill the memory. */
const PAUSE_ABOVE_BYTES = 16 * 1024 * 1024;
const IDLE_CHECK_MS = 60_000;
/** A connection with nothing in flight and no frame for so long is closed. */
const IDLE_LIMIT_MS = 600_000;
const EMPTY = new Uint8Array(0);

/** Invariant: `#inFlight` has an entry per unanswered request; its value can cancel the ones that may wait. */
export class ServerConnection {
  readonly #env: Env;
  readonly #socket: Socket;
  readonly #service: RpcService;
  readonly #writer: FrameWriter;
  readonly #decoder = new FrameDecoder(MAX_REQUEST_BYTES);
  readonly #onClose: () => void;
  readonly #inFlight = new Map<number, AbortController | undefined>();
  #lastHeardMs: number;
  #isClosed = false;
  #timer: Timer;

  /** @param socket connected, preface already read */
  constructor(socket: Socket, service: RpcService, env: Env, onClose: () => void) {
    this.#socket = socket;
    this.#service = service;
    this.#env = env;
    this.#onClose = onClose;
    this.#writer = new FrameWriter(socket);
    this.#lastHeardMs = env.clock.monotonicMs();
    this.#timer = env.clock.setTimer(IDLE_CHECK_MS, () => this.#closeWhenIdle());
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('drain', () => socket.resume());
    socket.on('error', () => this.close());
    socket.on('close', () => this.close());
  }

  receive(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.#lastHeardMs = this.#env.clock.monotonicMs();
    try {
      this.#decoder.push(chunk, (type, id, payload) => this.#onFrame(type, id, payload));
    } catch {
      // Whoever sends garbage gets no explanation: it does not speak this protocol.
      this.close();
      return;
    }
    if (this.#socket.writableLength > PAUSE_ABOVE_BYTES) this.#socket.pause();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer.cancel();
    this.#writer.close();
    this.#socket.destroy();
    const gone = new ConsulError('shutting-down', 500, 'caller disconnected');
    for (const controller of this.#inFlight.values()) controller?.abort(gone);
    this.#inFlight.clear();
    this.#onClose();
  }

  #onFrame(type: number, id: number, payload: Buffer): void {
    switch (type) {
      case FRAME_TYPE.request:
        this.#onRequest(id, payload);
        return;
      case FRAME_TYPE.cancel:
        this.#onCancel(id);
        return;
      case FRAME_TYPE.ping:
        this.#writer.write(FRAME_TYPE.pong, id, EMPTY);
        return;
      default:
        throw new FrameError(`unexpected frame type ${type}`);
    }
  }

  #onRequest(id: number, payload: Buffer): void {
    if (this.#inFlight.has(id)) throw new FrameError(`request id ${id} is in use`);
    if (this.#inFlight.size >= MAX_IN_FLIGHT) {
      this.#sendError(id, new ConsulError('rate-limited', 429, 'RPC rate limit exceeded'));
      return;
    }
    let request: RpcRequest;
    try {
      request = unpackRequest(payload);
    } catch (error) {
      this.#sendError(id, toConsulError(error));
      return;
    }
    const controller = request.kind !== 'write' && request.minIndex > 0 ? new AbortController() : undefined;
    this.#inFlight.set(id, controller);
    void this.#answer(id, request, controller?.signal);
  }

  async #answer(id: number, request: RpcRequest, signal: AbortSignal | undefined): Promise<void> {
    try {
      const reply = await this.#service.answer(request, signal);
      // Absent when the caller cancelled: it forgot the id, and may use it again.
      if (this.#inFlight.delete(id)) this.#sendReply(id, reply);
    } catch (error) {
      if (this.#inFlight.delete(id)) this.#sendError(id, toConsulError(error));
    }
  }

  #onCancel(id: number): void {
    const controller = this.#inFlight.get(id);
    if (controller === undefined) return;
    this.#inFlight.delete(id);
    controller.abort(new ConsulError('timeout', 500, 'canceled', { applied: 'no' }));
  }

  #sendReply(id: number, reply: RpcReply): void {
    if (reply.kind === 'json') {
      const { body } = reply.reply;
      if (!this.#fits(id, body.length)) return;
      this.#writer.write(FRAME_TYPE.json, id, jsonHead(reply.reply), body);
      return;
    }
    const payload = reply.kind === 'read' ? packRead(reply.reply) : packValue(reply.result);
    if (this.#fits(id, payload.length)) this.#writer.write(FRAME_TYPE.value, id, payload);
  }

  #fits(id: number, bytes: number): boolean {
    // Leaves room for what stands before a rendered text.
    if (bytes <= MAX_REPLY_BYTES - 64) return true;
    this.#sendError(id, new ConsulError('too-large', 500, `answer of ${bytes} bytes is too large`));
    return false;
  }

  #sendError(id: number, error: ConsulError): void {
    this.#writer.write(FRAME_TYPE.error, id, packError(error));
  }

  #closeWhenIdle(): void {
    const idleMs = this.#env.clock.monotonicMs() - this.#lastHeardMs;
    if (this.#inFlight.size === 0 && idleMs >= IDLE_LIMIT_MS) {
      this.close();
      return;
    }
    this.#timer = this.#env.clock.setTimer(IDLE_CHECK_MS, () => this.#closeWhenIdle());
  }
}
