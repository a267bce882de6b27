/** Runs the two cores of a pool: packets and timers in, effects out. */

import type { Env, Timer } from '../../shared/env.ts';
import type { Logger, LogLevel } from '../../shared/log.ts';
import { COMPOUND_PART_BYTES } from './codec/compound.ts';
import { ENCRYPTION_OVERHEAD } from './codec/encryption.ts';
import type { Keyring } from './codec/keyring.ts';
import { MessageType } from './codec/message-type.ts';
import { type Alive, decodeMessage } from './codec/messages.ts';
import { openPacket, type PacketSecurity, sealPacket } from './codec/packet.ts';
import type { Endpoint, GossipTransport } from './gossip-transport.ts';
import type { SerfEffect, SerfInput } from './serf/context.ts';
import { claimedMember } from './serf/member-table.ts';
import { Serf } from './serf/serf.ts';
import type { SnapshotClocks } from './serf/snapshot-lines.ts';
import type { SwimEffect, SwimInput } from './swim/context.ts';
import { asUserMessage } from './swim/packet-fill.ts';
import { Swim } from './swim/swim.ts';
import type { GossipConfig, GossipEvent } from './types.ts';

/** What a datagram may carry before checksum and encryption. */
const PACKET_BYTES = 1400;
/** A timer this late means that the process stood still: packets that waited meanwhile are heard before time is. */
const LATE_MS = 50;
const NONCE_BYTES = 12;

export interface DriverHooks {
  onEvent(event: GossipEvent): void;
  onQuerySeen(lTime: bigint): void;
  onKeyringChanged(): void;
  tcpPing(effect: Extract<SwimEffect, { kind: 'tcp-ping' }>): void;
  pushPull(effect: Extract<SwimEffect, { kind: 'push-pull' }>): void;
  reconnect(effect: Extract<SerfEffect, { kind: 'reconnect' }>): void;
}

export interface DriverSetup {
  readonly config: GossipConfig;
  /** The advertised address in bytes and the ports as bound. */
  readonly address: Uint8Array;
  readonly port: number;
  readonly bindPort: number;
  readonly meta: Uint8Array;
  readonly keyring: Keyring;
  readonly clocks: SnapshotClocks;
  readonly env: Env;
  readonly log: Logger;
  readonly transport: GossipTransport;
  readonly hooks: DriverHooks;
}

/** Something to happen once; the answers of a query are the only ones that carry anything. */
type Waiter = (answers: ReadonlyMap<string, Uint8Array>) => void;

const NO_ANSWERS: ReadonlyMap<string, Uint8Array> = new Map();

/** Invariant: while running, `#timer` fires no later than the earlier `nextDueMs` of both cores. */
export class PoolDriver {
  readonly swim: Swim;
  readonly serf: Serf;
  readonly security: PacketSecurity;
  readonly #setup: DriverSetup;
  readonly #waiters = new Map<string, Waiter>();
  readonly #swimLog: Logger;
  readonly #serfLog: Logger;
  #token = 0;
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #isRunning = false;

  constructor(setup: DriverSetup) {
    const { config, address, port, bindPort, meta, keyring, clocks, env, log } = setup;
    const { nodeName, timers, encryptVerifyIncoming, encryptVerifyOutgoing } = config;
    this.#setup = setup;
    this.#swimLog = log.named('memberlist').named(config.pool);
    this.#serfLog = log.named('serf').named(config.pool);
    this.security = { keyring, verifyIncoming: encryptVerifyIncoming, verifyOutgoing: encryptVerifyOutgoing };
    this.serf = new Serf({ nodeName, address, port, timers, keyring, clocks }, env.random);
    const packetBytes = PACKET_BYTES - (keyring.isEmpty ? 0 : ENCRYPTION_OVERHEAD) - COMPOUND_PART_BYTES;
    this.swim = new Swim({ nodeName, address, port, bindPort, meta, timers, packetBytes }, env.random, {
      takeBroadcasts: (overhead, limit) => this.serf.takeBroadcasts(overhead, limit),
      ackPayload: () => this.serf.ackPayload(),
      refusal: (alive) => this.#refusal(alive),
    });
  }

  start(): void {
    this.#isRunning = true;
    this.feedSwim({ kind: 'start' });
    this.feedSerf({ kind: 'start' });
  }

  /** Nothing happens any more; whoever still waits is let go. */
  stop(): void {
    this.#isRunning = false;
    this.#timer?.cancel();
    for (const waiter of this.#waiters.values()) waiter(NO_ANSWERS);
    this.#waiters.clear();
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  nonce = (): Uint8Array => this.#setup.env.random.bytes(NONCE_BYTES);

  feedSwim(input: SwimInput): void {
    if (!this.#isRunning) return;
    const effects = this.swim.step(input, this.#setup.env.clock.monotonicMs());
    for (const effect of effects) this.#onSwimEffect(effect);
    this.#schedule();
  }

  feedSerf(input: SerfInput): void {
    if (!this.#isRunning) return;
    const effects = this.serf.step(input, this.#setup.env.clock.monotonicMs());
    for (const effect of effects) this.#onSerfEffect(effect);
    this.#schedule();
  }

  onPacket(packet: Uint8Array, from: Endpoint): void {
    if (!this.#isRunning || packet.length === 0) return;
    openPacket(
      packet,
      this.security,
      (message) => this.#onMessage(message, from),
      (problem) => this.#swimLog.warn(`memberlist: ${problem} from=${from.host}:${from.port}`),
    );
  }

  /** A number that names one pending request. */
  nextToken(): number {
    this.#token += 1;
    return this.#token;
  }

  /** Resolves when the named thing happens, or after `timeoutMs` with no answers. */
  waitFor(key: string, timeoutMs: number): Promise<ReadonlyMap<string, Uint8Array>> {
    return new Promise((resolve) => {
      const timer = this.#setup.env.clock.setTimer(timeoutMs, () => this.#fulfil(key, NO_ANSWERS));
      this.#waiters.set(key, (answers) => {
        timer.cancel();
        resolve(answers);
      });
    });
  }

  #fulfil(key: string, answers: ReadonlyMap<string, Uint8Array>): void {
    const waiter = this.#waiters.get(key);
    this.#waiters.delete(key);
    waiter?.(answers);
  }

  #onMessage(message: Uint8Array, from: Endpoint): void {
    if (message[0] === MessageType.user) {
      this.feedSerf({ kind: 'user-message', bytes: message.subarray(1) });
      return;
    }
    const decoded = decodeMessage(message);
    if (decoded === undefined) {
      const type = message[0] ?? 'none';
      this.#swimLog.warn(
        `memberlist: msg type (${type}) not supported or malformed from=${from.host}:${from.port}`,
      );
      return;
    }
    const isAllowed = decoded.type !== 'alive' || this.#setup.config.isAllowedAddress?.(from.host) !== false;
    if (isAllowed) this.feedSwim({ kind: 'message', message: decoded, host: from.host, port: from.port });
    else this.#swimLog.debug(`memberlist: Blocked alive message: ${from.host} is not allowed`);
  }

  #onSwimEffect(effect: SwimEffect): void {
    const { hooks } = this.#setup;
    switch (effect.kind) {
      case 'send':
        this.#send(effect.messages, effect.withCrc, effect);
        return;
      case 'tcp-ping':
        hooks.tcpPing(effect);
        return;
      case 'push-pull':
        hooks.pushPull(effect);
        return;
      case 'joined':
      case 'updated':
      case 'gone':
      case 'conflict':
      case 'round-trip':
        this.feedSerf(effect);
        return;
      case 'leave-announced':
        this.#fulfil(effect.kind, NO_ANSWERS);
        return;
      case 'log':
        writeLog(this.#swimLog, effect.level, `memberlist: ${effect.message}`);
        return;
      default:
        effect satisfies never;
    }
  }

  #onSerfEffect(effect: SerfEffect): void {
    const { hooks } = this.#setup;
    switch (effect.kind) {
      case 'event':
        hooks.onEvent(effect.event);
        return;
      case 'send-user':
        this.#send([asUserMessage(effect.payload)], false, effect);
        return;
      case 'reconnect':
        hooks.reconnect(effect);
        return;
      case 'leave-sent':
        this.#fulfil(effect.kind, NO_ANSWERS);
        return;
      case 'force-leave-sent':
        this.#fulfil(`force-leave ${effect.token}`, NO_ANSWERS);
        return;
      case 'query-done':
        this.#fulfil(`query ${effect.token}`, effect.answers);
        return;
      case 'query-seen':
        hooks.onQuerySeen(effect.lTime);
        return;
      case 'keyring-changed':
        hooks.onKeyringChanged();
        return;
      case 'log':
        writeLog(this.#serfLog, effect.level, `serf: ${effect.message}`);
        return;
      default:
        effect satisfies never;
    }
  }

  #send(messages: readonly Uint8Array[], withCrc: boolean, to: Endpoint): void {
    this.#setup.transport.sendPacket(sealPacket(messages, withCrc, this.security, this.nonce), to);
  }

  #refusal(alive: Alive): string | undefined {
    const { nodeName, isAllowedAddress, mergeCheck } = this.#setup.config;
    const member = claimedMember(alive.node, alive, 'none');
    const isAllowed = alive.node === nodeName || isAllowedAddress?.(member.address) !== false;
    return isAllowed ? mergeCheck([member], false) : `${member.address} is not allowed`;
  }

  #schedule(): void {
    const dueMs = Math.min(this.swim.nextDueMs ?? Infinity, this.serf.nextDueMs ?? Infinity);
    // A timer that is early enough stays; when it fires, it is set anew.
    if (!this.#isRunning || dueMs === Infinity || dueMs >= this.#timerDueMs) return;
    this.#setTimer(dueMs);
  }

  #setTimer(dueMs: number): void {
    const { clock } = this.#setup.env;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = clock.setTimer(Math.max(0, dueMs - clock.monotonicMs()), () => {
      const isLate = clock.monotonicMs() - dueMs > LATE_MS;
      // One more turn of the event loop delivers the packets that the kernel held back, answers among them.
      if (isLate) this.#timer = clock.setTimer(1, () => this.#tick());
      else this.#tick();
    });
  }

  #tick(): void {
    this.#timerDueMs = Number.POSITIVE_INFINITY;
    this.feedSwim({ kind: 'tick' });
    this.feedSerf({ kind: 'tick' });
  }
}

function writeLog(log: Logger, level: LogLevel, message: string): void {
  switch (level) {
    case 'TRACE':
      log.trace(message);
      return;
    case 'DEBUG':
      log.debug(message);
      return;
    case 'INFO':
      log.info(message);
      return;
    case 'WARN':
      log.warn(message);
      return;
    case 'ERROR':
      log.error(message);
      return;
    default:
      level satisfies never;
  }
}
