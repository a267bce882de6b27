/** The stream to one peer: dialled when there is something to say, dialled again with back-off when it fails. */

import type { Env, Timer } from '../../../shared/env.ts';
import { ByteWriter } from '../bytes.ts';
import type { PeerNetwork, PeerStream, RaftPeer } from '../types.ts';
import { encodeChunkHead, encodeHello, encodeMessages, type Hello, type WireMessage } from './codec.ts';

export interface PeerLinkOptions {
  readonly network: PeerNetwork;
  readonly env: Env;
  readonly hello: () => Hello;
  /** Where the peer is now. */
  readonly peer: () => RaftPeer;
  /** A dial that takes longer counts as failed; a stream on which nothing is answered for longer is given up. */
  readonly silenceMs: number;
  /** The link failed or is overfull: what was sent may be lost. */
  readonly onLost: () => void;
}

const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 500;
/**
 * What waits for a stream that is not ready to take more; beyond that messages are dropped, which Raft repairs. Twice
 * what the core has in flight to a peer (see driver/options.ts), so that only a flood of something else gets there.
 */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

/**
 * Invariant: at most one of `#stream`, a dial under way and `#retry` exists. `#waiting` holds whole frames, in order,
 * that the stream has yet to take.
 */
export class PeerLink {
  readonly #options: PeerLinkOptions;
  #stream: PeerStream | undefined;
  #isDialling = false;
  #isPaused = false;
  #isClosed = false;
  #retry: Timer | undefined;
  #retryMs = FIRST_RETRY_MS;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** When something was sent that has not been answered by any message of the peer. */
  #unansweredSinceMs: number | undefined;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
  }

  /** True when the stream takes bytes without piling up. */
  get isWritable(): boolean {
    return this.#stream !== undefined && !this.#isPaused;
  }

  /** Sends the messages. The bytes of a piece of a snapshot are not copied. */
  send(messages: readonly WireMessage[]): void {
    const [first] = messages;
    if (messages.length === 1 && first?.kind === 'snapshot-chunk')
      this.#sendTogether([encodeChunkHead(first), first.bytes]);
    else this.sendEncoded(encodeMessages(messages));
  }

  /** Sends whole frames; the bytes must not change any more. */
  sendEncoded(bytes: Uint8Array): void {
    this.#sendTogether([bytes]);
  }

  /** All parts, which make whole frames together, or none. */
  #sendTogether(parts: readonly Uint8Array[]): void {
    if (this.#isClosed) return;
    this.#giveUpSilentStream();
    const stream = this.#stream;
    if (stream !== undefined && !this.#isPaused) {
      for (const part of parts) this.#write(stream, part);
      return;
    }
    // Soon after a failure messages are dropped: by the time of the next try they would be old.
    if (this.#retry !== undefined) return;
    this.#keep(parts);
    if (this.#stream === undefined) this.#dial();
  }

  /** Something came from the peer, on whichever stream: it is alive. */
  heard(): void {
    this.#unansweredSinceMs = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#waiting = [];
    this.#stream?.close();
    this.#stream = undefined;
  }

  #write(stream: PeerStream, bytes: Uint8Array): void {
    this.#unansweredSinceMs ??= this.#options.env.clock.monotonicMs();
    if (!stream.write(bytes)) this.#isPaused = true;
  }

  #keep(parts: readonly Uint8Array[]): void {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (this.#waitingBytes + bytes > MAX_WAITING_BYTES && this.#waitingBytes > 0) {
      this.#options.onLost();
      return;
    }
    this.#waiting.push(...parts);
    this.#waitingBytes += bytes;
  }

  /** A host that vanished answers nothing, and its stream may take minutes to fail by itself. */
  #giveUpSilentStream(): void {
    const since = this.#unansweredSinceMs;
    if (this.#stream === undefined || since === undefined) return;
    if (this.#options.env.clock.monotonicMs() - since < this.#options.silenceMs) return;
    const stream = this.#stream;
    this.#failed(stream);
    stream.close();
  }

  #dial(): void {
    if (this.#isDialling || this.#isClosed) return;
    this.#isDialling = true;
    let isOver = false;
    const end = (stream: PeerStream | undefined) => {
      if (isOver || this.#isClosed) {
        stream?.close();
        return;
      }
      isOver = true;
      timeout.cancel();
      this.#isDialling = false;
      if (stream === undefined) this.#waitAndRetry();
      else this.#connected(stream);
    };
    const timeout = this.#options.env.clock.setTimer(this.#options.silenceMs, () => end(undefined));
    this.#options.network.dial(this.#options.peer()).then(end, () => end(undefined));
  }

  #connected(stream: PeerStream): void {
    this.#stream = stream;
    this.#isPaused = false;
    this.#unansweredSinceMs = undefined;
    this.#retryMs = FIRST_RETRY_MS;
    stream.onDrain(() => {
      if (this.#stream !== stream) return;
      this.#isPaused = false;
      this.#flush(stream);
    });
    stream.onClose(() => this.#failed(stream));
    // Nothing is said on a stream by who accepted it; reading keeps it from stalling.
    stream.onData(() => {});
    const writer = new ByteWriter(128);
    encodeHello(writer, this.#options.hello());
    this.#waiting.unshift(writer.finish());
    this.#flush(stream);
  }

  #flush(stream: PeerStream): void {
    if (this.#waiting.length === 0) return;
    const bytes = this.#waiting.length === 1 ? this.#waiting[0] : Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (bytes !== undefined) this.#write(stream, bytes);
  }

  #failed(stream: PeerStream): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    this.#unansweredSinceMs = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (this.#isClosed) return;
    this.#options.onLost();
    this.#waitAndRetry();
  }

  /** What waits is dropped; the next message after the delay dials. */
  #waitAndRetry(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    const { env } = this.#options;
    const delayMs = this.#retryMs * (0.5 + env.random.next() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    this.#retry = env.clock.setTimer(delayMs, () => {
      this.#retry = undefined;
    });
  }
}
