/** The membership core (SWIM with Lifeguard, as memberlist speaks it): a synchronous state machine without clock, sockets or own randomness. */

import type { Random } from '../../../shared/env.ts';
import { COMPOUND_HEADER_BYTES, MAX_COMPOUND_PARTS } from '../codec/compound.ts';
import { ipText } from '../codec/ip-address.ts';
import type { Dead, Ping, SwimMessage } from '../codec/messages.ts';
import type { PushNodeState } from '../codec/push-pull.ts';
import { Awareness } from './awareness.ts';
import { BroadcastQueue } from './broadcast-queue.ts';
import {
  type Deadline,
  log,
  type NodeSnapshot,
  type SwimConfig,
  type SwimContext,
  type SwimDelegate,
  type SwimEffect,
  type SwimInput,
  snapshotOf,
} from './context.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import { NodeTable, type SwimNode } from './node-table.ts';
import { sendWithBroadcasts, takeBroadcasts } from './packet-fill.ts';
import { CRC_PROTOCOL, Prober } from './prober.ts';
import { announceSelf, endSuspicion, hearAlive, hearDead, hearSuspect } from './rules.ts';
import { pushPullIntervalMs } from './scaling.ts';
import { versionConflict } from './version-check.ts';

/**
 * Feed it inputs with a time that never decreases, carry out the effects in order, and send `tick` when `nextDueMs` comes.
 *
 * Invariant: between steps `#context.effects` is empty and every suspect node has a deadline queued.
 */
export class Swim {
  readonly #context: SwimContext;
  readonly #prober: Prober;

  constructor(config: SwimConfig, random: Random, delegate: SwimDelegate) {
    this.#context = {
      config,
      random,
      delegate,
      nodes: new NodeTable(random),
      broadcasts: new BroadcastQueue(),
      awareness: new Awareness(),
      deadlines: new DeadlineQueue<Deadline>(),
      nowMs: 0,
      incarnation: 0,
      isLeaving: false,
      effects: [],
    };
    this.#prober = new Prober(this.#context);
  }

  /** When the next `tick` is wanted; undefined before `start`. */
  get nextDueMs(): number | undefined {
    return this.#context.deadlines.nextDueMs;
  }

  get healthScore(): number {
    return this.#context.awareness.score;
  }

  /** All nodes known, dead and left ones included. */
  get size(): number {
    return this.#context.nodes.size;
  }

  get queuedBroadcasts(): number {
    return this.#context.broadcasts.length;
  }

  node(name: string): NodeSnapshot | undefined {
    const node = this.#context.nodes.get(name);
    return node && snapshotOf(node);
  }

  /** Up to `count` random live nodes other than this one. */
  randomAlive(count: number): NodeSnapshot[] {
    return this.#pickAlive(count).map(snapshotOf);
  }

  /** The table as it goes into a push/pull. */
  table(): PushNodeState[] {
    return Array.from(this.#context.nodes.all(), (node) => ({
      name: node.name,
      address: node.address,
      port: node.port,
      meta: node.meta,
      incarnation: node.incarnation,
      state: node.state,
      versions: node.versions,
    }));
  }

  /** Why a remote table cannot be merged: protocol versions that do not overlap; undefined when it can. */
  mergeConflict(remote: readonly PushNodeState[]): string | undefined {
    const toVersioned = (node: Pick<PushNodeState, 'name' | 'versions' | 'state'>) => ({
      name: node.name,
      versions: node.versions,
      isAlive: node.state === 'alive',
    });
    const local = Array.from(this.#context.nodes.all(), toVersioned).filter((node) => node.isAlive);
    return versionConflict(remote.map(toVersioned), local);
  }

  step(input: SwimInput, nowMs: number): SwimEffect[] {
    this.#context.nowMs = Math.max(nowMs, this.#context.nowMs);
    this.#take(input);
    return this.#context.effects.splice(0);
  }

  #take(input: SwimInput): void {
    switch (input.kind) {
      case 'start':
        this.#start();
        return;
      case 'tick':
        this.#tick();
        return;
      case 'message':
        this.#hear(input.message, input.host, input.port);
        return;
      case 'tcp-ping-result':
        this.#prober.onTcpResult(input.seqNo, input.isReached);
        return;
      case 'merge':
        for (const node of input.nodes) this.#merge(node);
        return;
      case 'set-meta':
        if (!this.#context.isLeaving) announceSelf(this.#context, input.meta);
        return;
      case 'leave':
        this.#leave();
        return;
      default:
        input satisfies never;
    }
  }

  #start(): void {
    const { config, deadlines, nowMs, random } = this.#context;
    const { probeIntervalMs, gossipIntervalMs, pushPullIntervalMs: baseMs } = config.timers;
    announceSelf(this.#context, config.meta);
    // Starting at random moments keeps the members of a pool from acting in lockstep.
    deadlines.set(nowMs + random.next() * probeIntervalMs, { kind: 'probe' });
    deadlines.set(nowMs + random.next() * gossipIntervalMs, { kind: 'gossip' });
    if (baseMs > 0) deadlines.set(nowMs + random.next() * baseMs, { kind: 'push-pull' });
  }

  #tick(): void {
    const { deadlines, nowMs } = this.#context;
    for (let due = deadlines.takeDue(nowMs); due !== undefined; due = deadlines.takeDue(nowMs))
      this.#onDeadline(due.item, due.dueMs);
  }

  #onDeadline(deadline: Deadline, dueMs: number): void {
    const { nodes } = this.#context;
    const { probeIntervalMs, gossipIntervalMs, pushPullIntervalMs: baseMs } = this.#context.config.timers;
    switch (deadline.kind) {
      case 'probe':
        this.#repeat(deadline, dueMs, probeIntervalMs);
        this.#prober.begin();
        return;
      case 'gossip':
        this.#repeat(deadline, dueMs, gossipIntervalMs);
        this.#gossip();
        return;
      case 'push-pull':
        this.#repeat(deadline, dueMs, pushPullIntervalMs(baseMs, nodes.size));
        this.#pushPull();
        return;
      case 'probe-timeout':
        this.#prober.onTimeout(deadline.seqNo);
        return;
      case 'probe-end':
        this.#prober.onEnd(deadline.seqNo);
        return;
      case 'relay-end':
        this.#prober.onRelayEnd(deadline.seqNo);
        return;
      case 'suspicion':
        endSuspicion(this.#context, deadline.name);
        return;
      default:
        deadline satisfies never;
    }
  }

  /** Keeps the rhythm; beats missed while the process stood still are skipped. */
  #repeat(deadline: Deadline, dueMs: number, intervalMs: number): void {
    const { deadlines, nowMs } = this.#context;
    const nextMs = dueMs + intervalMs;
    deadlines.set(nextMs > nowMs ? nextMs : nowMs + intervalMs, deadline);
  }

  #gossip(): void {
    const { config, effects, nodes, nowMs } = this.#context;
    const isWanted = (node: SwimNode): boolean => {
      if (node.name === config.nodeName || node.state === 'left') return false;
      return node.state !== 'dead' || nowMs - node.changedAtMs < config.timers.gossipToTheDeadMs;
    };
    for (const node of nodes.pick(config.timers.gossipNodes, isWanted)) {
      const room = config.packetBytes - COMPOUND_HEADER_BYTES;
      const messages = takeBroadcasts(this.#context, room).slice(0, MAX_COMPOUND_PARTS);
      if (messages.length === 0) return;
      const withCrc = node.versions[1] >= CRC_PROTOCOL;
      effects.push({ kind: 'send', host: node.host, port: node.port, messages, withCrc });
    }
  }

  #pushPull(): void {
    const [peer] = this.#pickAlive(1);
    if (peer === undefined) return;
    const { name, host, port } = peer;
    this.#context.effects.push({ kind: 'push-pull', name, host, port });
  }

  #hear(message: SwimMessage, host: string, port: number): void {
    switch (message.type) {
      case 'ping':
        this.#answer(message, host, port);
        return;
      case 'indirect-ping':
        this.#prober.relay(message, host, port);
        return;
      case 'ack':
        this.#prober.onAck(message);
        return;
      case 'nack':
        this.#prober.onNack(message.seqNo);
        return;
      case 'alive':
        hearAlive(this.#context, message);
        return;
      case 'suspect':
        hearSuspect(this.#context, message);
        return;
      case 'dead':
        hearDead(this.#context, message);
        return;
      default:
        message satisfies never;
    }
  }

  #answer(ping: Ping, fromHost: string, fromPort: number): void {
    const { config, delegate } = this.#context;
    if (ping.node !== '' && ping.node !== config.nodeName) {
      log(this.#context, 'WARN', `Got ping for unexpected node '${ping.node}' from=${fromHost}:${fromPort}`);
      return;
    }
    const isSourceGiven = ping.sourcePort !== 0 && ping.sourceAddress.length > 0;
    const host = isSourceGiven ? (ipText(ping.sourceAddress) ?? fromHost) : fromHost;
    const port = isSourceGiven ? ping.sourcePort : fromPort;
    const ack = { type: 'ack', seqNo: ping.seqNo, payload: delegate.ackPayload() } as const;
    sendWithBroadcasts(this.#context, host, port, ack);
  }

  /** A peer's "dead" is only taken as a suspicion, so that the node can still refute. */
  #merge(remote: PushNodeState): void {
    const { name: node, incarnation } = remote;
    switch (remote.state) {
      case 'alive': {
        const { address, port, meta, versions } = remote;
        hearAlive(this.#context, { type: 'alive', incarnation, node, address, port, meta, versions });
        return;
      }
      case 'left':
        hearDead(this.#context, { type: 'dead', incarnation, node, from: node });
        return;
      case 'dead':
      case 'suspect':
        hearSuspect(this.#context, {
          type: 'suspect',
          incarnation,
          node,
          from: this.#context.config.nodeName,
        });
        return;
      default:
        remote.state satisfies never;
    }
  }

  #leave(): void {
    const { config, effects, nodes } = this.#context;
    if (this.#context.isLeaving) return;
    this.#context.isLeaving = true;
    const self = nodes.get(config.nodeName);
    const isHeard = Array.from(nodes.all()).some((node) => this.#isAlivePeer(node));
    const announced = () => effects.push({ kind: 'leave-announced' });
    if (self !== undefined) {
      const { name, incarnation } = self;
      const dead: Dead = { type: 'dead', incarnation, node: name, from: name };
      hearDead(this.#context, dead, isHeard ? announced : undefined);
    }
    if (!isHeard) announced();
  }

  #pickAlive(count: number): SwimNode[] {
    return this.#context.nodes.pick(count, (node) => this.#isAlivePeer(node));
  }

  #isAlivePeer(node: SwimNode): boolean {
    return node.state === 'alive' && node.name !== this.#context.config.nodeName;
  }
}
