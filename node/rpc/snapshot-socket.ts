/**
 * A connection that carries one snapshot: frames `length u32 · bytes`, and a frame without bytes where a stream of them
 * ends. Neither side holds more than a few frames, however large the snapshot is.
 */

import type { Socket } from 'node:net';
import type { Env, Timer } from '../../shared/env.ts';
import { connectionLost } from './rpc-errors.ts';

const LENGTH_BYTES = 4;
const MAX_FRAME_BYTES = 1024 * 1024;
/** Long enough for a leader to check and apply what it got last. */
const SILENCE_LIMIT_MS = 120_000;
const EMPTY = Buffer.alloc(0);

/** The bytes in parts that fit a frame. */
export function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += MAX_FRAME_BYTES) yield bytes.subarray(at, at + MAX_FRAME_BYTES);
}

/** Invariant: `#held` is what was received and not yet taken; the socket is paused while nobody reads. */
export class SnapshotSocket {
  readonly #socket: Socket;
  readonly #source: AsyncIterator<Buffer>;
  readonly #env: Env;
  #held: Buffer = EMPTY;
  #progressAtMs: number;
  #timer: Timer | undefined;

  /** @param socket connected, preface behind it */
  constructor(socket: Socket, env: Env) {
    this.#socket = socket;
    this.#env = env;
    this.#progressAtMs = env.clock.monotonicMs();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#timer?.cancel());
    this.#source = socket.iterator({ destroyOnReturn: true });
    this.#watch();
  }

  close(): void {
    this.#timer?.cancel();
    this.#socket.destroy();
  }

  /** Says goodbye once everything written has gone out. */
  end(): void {
    this.#socket.end();
  }

  /** Resolves when there is room for more; rejects when the peer is gone. @param bytes at most one frame, not empty */
  write(bytes: Uint8Array): Promise<void> {
    return this.#writeFrame(bytes);
  }

  /** The end of a stream of frames. */
  writeEnd(): Promise<void> {
    return this.#writeFrame(EMPTY);
  }

  /** All chunks, then the end of the stream. Rejects with the source's failure too. */
  async writeStream(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const chunk of chunks) for (const piece of pieces(chunk)) await this.#writeFrame(piece);
    await this.writeEnd();
  }

  /** The next frame; undefined at the end of a stream. Rejects when the connection ends first. */
  async read(): Promise<Buffer | undefined> {
    await this.#fill(LENGTH_BYTES);
    const length = this.#held.readUInt32BE(0);
    if (length > MAX_FRAME_BYTES) throw connectionLost('frame is too long');
    await this.#fill(LENGTH_BYTES + length);
    const frame = this.#held.subarray(LENGTH_BYTES, LENGTH_BYTES + length);
    this.#held = this.#held.subarray(LENGTH_BYTES + length);
    return length === 0 ? undefined : frame;
  }

  /** The frames up to the end of the stream. */
  async *readStream(): AsyncGenerator<Buffer> {
    for (;;) {
      const frame = await this.read();
      if (frame === undefined) return;
      yield frame;
    }
  }

  async #fill(count: number): Promise<void> {
    if (this.#held.length >= count) return;
    const parts = [this.#held];
    let length = this.#held.length;
    while (length < count) {
      const next = await this.#source.next().catch((error: unknown) => {
        throw connectionLost(error instanceof Error ? error.message : String(error), error);
      });
      if (next.done === true) throw connectionLost('EOF');
      this.#progressAtMs = this.#env.clock.monotonicMs();
      parts.push(next.value);
      length += next.value.length;
    }
    this.#held = Buffer.concat(parts, length);
  }

  #writeFrame(bytes: Uint8Array): Promise<void> {
    const socket = this.#socket;
    const header = Buffer.allocUnsafe(LENGTH_BYTES);
    header.writeUInt32BE(bytes.length);
    if (!socket.writable) return Promise.reject(connectionLost('EOF'));
    socket.cork();
    socket.write(header);
    const hasRoom = bytes.length === 0 || socket.write(bytes);
    socket.uncork();
    this.#progressAtMs = this.#env.clock.monotonicMs();
    return hasRoom && !socket.writableNeedDrain ? Promise.resolve() : this.#drained();
  }

  #drained(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve, reject) => {
      const onDrain = () => {
        socket.off('close', onClose);
        resolve();
      };
      const onClose = () => {
        socket.off('drain', onDrain);
        reject(connectionLost('EOF'));
      };
      socket.once('drain', onDrain);
      socket.once('close', onClose);
      if (socket.destroyed) onClose();
    });
  }

  #watch(): void {
    const silentMs = this.#env.clock.monotonicMs() - this.#progressAtMs;
    if (silentMs >= SILENCE_LIMIT_MS) this.close();
    else this.#timer = this.#env.clock.setTimer(SILENCE_LIMIT_MS - silentMs, () => this.#watch());
  }
}
