/** All streams to and from peers: outgoing links by id, incoming streams with their framing and their limits. */

import type { Env } from '../../../shared/env.ts';
import type { Logger } from '../../../shared/log.ts';
import {
  decodeHello,
  decodeMessage,
  encodeMessages,
  PROTOCOL_VERSION,
  type WireMessage,
} from '../transport/codec.ts';
import { FrameReader } from '../transport/frame-reader.ts';
import { PeerLink } from '../transport/peer-link.ts';
import type { NodeId, PeerNetwork, PeerStream, RaftPeer } from '../types.ts';

export interface PeersOptions {
  readonly id: NodeId;
  readonly address: string;
  readonly network: PeerNetwork;
  readonly env: Env;
  readonly log: Logger;
  readonly silenceMs: number;
  /** The configured peer, undefined when it is in no configuration known here. */
  readonly peerById: (id: NodeId) => RaftPeer | undefined;
  readonly onMessage: (from: NodeId, message: WireMessage) => void;
  /** The stream on which the peer spoke has ended. */
  readonly onSpeakerGone: (from: NodeId) => void;
  /** What was sent to the peer may be lost. */
  readonly onLost: (id: NodeId) => void;
}

/** More than any cluster needs; keeps strangers from holding memory. */
const MAX_INCOMING_STREAMS = 256;
const MAX_SPEAKERS = 1024;

export class Peers {
  readonly #options: PeersOptions;
  readonly #links = new Map<NodeId, PeerLink>();
  readonly #incoming = new Set<PeerStream>();
  /** The newest stream of each peer, and where the peer says it can be reached. */
  readonly #speakers = new Map<NodeId, { readonly stream: PeerStream; readonly address: string }>();
  #isClosed = false;

  constructor(options: PeersOptions) {
    this.#options = options;
    options.network.onStream((stream) => this.#accept(stream));
  }

  /** Sends to a peer; lost without notice when it cannot be reached. */
  send(to: NodeId, messages: readonly WireMessage[]): void {
    this.#link(to)?.send(messages);
  }

  /** As `send`, to several; what is the same for all is encoded once. */
  sendAll(batches: ReadonlyMap<NodeId, readonly WireMessage[]>): void {
    let before: readonly WireMessage[] = [];
    let bytes: Uint8Array | undefined;
    for (const [to, messages] of batches) {
      const isSame = bytes !== undefined && isSameBatch(messages, before);
      bytes = isSame ? bytes : encodeMessages(messages);
      before = messages;
      if (bytes !== undefined) this.#link(to)?.sendEncoded(bytes);
    }
  }

  isWritable(to: NodeId): boolean {
    return this.#links.get(to)?.isWritable ?? false;
  }

  /** Where the peer said it is, when it last connected. */
  addressOf(id: NodeId): string | undefined {
    return this.#speakers.get(id)?.address;
  }

  /** Closes the links to all but these. */
  retain(isNeeded: (id: NodeId) => boolean | undefined): void {
    for (const [id, link] of this.#links) {
      if (isNeeded(id)) continue;
      link.close();
      this.#links.delete(id);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const link of this.#links.values()) link.close();
    for (const stream of this.#incoming) stream.close();
    this.#links.clear();
    this.#incoming.clear();
  }

  #link(id: NodeId): PeerLink | undefined {
    const known = this.#links.get(id);
    if (known !== undefined || this.#isClosed) return known;
    const { network, env, silenceMs } = this.#options;
    const peer = () => this.#whereabouts(id);
    if (peer().address === '') return undefined;
    const link = new PeerLink({
      network,
      env,
      silenceMs,
      peer,
      hello: () => ({
        version: PROTOCOL_VERSION,
        from: this.#options.id,
        to: id,
        address: this.#options.address,
      }),
      onLost: () => this.#options.onLost(id),
    });
    this.#links.set(id, link);
    return link;
  }

  /** Where the peer said it is goes before what the configuration says: servers may move between restarts. */
  #whereabouts(id: NodeId): RaftPeer {
    const known = this.#options.peerById(id);
    return {
      id,
      address: this.addressOf(id) ?? known?.address ?? '',
      isVoter: known?.isVoter ?? false,
    };
  }

  #accept(stream: PeerStream): void {
    if (this.#isClosed || this.#incoming.size >= MAX_INCOMING_STREAMS) {
      stream.close();
      return;
    }
    this.#incoming.add(stream);
    const reader = new FrameReader();
    let from: NodeId | undefined;
    stream.onClose(() => {
      this.#incoming.delete(stream);
      if (from !== undefined && this.#speakers.get(from)?.stream === stream)
        this.#options.onSpeakerGone(from);
    });
    stream.onData((bytes) => {
      if (!this.#incoming.has(stream)) return;
      try {
        for (const payload of reader.push(bytes)) {
          if (from === undefined) from = this.#greet(stream, payload);
          else this.#receive(from, payload);
        }
      } catch (error) {
        this.#drop(stream, from, error);
      }
    });
  }

  #greet(stream: PeerStream, payload: Uint8Array): NodeId {
    const hello = decodeHello(payload);
    if (hello.to !== this.#options.id)
      throw new Error(`message for server ${hello.to} reached ${this.#options.id}`);
    const before = this.#speakers.get(hello.from);
    if (before === undefined && this.#speakers.size >= MAX_SPEAKERS)
      throw new Error('too many servers have connected');
    this.#speakers.set(hello.from, { stream, address: hello.address });
    before?.stream.close();
    return hello.from;
  }

  #receive(from: NodeId, payload: Uint8Array): void {
    const message = decodeMessage(payload);
    this.#links.get(from)?.heard();
    this.#options.onMessage(from, message);
  }

  /** Whatever sent this cannot be understood any further; Raft repairs what is lost. */
  #drop(stream: PeerStream, from: NodeId | undefined, error: unknown): void {
    this.#incoming.delete(stream);
    const text = error instanceof Error ? error.message : String(error);
    this.#options.log.warn('failed to decode incoming command', { from, error: text });
    stream.close();
  }
}

/** Whether these are the very same messages: the core gives peers that stand alike one message. */
function isSameBatch(messages: readonly WireMessage[], others: readonly WireMessage[]): boolean {
  return messages.length === others.length && messages.every((message, i) => message === others[i]);
}
