/** Everything a pool does over streams: full state exchanges, pings over TCP, and answering both. */

import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import { hostPort } from './codec/ip-address.ts';
import { MessageType } from './codec/message-type.ts';
import { decodeErrorMessage, decodeMessage, encodeErrorMessage, encodeMessage } from './codec/messages.ts';
import { MsgpackReader, tryDecode } from './codec/msgpack-reader.ts';
import { decodePushPull, encodePushPull, type PushPull } from './codec/push-pull.ts';
import { openStream, readUserMessageLength, sealStream } from './codec/stream.ts';
import type { Endpoint, GossipStream, GossipTransport } from './gossip-transport.ts';
import type { PoolDriver } from './pool-driver.ts';
import { claimedMember } from './serf/member-table.ts';
import { receiveSealed } from './stream-exchange.ts';
import type { SwimEffect } from './swim/context.ts';
import type { GossipConfig } from './types.ts';

/** Inbound streams served at a time; further ones are closed at once. */
const MAX_INBOUND = 128;

export interface ExchangeOptions {
  readonly isJoin: boolean;
  readonly ignoreOldEvents: boolean;
}

/** Invariant: `#inbound` counts the streams being served and is at most `MAX_INBOUND`. */
export class StateExchange {
  readonly #config: GossipConfig;
  readonly #driver: PoolDriver;
  readonly #transport: GossipTransport;
  readonly #env: Env;
  readonly #log: Logger;
  #inbound = 0;

  constructor(
    driver: PoolDriver,
    setup: { config: GossipConfig; env: Env; log: Logger; transport: GossipTransport },
  ) {
    this.#driver = driver;
    this.#config = setup.config;
    this.#transport = setup.transport;
    this.#env = setup.env;
    this.#log = setup.log.named('memberlist').named(setup.config.pool);
  }

  /**
   * Exchanges full states with a peer and merges what it says.
   *
   * @throws Error when it cannot be reached, does not answer in time, answers with an error, or may not be merged
   */
  async pushPull(to: Endpoint, options: ExchangeOptions): Promise<void> {
    const request = this.#localState(options.isJoin);
    const message = await this.#request(to, request, this.#config.timers.tcpTimeoutMs);
    const remoteError = decodeErrorMessage(message);
    if (remoteError !== undefined) throw new Error(`remote error: ${remoteError}`);
    const exchange = decodePushPull(message);
    if (exchange === undefined)
      throw new Error(`received invalid msgType (${message[0]}), expected pushPullMsg (6)`);
    const refusal = this.#merge(exchange, options.isJoin, options.ignoreOldEvents);
    if (refusal !== undefined) throw new Error(refusal);
  }

  /** A ping over TCP, for when datagrams get lost. Feeds its outcome back to the failure detector. */
  async tcpPing(effect: Extract<SwimEffect, { kind: 'tcp-ping' }>): Promise<void> {
    let isReached = false;
    try {
      const answer = decodeMessage(await this.#request(effect, effect.message, effect.timeoutMs));
      isReached = answer?.type === 'ack' && answer.seqNo === effect.seqNo;
    } catch (thrown) {
      this.#log.debug(`memberlist: Failed fallback ping: ${textOf(thrown)}`);
    }
    this.#driver.feedSwim({ kind: 'tcp-ping-result', seqNo: effect.seqNo, isReached });
  }

  /** Serves one inbound stream. Whatever the peer sends, it does not reject. */
  async serve(stream: GossipStream): Promise<void> {
    if (this.#inbound >= MAX_INBOUND) {
      this.#log.error('memberlist: Too many pending push/pull requests');
      stream.destroy();
      return;
    }
    this.#inbound += 1;
    const from = `from=${hostPort(stream.remote.host, stream.remote.port)}`;
    const sealed = await this.#received(stream, from);
    this.#inbound -= 1;
    if (sealed === undefined) {
      stream.destroy();
      return;
    }
    const opened = openStream(sealed, this.#driver.security);
    if (opened.kind === 'message') this.#answer(stream, opened.message, from);
    else {
      this.#log.error(`memberlist: failed to receive: ${opened.problem} ${from}`);
      stream.write(this.#sealed(encodeErrorMessage(opened.problem)));
    }
    this.#close(stream);
  }

  async #received(stream: GossipStream, from: string): Promise<Uint8Array | undefined> {
    try {
      return await receiveSealed(stream, this.#env.clock, this.#config.timers.tcpTimeoutMs);
    } catch (thrown) {
      // A peer that connects and goes away again, such as a health check, is not worth a warning.
      this.#log.debug(`memberlist: failed to receive: ${textOf(thrown)} ${from}`);
      return undefined;
    }
  }

  #answer(stream: GossipStream, message: Uint8Array, from: string): void {
    switch (message[0]) {
      case MessageType.ping:
        this.#answerPing(stream, message, from);
        return;
      case MessageType.pushPull:
        this.#answerPushPull(stream, message, from);
        return;
      case MessageType.user:
        this.#takeUserMessage(message, from);
        return;
      default:
        this.#log.error(`memberlist: Received invalid msgType (${message[0] ?? 'none'}) ${from}`);
    }
  }

  #answerPing(stream: GossipStream, message: Uint8Array, from: string): void {
    const ping = decodeMessage(message);
    if (ping?.type !== 'ping') {
      this.#log.error(`memberlist: Failed to decode ping ${from}`);
      return;
    }
    if (ping.node !== '' && ping.node !== this.#config.nodeName) {
      this.#log.warn(`memberlist: Got ping for unexpected node ${ping.node} ${from}`);
      return;
    }
    const ack = { type: 'ack', seqNo: ping.seqNo, payload: new Uint8Array(0) } as const;
    stream.write(this.#sealed(encodeMessage(ack)));
  }

  #answerPushPull(stream: GossipStream, message: Uint8Array, from: string): void {
    const exchange = decodePushPull(message);
    if (exchange === undefined) {
      this.#log.error(`memberlist: Failed to read remote state: malformed ${from}`);
      return;
    }
    // Our state goes out first, as with every peer: so the other side never learns of a refusal here.
    stream.write(this.#sealed(this.#localState(exchange.isJoin)));
    const refusal = this.#merge(exchange, exchange.isJoin, false);
    if (refusal !== undefined) this.#log.error(`memberlist: Failed push/pull merge: ${refusal} ${from}`);
  }

  #takeUserMessage(message: Uint8Array, from: string): void {
    const payload = tryDecode(() => {
      const reader = new MsgpackReader(message, 1);
      return reader.verbatim(readUserMessageLength(reader));
    });
    if (payload === undefined) this.#log.error(`memberlist: Failed to receive user message ${from}`);
    else if (payload.length > 0) this.#driver.feedSerf({ kind: 'user-message', bytes: payload });
  }

  /** @returns why it may not be merged, or undefined once it is */
  #merge(exchange: PushPull, isJoin: boolean, ignoreOldEvents: boolean): string | undefined {
    const { nodes, userState } = exchange;
    const conflict = this.#driver.swim.mergeConflict(nodes);
    if (conflict !== undefined) return conflict;
    if (isJoin) {
      const members = nodes.map((node) =>
        claimedMember(node.name, node, node.state === 'left' ? 'left' : 'none'),
      );
      const refusal = this.#config.mergeCheck(members, true);
      if (refusal !== undefined) return refusal;
    }
    this.#driver.feedSwim({ kind: 'merge', nodes });
    if (userState.length > 0)
      this.#driver.feedSerf({ kind: 'merge', bytes: userState, isJoin, ignoreOldEvents });
    return undefined;
  }

  #localState(isJoin: boolean): Uint8Array {
    const { swim, serf } = this.#driver;
    return encodePushPull({ isJoin, nodes: swim.table(), userState: serf.localState() });
  }

  /** One message there, one back, within the time. @throws Error */
  async #request(to: Endpoint, message: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const { clock } = this.#env;
    const startedAtMs = clock.monotonicMs();
    const stream = await this.#transport.connect(to, timeoutMs);
    try {
      const leftMs = Math.max(0, timeoutMs - (clock.monotonicMs() - startedAtMs));
      const answer = receiveSealed(stream, clock, leftMs);
      stream.write(this.#sealed(message));
      const opened = openStream(await answer, this.#driver.security);
      if (opened.kind === 'refused') throw new Error(opened.problem);
      return opened.message;
    } finally {
      stream.destroy();
    }
  }

  /** Lets the answer go out, but does not wait for ever for a peer that does not read it. */
  #close(stream: GossipStream): void {
    stream.end();
    this.#env.clock.setTimer(this.#config.timers.tcpTimeoutMs, () => stream.destroy());
  }

  #sealed(message: Uint8Array): Uint8Array {
    return sealStream(message, this.#driver.security, this.#driver.nonce);
  }
}

export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
