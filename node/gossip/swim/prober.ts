/** The failure detector: one node at a time is pinged directly, then through others and over TCP, before it is suspected. */

import { ipText } from '../codec/ip-address.ts';
import { type Ack, encodeMessage, type IndirectPing, type Ping } from '../codec/messages.ts';
import { log, type SwimContext, snapshotOf } from './context.ts';
import { isDeadOrLeft, type SwimNode } from './node-table.ts';
import { sendWithBroadcasts } from './packet-fill.ts';
import { hearSuspect } from './rules.ts';

const INDIRECT_CHECKS = 3;
/** Pings relayed for others at a time: a bound against a flood of indirect pings. */
const MAX_RELAYS = 4096;
/** From this protocol maximum on, peers answer TCP pings, understand nacks, or understand checksums. */
const TCP_PING_PROTOCOL = 3;
const NACK_PROTOCOL = 4;
export const CRC_PROTOCOL = 5;

interface Probe {
  readonly seqNo: number;
  readonly node: SwimNode;
  /** What the accusation will name: a refutation in the meantime voids it. */
  readonly incarnation: number;
  readonly sentAtMs: number;
  readonly endsAtMs: number;
  isIndirect: boolean;
  isReachedByTcp: boolean;
  expectedNacks: number;
  nacks: number;
}

/** A ping sent on behalf of another node. */
interface Relay {
  readonly host: string;
  readonly port: number;
  readonly requesterSeqNo: number;
  readonly wantsNack: boolean;
}

/** Invariant: at most one probe runs at a time; `#relays` is keyed by own sequence numbers and holds at most `MAX_RELAYS`. */
export class Prober {
  readonly #context: SwimContext;
  readonly #relays = new Map<number, Relay>();
  #probe: Probe | undefined;
  /** The interval passed while a slow probe was running: the next one starts right after it. */
  #isOverdue = false;
  #seqNo = 0;

  constructor(context: SwimContext) {
    this.#context = context;
  }

  /** A probe interval has begun. */
  begin(): void {
    if (this.#probe !== undefined) {
      this.#isOverdue = true;
      return;
    }
    const { nodes, config, nowMs } = this.#context;
    const node = nodes.nextInTurn(
      (candidate) => candidate.name !== config.nodeName && !isDeadOrLeft(candidate),
      (candidate) =>
        isDeadOrLeft(candidate) &&
        candidate.name !== config.nodeName &&
        nowMs - candidate.changedAtMs > config.timers.gossipToTheDeadMs,
    );
    if (node !== undefined) this.#start(node);
  }

  #start(node: SwimNode): void {
    const { awareness, config, deadlines, effects, nowMs } = this.#context;
    const seqNo = this.#nextSeqNo();
    const endsAtMs = nowMs + awareness.scaled(config.timers.probeIntervalMs);
    const { incarnation } = node;
    this.#probe = {
      seqNo,
      node,
      incarnation,
      sentAtMs: nowMs,
      endsAtMs,
      isIndirect: false,
      isReachedByTcp: false,
      expectedNacks: 0,
      nacks: 0,
    };
    deadlines.set(nowMs + config.timers.probeTimeoutMs, { kind: 'probe-timeout', seqNo });
    deadlines.set(endsAtMs, { kind: 'probe-end', seqNo });
    const ping = this.#ping(seqNo, node.name);
    if (node.state === 'alive') {
      sendWithBroadcasts(this.#context, node.host, node.port, ping);
      return;
    }
    // Telling a suspect of the suspicion with the ping lets it refute at once.
    const suspect = { type: 'suspect', incarnation, node: node.name, from: config.nodeName } as const;
    effects.push({
      kind: 'send',
      host: node.host,
      port: node.port,
      messages: [encodeMessage(ping), encodeMessage(suspect)],
      withCrc: node.versions[1] >= CRC_PROTOCOL,
    });
  }

  /** No direct answer in time: ask others to try, and try over TCP. */
  onTimeout(seqNo: number): void {
    const probe = this.#probe;
    if (probe?.seqNo !== seqNo || probe.isIndirect) return;
    const { config, effects, nodes, nowMs } = this.#context;
    const { node } = probe;
    probe.isIndirect = true;
    log(this.#context, 'DEBUG', `Failed ping: ${node.name} (timeout reached)`);
    const peers = nodes.pick(
      INDIRECT_CHECKS,
      (peer) => peer.name !== config.nodeName && peer !== node && peer.state === 'alive',
    );
    for (const peer of peers) {
      const nack = peer.versions[1] >= NACK_PROTOCOL;
      if (nack) probe.expectedNacks += 1;
      const request: IndirectPing = {
        ...this.#ping(seqNo, node.name),
        type: 'indirect-ping',
        target: node.address,
        port: node.port,
        nack,
      };
      sendWithBroadcasts(this.#context, peer.host, peer.port, request);
    }
    if (node.versions[1] < TCP_PING_PROTOCOL) return;
    effects.push({
      kind: 'tcp-ping',
      seqNo,
      host: node.host,
      port: node.port,
      message: encodeMessage(this.#ping(seqNo, node.name)),
      timeoutMs: Math.max(0, probe.endsAtMs - nowMs),
    });
  }

  onTcpResult(seqNo: number, isReached: boolean): void {
    if (this.#probe?.seqNo === seqNo && isReached) this.#probe.isReachedByTcp = true;
  }

  onAck(ack: Ack): void {
    const probe = this.#probe;
    if (probe?.seqNo === ack.seqNo) {
      const { effects, nowMs } = this.#context;
      const { node, sentAtMs } = probe;
      // Only a direct answer measures the distance.
      if (!probe.isIndirect)
        effects.push({
          kind: 'round-trip',
          node: snapshotOf(node),
          elapsedMs: nowMs - sentAtMs,
          payload: ack.payload,
        });
      this.#finish(-1);
      return;
    }
    const relay = this.#relays.get(ack.seqNo);
    if (relay === undefined) return;
    this.#relays.delete(ack.seqNo);
    const answer = { type: 'ack', seqNo: relay.requesterSeqNo, payload: NO_BYTES } as const;
    sendWithBroadcasts(this.#context, relay.host, relay.port, answer);
  }

  onNack(seqNo: number): void {
    if (this.#probe?.seqNo === seqNo) this.#probe.nacks += 1;
  }

  /** The probe's time is up. */
  onEnd(seqNo: number): void {
    const probe = this.#probe;
    if (probe?.seqNo !== seqNo) return;
    const { node, incarnation, expectedNacks, nacks } = probe;
    if (probe.isReachedByTcp) {
      log(
        this.#context,
        'WARN',
        `Was able to connect to ${node.name} but other probes failed, network may be misconfigured`,
      );
      this.#finish(-1);
      return;
    }
    log(this.#context, 'INFO', `Suspect ${node.name} has failed, no acks received`);
    const from = this.#context.config.nodeName;
    hearSuspect(this.#context, { type: 'suspect', incarnation, node: node.name, from });
    // Missing nacks mean that the helpers did not hear us either: the trouble is more likely on this side.
    this.#finish(expectedNacks > 0 ? Math.max(0, expectedNacks - nacks) : 1);
  }

  /** Pings a third node for the requester. */
  relay(request: IndirectPing, fromHost: string, fromPort: number): void {
    if (this.#relays.size >= MAX_RELAYS) return;
    const target = ipText(request.target);
    if (target === undefined) return;
    const { config, deadlines, nowMs } = this.#context;
    const seqNo = this.#nextSeqNo();
    this.#relays.set(seqNo, {
      host: request.sourcePort === 0 ? fromHost : (ipText(request.sourceAddress) ?? fromHost),
      port: request.sourcePort === 0 ? fromPort : request.sourcePort,
      requesterSeqNo: request.seqNo,
      wantsNack: request.nack,
    });
    deadlines.set(nowMs + config.timers.probeTimeoutMs, { kind: 'relay-end', seqNo });
    const port = request.port === 0 ? config.bindPort : request.port;
    sendWithBroadcasts(this.#context, target, port, this.#ping(seqNo, request.node));
  }

  onRelayEnd(seqNo: number): void {
    const relay = this.#relays.get(seqNo);
    if (relay === undefined) return;
    this.#relays.delete(seqNo);
    if (!relay.wantsNack) return;
    sendWithBroadcasts(this.#context, relay.host, relay.port, { type: 'nack', seqNo: relay.requesterSeqNo });
  }

  #finish(awarenessDelta: number): void {
    this.#probe = undefined;
    this.#context.awareness.apply(awarenessDelta);
    if (!this.#isOverdue) return;
    this.#isOverdue = false;
    this.begin();
  }

  #ping(seqNo: number, node: string): Ping {
    const { address, port, nodeName } = this.#context.config;
    return { type: 'ping', seqNo, node, sourceAddress: address, sourcePort: port, sourceNode: nodeName };
  }

  #nextSeqNo(): number {
    this.#seqNo = this.#seqNo >= 0xffff_ffff ? 1 : this.#seqNo + 1;
    return this.#seqNo;
  }
}

const NO_BYTES: Uint8Array = new Uint8Array(0);
