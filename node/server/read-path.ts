/** Decides who answers a read: this server's memory, its leadership, the leader elsewhere, or another datacenter. */

import type { Env } from '../../shared/env.ts';
import { badRequest, ConsulError, noPathToDatacenter, toConsulError } from '../../shared/errors.ts';
import { isEmptyJson, renderJson } from '../../shared/json.ts';
import { activeTraceparent, traced } from '../../shared/telemetry.ts';
import type { RaftNode } from '../raft/types.ts';
import type { Consistency, JsonReply, ReadMeta, ReadOptions, ReadReply } from '../rpc/backend.ts';
import type { ConnectionPool } from '../rpc/connection-pool.ts';
import { Hold } from '../rpc/hold.ts';
import type { RpcReply } from '../rpc/messages.ts';
import { isTransportFailure } from '../rpc/rpc-errors.ts';
import type { Answer } from './answer.ts';
import type { Datacenters } from './datacenters.ts';
import type { AnyReadHandler } from './handlers.ts';
import { type Leadership, notLeader } from './leadership.ts';
import type { LiveRead } from './local-endpoints.ts';
import type { QueryEngine } from './query-engine.ts';
import type { ServerMetrics } from './server-metrics.ts';

export interface ReadPathOptions {
  readonly datacenter: string;
  readonly handlers: ReadonlyMap<string, AnyReadHandler>;
  readonly liveReads: ReadonlyMap<string, LiveRead>;
  readonly engine: QueryEngine<AnyReadHandler>;
  readonly leadership: Leadership;
  readonly raft: RaftNode;
  readonly datacenters: Datacenters;
  readonly pool: ConnectionPool;
  readonly env: Env;
  readonly holdMs: number;
  readonly metrics?: ServerMetrics | undefined;
}

export type ReadKind = 'read' | 'json';

/** One read with everything that was asked for. */
export interface ReadCall {
  readonly kind: ReadKind;
  readonly name: string;
  readonly args: unknown;
  readonly datacenter: string;
  readonly token: string;
  readonly consistency: Consistency;
  readonly maxStaleMs: number | undefined;
  readonly minIndex: number;
  readonly waitMs: number;
  readonly pretty: boolean;
  /** Sent on by a server of this datacenter, which will try again elsewhere when this one can't answer. */
  readonly isForwarded: boolean;
  readonly signal: AbortSignal | undefined;
}

export type ReadRpcReply = Extract<RpcReply, { kind: ReadKind }>;

/** More servers of a datacenter than that are not tried for one request. */
const MAX_REMOTE_ATTEMPTS = 3;

const LIVE_INDEX = 1;
const encoder = new TextEncoder();

export class ReadPath {
  readonly #o: ReadPathOptions;

  constructor(options: ReadPathOptions) {
    this.#o = options;
  }

  /** The most frequent read, answered without waiting for anything; undefined when it is not that simple. */
  fast(name: string, args: unknown, options: ReadOptions): Answer | undefined {
    if (options.consistency !== 'default' || (options.minIndex ?? 0) > 0) return undefined;
    if (!this.#isOwn(options.datacenter) || !this.#o.leadership.canReadUnderLease()) return undefined;
    const handler = this.#o.handlers.get(name);
    return handler === undefined ? undefined : this.#o.engine.current(handler, args);
  }

  /** @throws ConsulError, or the signal's reason, by rejection */
  async answer(call: ReadCall): Promise<ReadRpcReply> {
    const live = this.#o.liveReads.get(call.name);
    if (live === undefined && !this.#o.handlers.has(call.name)) throw unknownEndpoint(call.name);
    if (!this.#isOwn(call.datacenter) && live?.isPerDatacenter !== false) return this.#viaDatacenter(call);
    if (live?.needsLeader === false) return liveReply(live, call, this.#meta(LIVE_INDEX));
    if (call.consistency === 'stale') {
      const reply = await this.#stale(call);
      if (reply !== undefined) return reply;
    }
    return call.isForwarded ? this.#asLeader(call, call.waitMs) : this.#viaLeader(call);
  }

  /** A stale answer from memory; undefined before any leader was heard of. @throws ConsulError */
  local(name: string, args: unknown): ReadReply<unknown> | undefined {
    const handler = this.#o.handlers.get(name);
    if (handler === undefined || this.#o.leadership.contact().ms === undefined) return undefined;
    const answer = this.#o.engine.current(handler, args);
    return answer.read(this.#meta(answer.index));
  }

  async #stale(call: ReadCall): Promise<ReadRpcReply | undefined> {
    const { ms } = this.#o.leadership.contact();
    if (ms === undefined || (call.maxStaleMs !== undefined && ms > call.maxStaleMs)) return undefined;
    const live = this.#o.liveReads.get(call.name);
    if (live !== undefined) return liveReply(live, call, this.#meta(LIVE_INDEX));
    const answer = await this.#evaluate(call, call.waitMs, false);
    return replyOf(call, answer, this.#meta(answer.index));
  }

  /** @throws ConsulError `not-leader` when this server does not lead or stops leading while it waits */
  async #asLeader(call: ReadCall, waitMs: number): Promise<ReadRpcReply> {
    const { leadership } = this.#o;
    if (!leadership.isLeader) throw notLeader();
    if (call.consistency === 'consistent' || !leadership.canReadUnderLease()) await this.#barrier();
    const live = this.#o.liveReads.get(call.name);
    if (live !== undefined) return liveReply(live, call, leaderMeta(LIVE_INDEX));
    const answer = await this.#evaluate(call, waitMs, true);
    return replyOf(call, answer, leaderMeta(answer.index));
  }

  /**
   * Whether this follower can answer as the leader would: the leader only confirms, once for all reads of a turn, up
   * to where this server must have applied. A read that waits for a change is the leader's, which ends it when it
   * loses the lead.
   */
  #isConfirmable(call: ReadCall): boolean {
    const { handlers, leadership, liveReads } = this.#o;
    const isPlain = call.consistency === 'consistent' && call.minIndex === 0;
    return isPlain && leadership.leaderAddress !== '' && handlers.has(call.name) && !liveReads.has(call.name);
  }

  async #afterReadIndex(call: ReadCall): Promise<ReadRpcReply> {
    await this.#barrier();
    const answer = await this.#evaluate(call, 0, false);
    return replyOf(call, answer, leaderMeta(answer.index));
  }

  async #barrier(): Promise<void> {
    const { env, metrics, raft } = this.#o;
    const startMs = env.clock.monotonicMs();
    await raft.readBarrier();
    metrics?.barrier.add();
    metrics?.consistentRead.add(env.clock.monotonicMs() - startMs);
  }

  async #evaluate(call: ReadCall, waitMs: number, needsLeader: boolean): Promise<Answer> {
    const handler = this.#o.handlers.get(call.name);
    if (handler === undefined) throw unknownEndpoint(call.name);
    const { minIndex, signal } = call;
    if (minIndex === 0) return this.#o.engine.current(handler, call.args);
    return this.#o.engine.block(handler, call.args, { minIndex, waitMs, needsLeader, signal });
  }

  async #viaLeader(call: ReadCall): Promise<ReadRpcReply> {
    const { env, leadership } = this.#o;
    const hold = new Hold(env, this.#o.holdMs, call.minIndex > 0);
    const endMs = env.clock.monotonicMs() + call.waitMs;
    for (;;) {
      hold.beginAttempt();
      const waitMs = Math.max(0, endMs - env.clock.monotonicMs());
      try {
        if (leadership.isLeader) return await this.#asLeader(call, waitMs);
        if (this.#isConfirmable(call)) return await this.#afterReadIndex(call);
        return await this.#forward(leadership.leaderAddress, call, waitMs, true);
      } catch (thrown) {
        if (call.signal?.aborted) throw call.signal.reason;
        hold.checkRetry(toConsulError(thrown), 'read');
      }
      await leadership.changed(hold.pauseMs, call.signal);
    }
  }

  async #viaDatacenter(call: ReadCall): Promise<ReadRpcReply> {
    for (const address of this.#o.datacenters
      .remoteAddresses(call.datacenter)
      .slice(0, MAX_REMOTE_ATTEMPTS)) {
      try {
        return await this.#forward(address, call, call.waitMs, false);
      } catch (thrown) {
        if (call.signal?.aborted) throw call.signal.reason;
        if (!isTransportFailure(toConsulError(thrown))) throw thrown;
      }
    }
    throw noPathToDatacenter();
  }

  async #forward(
    address: string,
    call: ReadCall,
    waitMs: number,
    isForwarded: boolean,
  ): Promise<ReadRpcReply> {
    if (address === '') throw notLeader();
    const { signal, ...request } = call;
    const attributes = { 'rpc.method': call.name, 'server.address': address };
    const reply = await traced('rpc.forward', 'client', attributes, () => {
      const traceparent = activeTraceparent();
      return this.#o.pool.call(address, { ...request, waitMs, isForwarded, traceparent }, signal);
    });
    if (reply.kind !== call.kind) throw new ConsulError('internal', 500, 'unexpected answer from peer');
    return reply;
  }

  #meta(index: number): ReadMeta {
    const { ms, knownLeader } = this.#o.leadership.contact();
    return { index, knownLeader, lastContactMs: Math.trunc(ms ?? 0) };
  }

  #isOwn(datacenter: string): boolean {
    return datacenter === '' || datacenter === this.#o.datacenter;
  }
}

function leaderMeta(index: number): ReadMeta {
  return { index, knownLeader: true, lastContactMs: 0 };
}

function replyOf(call: ReadCall, answer: Answer, meta: ReadMeta): ReadRpcReply {
  return call.kind === 'json'
    ? { kind: 'json', reply: answer.json(meta, call.pretty) }
    : { kind: 'read', reply: answer.read(meta) };
}

function liveReply(live: LiveRead, call: ReadCall, meta: ReadMeta): ReadRpcReply {
  const value = live.read();
  if (call.kind === 'read') return { kind: 'read', reply: { meta, value } };
  const body = encoder.encode(renderJson(value, call.pretty));
  const reply: JsonReply = { meta, body, isEmpty: isEmptyJson(value) };
  return { kind: 'json', reply };
}

/** Go's net/rpc text. */
export function unknownEndpoint(name: string): ConsulError {
  return badRequest(`rpc: can't find method ${name}`);
}
