/** The serf layer: member status, intents, user events, queries and coordinates on top of the membership core; a synchronous state machine. */

import type { Random } from '../../../shared/env.ts';
import type { Coordinate } from '../../../shared/types/v1.ts';
import { decodeCoordinatePayload, encodeCoordinatePayload } from '../codec/coordinate-payload.ts';
import { hostPort, ipText } from '../codec/ip-address.ts';
import { decodeSerfMessage, encodeSerfMessage } from '../codec/serf-messages.ts';
import { decodeSerfState, encodeSerfState } from '../codec/serf-state.ts';
import type { NodeSnapshot } from '../swim/context.ts';
import { DeadlineQueue } from '../swim/deadline-queue.ts';
import { retransmitLimit } from '../swim/scaling.ts';
import type { GossipEvent, GossipMember } from '../types.ts';
import { type BroadcastKind, SerfBroadcasts } from './broadcasts.ts';
import { log, type SerfConfig, type SerfContext, type SerfEffect, type SerfInput } from './context.ts';
import { createIntentRules, type IntentRules, type PoolState } from './intents.ts';
import { MemberTable, publicMember, type SerfMember, takeOver } from './member-table.ts';
import { Queries } from './queries.ts';
import { isExpired, reconnectCandidate } from './reaping.ts';
import { UserEvents } from './user-events.ts';
import { CoordinateClient } from './vivaldi.ts';

export const USER_EVENT_SIZE_LIMIT = 512;
const REAP_INTERVAL_MS = 15_000;
const BROADCAST_TIMEOUT_MS = 5000;

type Deadline =
  | { readonly kind: 'reap' | 'reconnect' }
  | { readonly kind: 'prune'; readonly name: string; readonly statusLTime: bigint };

/**
 * Feed it inputs with a time that never decreases and carry out the effects in order.
 *
 * Invariant: between steps `#context.effects` is empty.
 */
export class Serf {
  readonly #context: SerfContext;
  readonly #members = new MemberTable();
  readonly #intents: IntentRules;
  readonly #events: UserEvents;
  readonly #queries: Queries;
  readonly #coordinates: CoordinateClient;
  readonly #coordinateOf = new Map<string, Coordinate>();
  readonly #broadcasts = new SerfBroadcasts();
  readonly #deadlines = new DeadlineQueue<Deadline>();
  #state: PoolState = 'alive';

  constructor(config: SerfConfig, random: Random) {
    this.#context = { config, random, nowMs: 0, effects: [] };
    this.#coordinates = new CoordinateClient(random);
    this.#intents = createIntentRules(this.#context, this.#members, {
      poolState: () => this.#state,
      refuteLeave: () => this.#announceJoin(),
      prune: (member) => this.#prune(member),
    });
    this.#events = new UserEvents(this.#context);
    this.#queries = new Queries(this.#context, this.#members, (bytes) => this.#spread('query', bytes));
    this.#intents.clock.witness(config.clocks.member);
  }

  get nextDueMs(): number | undefined {
    const own = this.#deadlines.nextDueMs;
    const queries = this.#queries.nextDueMs;
    if (own === undefined || queries === undefined) return own ?? queries;
    return Math.min(own, queries);
  }

  get state(): PoolState {
    return this.#state;
  }

  get memberClock(): bigint {
    return this.#intents.clock.time;
  }

  get eventClock(): bigint {
    return this.#events.clock.time;
  }

  get queryClock(): bigint {
    return this.#queries.clock.time;
  }

  members(): readonly GossipMember[] {
    return this.#members.list();
  }

  member(name: string): GossipMember | undefined {
    const member = this.#members.get(name);
    return member && publicMember(member);
  }

  coordinate(): Coordinate {
    return this.#coordinates.coordinate;
  }

  coordinateOf(name: string): Coordinate | undefined {
    return name === this.#context.config.nodeName ? this.coordinate() : this.#coordinateOf.get(name);
  }

  /** Queue lengths, clocks and counts, as `info` shows them. */
  stats(): Record<string, string> {
    return {
      coordinate_resets: String(this.#coordinates.resets),
      event_queue: String(this.#broadcasts.length('event')),
      event_time: String(this.eventClock),
      failed: String(this.#members.withStatus('failed').length),
      intent_queue: String(this.#broadcasts.length('intent')),
      left: String(this.#members.withStatus('left').length),
      member_time: String(this.memberClock),
      members: String(this.#members.size),
      query_queue: String(this.#broadcasts.length('query')),
      query_time: String(this.queryClock),
    };
  }

  /** User messages to spread: intents first, then queries, then events. */
  takeBroadcasts(overhead: number, limit: number): Uint8Array[] {
    const { retransmitMult } = this.#context.config.timers;
    return this.#broadcasts.take(overhead, limit, retransmitLimit(retransmitMult, this.#members.size));
  }

  ackPayload(): Uint8Array {
    return encodeCoordinatePayload(this.#coordinates.coordinate);
  }

  /** This layer's part of a push/pull. */
  localState(): Uint8Array {
    const members = [...this.#members.values()];
    return encodeSerfState({
      lTime: this.memberClock,
      statusLTimes: new Map(members.map((member) => [member.name, statedLTime(member)])),
      leftMembers: members.filter((member) => member.status === 'left').map((member) => member.name),
      eventLTime: this.eventClock,
      events: this.#events.slots(),
      queryLTime: this.queryClock,
    });
  }

  step(input: SerfInput, nowMs: number): SerfEffect[] {
    this.#context.nowMs = Math.max(nowMs, this.#context.nowMs);
    this.#take(input);
    return this.#context.effects.splice(0);
  }

  #take(input: SerfInput): void {
    switch (input.kind) {
      case 'start':
        this.#start();
        return;
      case 'tick':
        this.#tick();
        return;
      case 'joined':
        this.#onJoined(input.node);
        return;
      case 'updated':
        this.#onUpdated(input.node);
        return;
      case 'gone':
        this.#onGone(input.node);
        return;
      case 'conflict':
        this.#onConflict(input.known, hostPort(input.host, input.port));
        return;
      case 'round-trip':
        this.#onRoundTrip(input.node.name, input.elapsedMs, input.payload);
        return;
      case 'user-message':
        this.#hear(input.bytes);
        return;
      case 'merge':
        this.#merge(input.bytes, input.isJoin && input.ignoreOldEvents);
        return;
      case 'announce-join':
        this.#announceJoin();
        return;
      case 'leave':
        this.#leave();
        return;
      case 'left':
        this.#state = 'left';
        return;
      case 'force-leave':
        this.#forceLeave(input.name, input.prune, input.token);
        return;
      case 'fire-event':
        this.#spread('event', this.#events.fire(input.name, input.payload, input.coalesce));
        return;
      case 'query':
        this.#queries.ask(input.name, input.payload, input.relayFactor, input.token);
        return;
      default:
        input satisfies never;
    }
  }

  #start(): void {
    const { nowMs, config } = this.#context;
    this.#deadlines.set(nowMs + REAP_INTERVAL_MS, { kind: 'reap' });
    this.#deadlines.set(nowMs + config.timers.reconnectIntervalMs, { kind: 'reconnect' });
  }

  #tick(): void {
    const { nowMs } = this.#context;
    for (let due = this.#deadlines.takeDue(nowMs); due !== undefined; due = this.#deadlines.takeDue(nowMs))
      this.#onDeadline(due.item);
    this.#queries.onTick();
  }

  #onDeadline(deadline: Deadline): void {
    const { config, nowMs } = this.#context;
    switch (deadline.kind) {
      case 'reap':
        this.#deadlines.set(nowMs + REAP_INTERVAL_MS, deadline);
        this.#reap();
        return;
      case 'reconnect':
        this.#deadlines.set(nowMs + config.timers.reconnectIntervalMs, deadline);
        this.#reconnect();
        return;
      case 'prune': {
        const member = this.#members.get(deadline.name);
        // A member that came back in the meantime has a newer status.
        if (member !== undefined && member.statusLTime === deadline.statusLTime) this.#erasePruned(member);
        return;
      }
      default:
        deadline satisfies never;
    }
  }

  #onJoined(node: NodeSnapshot): void {
    let member = this.#members.get(node.name);
    if (member === undefined) {
      const intent = this.#intents.recent.get(node.name);
      member = {
        name: node.name,
        address: node.address,
        host: node.host,
        port: node.port,
        tags: {},
        versions: node.versions,
        status: intent?.type === 'leave' ? 'leaving' : 'alive',
        statusLTime: intent?.lTime ?? 0n,
        goneAtMs: 0,
      };
      this.#members.add(member);
    } else member.status = 'alive';
    takeOver(member, node);
    this.#members.changed();
    this.#report('member-join', 'EventMemberJoin', member);
  }

  #onUpdated(node: NodeSnapshot): void {
    const member = this.#members.get(node.name);
    if (member === undefined) return;
    takeOver(member, node);
    this.#members.changed();
    log(this.#context, 'INFO', `EventMemberUpdate: ${member.name}`);
    this.#emit({ kind: 'member-update', members: [publicMember(member)] });
  }

  #onGone(node: NodeSnapshot): void {
    const member = this.#members.get(node.name);
    if (member === undefined || (member.status !== 'alive' && member.status !== 'leaving')) return;
    const meantTo = member.status === 'leaving';
    member.status = meantTo ? 'left' : 'failed';
    member.goneAtMs = this.#context.nowMs;
    this.#members.changed();
    if (meantTo) this.#report('member-leave', 'EventMemberLeave', member);
    else this.#report('member-failed', 'EventMemberFailed', member);
  }

  #onConflict(known: NodeSnapshot, claimedAt: string): void {
    const isSelf = known.name === this.#context.config.nodeName;
    const text = isSelf
      ? `Node name conflicts with another node at ${claimedAt}. Names must be unique! (Resolution enabled: false)`
      : `Name conflict for '${known.name}' both ${hostPort(known.host, known.port)} and ${claimedAt} are claiming`;
    log(this.#context, isSelf ? 'ERROR' : 'WARN', text);
  }

  #onRoundTrip(name: string, elapsedMs: number, payload: Uint8Array): void {
    const coordinate = decodeCoordinatePayload(payload);
    if (coordinate === undefined) return;
    if (this.#coordinates.update(name, coordinate, elapsedMs / 1000))
      this.#coordinateOf.set(name, coordinate);
  }

  #hear(bytes: Uint8Array): void {
    const message = decodeSerfMessage(bytes);
    if (message === undefined) {
      log(this.#context, 'WARN', `Received message of unknown type or form: ${bytes[0] ?? 'empty'}`);
      return;
    }
    switch (message.type) {
      case 'join':
        if (this.#intents.hearJoin(message)) this.#spread('intent', bytes);
        return;
      case 'leave':
        if (this.#intents.hearLeave(message)) this.#spread('intent', bytes);
        return;
      case 'user-event':
        if (this.#events.hear(message)) this.#spread('event', bytes);
        return;
      case 'query':
        this.#queries.hear(message, new Uint8Array(bytes));
        return;
      case 'query-response':
        this.#queries.hearResponse(message);
        return;
      case 'relay': {
        const { inner: payload, port } = message;
        const host = ipText(message.address);
        if (host !== undefined) this.#context.effects.push({ kind: 'send-user', host, port, payload });
        return;
      }
      default:
        message satisfies never;
    }
  }

  #merge(bytes: Uint8Array, ignoreOldEvents: boolean): void {
    const state = decodeSerfState(bytes);
    if (state === undefined) {
      log(this.#context, 'ERROR', 'Failed to decode remote state');
      return;
    }
    if (state.lTime > 0n) this.#intents.clock.witness(state.lTime - 1n);
    if (state.eventLTime > 0n) this.#events.clock.witness(state.eventLTime - 1n);
    if (state.queryLTime > 0n) this.#queries.clock.witness(state.queryLTime - 1n);
    const left = new Set(state.leftMembers);
    for (const node of left) {
      const lTime = (state.statusLTimes.get(node) ?? 0n) + 1n;
      this.#intents.hearLeave({ type: 'leave', lTime, node, prune: false });
    }
    for (const [node, lTime] of state.statusLTimes)
      if (!left.has(node)) this.#intents.hearJoin({ type: 'join', lTime, node });
    this.#events.merge(state.events, state.eventLTime, ignoreOldEvents);
  }

  #announceJoin(): void {
    const lTime = this.memberClock;
    const intent = { type: 'join', lTime, node: this.#context.config.nodeName } as const;
    this.#intents.hearJoin(intent);
    this.#spread('intent', encodeSerfMessage(intent));
  }

  #leave(): void {
    if (this.#state !== 'alive') return;
    this.#state = 'leaving';
    this.#announceLeave(this.#context.config.nodeName, false, () =>
      this.#context.effects.push({ kind: 'leave-sent' }),
    );
  }

  #forceLeave(name: string, prune: boolean, token: number): void {
    this.#announceLeave(name, prune, () => this.#context.effects.push({ kind: 'force-leave-sent', token }));
  }

  /** Takes the intent in here and spreads it; `onSent` is called at once when nobody is there to hear it. */
  #announceLeave(node: string, prune: boolean, onSent: () => void): void {
    const intent = { type: 'leave', lTime: this.memberClock, node, prune } as const;
    this.#intents.clock.increment();
    this.#intents.hearLeave(intent);
    const self = this.#context.config.nodeName;
    if (this.#members.withStatus('alive').some((member) => member.name !== self))
      this.#spread('intent', encodeSerfMessage(intent), onSent);
    else onSent();
  }

  #prune(member: SerfMember): void {
    if (member.status !== 'leaving') {
      this.#erasePruned(member);
      return;
    }
    // It is still saying goodbye: give that the time it may take.
    const waitMs = BROADCAST_TIMEOUT_MS + this.#context.config.timers.leavePropagateDelayMs;
    const { name, statusLTime } = member;
    this.#deadlines.set(this.#context.nowMs + waitMs, { kind: 'prune', name, statusLTime });
  }

  #erasePruned(member: SerfMember): void {
    if (member.status === 'alive') return;
    log(this.#context, 'INFO', `EventMemberReap (forced): ${member.name} ${member.host}`);
    this.#erase(member);
  }

  #reap(): void {
    const { nowMs, config } = this.#context;
    this.#intents.recent.expire(nowMs);
    for (const member of [...this.#members.values()]) {
      if (!isExpired(member, config.timers, nowMs)) continue;
      log(this.#context, 'INFO', `EventMemberReap: ${member.name}`);
      this.#erase(member);
    }
  }

  #erase(member: SerfMember): void {
    this.#members.erase(member.name);
    this.#coordinates.forget(member.name);
    this.#coordinateOf.delete(member.name);
    this.#emit({ kind: 'member-reap', members: [publicMember(member)] });
  }

  #reconnect(): void {
    if (this.#state !== 'alive') return;
    const failed = this.#members.withStatus('failed');
    const left = this.#members.withStatus('left').length;
    const alive = this.#members.size - failed.length - left;
    const member = reconnectCandidate(failed, alive, this.#context.random);
    if (member === undefined) return;
    const { name, host, port } = member;
    log(this.#context, 'INFO', `attempting reconnect to ${name} ${hostPort(host, port)}`);
    this.#context.effects.push({ kind: 'reconnect', name, host, port });
  }

  #spread(kind: BroadcastKind, bytes: Uint8Array, onFinished?: () => void): void {
    // A copy: the message may be a view on a whole packet.
    const isFull = this.#broadcasts.spread(kind, new Uint8Array(bytes), this.#members.size, onFinished);
    if (isFull) log(this.#context, 'WARN', `${kind} queue is full, dropping the oldest broadcasts`);
  }

  #report(kind: 'member-join' | 'member-leave' | 'member-failed', text: string, member: SerfMember): void {
    log(this.#context, 'INFO', `${text}: ${member.name} ${member.host}`);
    this.#emit({ kind, members: [publicMember(member)] });
  }

  #emit(event: GossipEvent): void {
    this.#context.effects.push({ kind: 'event', event });
  }
}

/**
 * The status time that others are told. They take it for that of a join, so a member that is leaving is stated one
 * earlier: with the leave's own time they would drop the leave itself as old news, and see a failure in the departure.
 */
function statedLTime(member: SerfMember): bigint {
  const isLeaving = member.status === 'leaving' && member.statusLTime > 0n;
  return isLeaving ? member.statusLTime - 1n : member.statusLTime;
}
