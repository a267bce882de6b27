/** Queries: questions spread by gossip and answered directly to the one who asks. */

import { randomInt } from '../../../shared/env.ts';
import { ipText } from '../codec/ip-address.ts';
import { encodeConflictResponse } from '../codec/query-payloads.ts';
import {
  encodeSerfMessage,
  QUERY_FLAG_ACK,
  QUERY_FLAG_NO_BROADCAST,
  type Query,
  type QueryResponse,
} from '../codec/serf-messages.ts';
import { DeadlineQueue } from '../swim/deadline-queue.ts';
import { MEMBER_STATUS_NUMBER } from '../types.ts';
import { log, type SerfContext } from './context.ts';
import { isOlderThanRing } from './event-ring.ts';
import { answerKeyQuery } from './key-queries.ts';
import { LamportClock } from './lamport-clock.ts';
import type { MemberTable } from './member-table.ts';
import { matchesFilters } from './query-filter.ts';

const SLOTS = 512;
/** Different queries of one Lamport time remembered at most. */
const MAX_IDS_A_SLOT = 256;
const MAX_QUERY_BYTES = 1024;
const MAX_RESPONSE_BYTES = 1024;
/** Own queries waiting for answers at a time. */
const MAX_PENDING = 256;
const TIMEOUT_MULT = 16;
const RELAY_PROTOCOL = 5;
const NS_PER_MS = 1_000_000;

interface Pending {
  readonly id: number;
  readonly token: number;
  readonly endsAtMs: number;
  readonly answers: Map<string, Uint8Array>;
}

interface Slot {
  readonly lTime: bigint;
  readonly ids: Set<number>;
}

/** Invariant: `#pending` is keyed by Lamport time, which is unique among own queries, and each entry has a deadline queued. */
export class Queries {
  readonly clock = new LamportClock();
  readonly #context: SerfContext;
  readonly #members: MemberTable;
  readonly #spread: (bytes: Uint8Array) => void;
  readonly #slots = new Array<Slot | undefined>(SLOTS).fill(undefined);
  readonly #pending = new Map<bigint, Pending>();
  readonly #deadlines = new DeadlineQueue<bigint>();
  readonly #minTime: bigint;

  constructor(context: SerfContext, members: MemberTable, spread: (bytes: Uint8Array) => void) {
    this.#context = context;
    this.#members = members;
    this.#spread = spread;
    const remembered = context.config.clocks.query;
    this.clock.witness(remembered);
    this.#minTime = remembered === 0n ? 0n : remembered + 1n;
  }

  get nextDueMs(): number | undefined {
    return this.#deadlines.nextDueMs;
  }

  /** Asks everyone. The answers come as a `query-done` effect when all live members have answered or time is up. */
  ask(name: string, payload: Uint8Array, relayFactor: number, token: number): void {
    const { config, effects, nowMs, random } = this.#context;
    const timeoutMs = this.#timeoutMs();
    const query: Query = {
      type: 'query',
      lTime: this.clock.time,
      id: randomInt(random, 2 ** 31),
      address: config.address,
      port: config.port,
      sourceNode: config.nodeName,
      filters: [],
      flags: 0,
      relayFactor,
      timeoutNs: BigInt(Math.round(timeoutMs)) * BigInt(NS_PER_MS),
      name,
      payload,
    };
    const bytes = encodeSerfMessage(query);
    if (bytes.length > MAX_QUERY_BYTES || this.#pending.size >= MAX_PENDING) {
      effects.push({ kind: 'query-done', token, answers: new Map() });
      return;
    }
    this.clock.increment();
    const endsAtMs = nowMs + timeoutMs;
    this.#pending.set(query.lTime, { id: query.id, token, endsAtMs, answers: new Map() });
    this.#deadlines.set(endsAtMs, query.lTime);
    this.hear(query, bytes);
  }

  /** A query from the net or our own: answers it where that is ours to do, and spreads it when it is new. */
  hear(query: Query, bytes: Uint8Array): void {
    this.clock.witness(query.lTime);
    if (!this.#isNew(query)) return;
    if ((query.flags & QUERY_FLAG_NO_BROADCAST) === 0) this.#spread(bytes);
    this.#context.effects.push({ kind: 'query-seen', lTime: query.lTime });
    const { nodeName } = this.#context.config;
    const tags = this.#members.get(nodeName)?.tags ?? {};
    if (!matchesFilters(query.filters, nodeName, tags)) return;
    if ((query.flags & QUERY_FLAG_ACK) !== 0) this.#respond(query, QUERY_FLAG_ACK, NO_BYTES);
    this.#answer(query);
  }

  hearResponse(response: QueryResponse): void {
    const pending = this.#pending.get(response.lTime);
    if (pending?.id !== response.id) return;
    if ((response.flags & QUERY_FLAG_ACK) !== 0 || pending.answers.has(response.from)) return;
    if (this.#members.get(response.from) === undefined) return;
    pending.answers.set(response.from, response.payload);
    const alive = this.#members.withStatus('alive').length;
    if (pending.answers.size >= alive) this.#finish(response.lTime);
  }

  onTick(): void {
    const { nowMs } = this.#context;
    for (let due = this.#deadlines.takeDue(nowMs); due !== undefined; due = this.#deadlines.takeDue(nowMs))
      this.#finish(due.item);
  }

  #finish(lTime: bigint): void {
    const pending = this.#pending.get(lTime);
    if (pending === undefined) return;
    this.#pending.delete(lTime);
    this.#context.effects.push({ kind: 'query-done', token: pending.token, answers: pending.answers });
  }

  #isNew(query: Query): boolean {
    if (query.lTime < this.#minTime) return false;
    if (isOlderThanRing(query.lTime, this.clock.time)) {
      const { name, lTime } = query;
      log(
        this.#context,
        'WARN',
        `received old query ${name} from time ${lTime} (current: ${this.clock.time})`,
      );
      return false;
    }
    const at = Number(query.lTime % BigInt(SLOTS));
    const slot = this.#slots[at];
    if (slot?.lTime !== query.lTime) {
      this.#slots[at] = { lTime: query.lTime, ids: new Set([query.id]) };
      return true;
    }
    if (slot.ids.has(query.id) || slot.ids.size >= MAX_IDS_A_SLOT) return false;
    slot.ids.add(query.id);
    return true;
  }

  #answer(query: Query): void {
    if (!query.name.startsWith('_serf_')) return;
    if (query.name === '_serf_ping') return;
    if (query.name === '_serf_conflict') {
      this.#answerConflict(query);
      return;
    }
    const answer = answerKeyQuery(query.name, query.payload, this.#context.config.keyring);
    if (answer === undefined) {
      log(this.#context, 'WARN', `Unhandled internal query '${query.name.slice(6)}'`);
      return;
    }
    if (answer.isChanged) this.#context.effects.push({ kind: 'keyring-changed' });
    this.#respond(query, 0, answer.payload);
  }

  /** What this node believes about the one whose name is claimed twice; that one itself stays silent. */
  #answerConflict(query: Query): void {
    const name = Buffer.from(query.payload).toString('utf8');
    if (name === this.#context.config.nodeName) return;
    const member = this.#members.get(name);
    const record = member && { ...member, status: MEMBER_STATUS_NUMBER[member.status] };
    this.#respond(query, 0, encodeConflictResponse(record));
  }

  #respond(query: Query, flags: number, payload: Uint8Array): void {
    const host = ipText(query.address);
    if (host === undefined || query.port === 0) return;
    const { lTime, id, port, relayFactor } = query;
    const from = this.#context.config.nodeName;
    const bytes = encodeSerfMessage({ type: 'query-response', lTime, id, from, flags, payload });
    if (bytes.length > MAX_RESPONSE_BYTES) {
      log(this.#context, 'ERROR', `response exceeds limit of ${MAX_RESPONSE_BYTES} bytes`);
      return;
    }
    this.#context.effects.push({ kind: 'send-user', host, port, payload: bytes });
    if (relayFactor > 0 && this.#members.size > relayFactor) this.#relay(query, bytes);
  }

  /** Sends copies by way of random members, for askers that cannot be reached directly. */
  #relay(query: Query, inner: Uint8Array): void {
    const { config, effects, random } = this.#context;
    const { address, port, sourceNode: name, relayFactor } = query;
    const candidates = this.#members
      .withStatus('alive')
      .filter((member) => member.versions[1] >= RELAY_PROTOCOL)
      .filter((member) => member.name !== config.nodeName && member.name !== name);
    const bytes = encodeSerfMessage({ type: 'relay', address, port, name, inner });
    for (let left = relayFactor; left > 0 && candidates.length > 0; left--) {
      const [via] = candidates.splice(randomInt(random, candidates.length), 1);
      if (via !== undefined)
        effects.push({ kind: 'send-user', host: via.host, port: via.port, payload: bytes });
    }
  }

  #timeoutMs(): number {
    const scale = Math.ceil(Math.log10(this.#members.size + 1));
    return this.#context.config.timers.gossipIntervalMs * TIMEOUT_MULT * Math.max(1, scale);
  }
}

const NO_BYTES: Uint8Array = new Uint8Array(0);
