/** A server's parts put together: state, Raft, reads and writes, and the duties of a leader. Knows no sockets. */

import { ConsulError } from '../../shared/errors.ts';
import type { Session } from '../../shared/types/v1.ts';
import type { RaftEvent, RaftNode, StateMachine } from '../raft/types.ts';
import type { ConnectionPool } from '../rpc/connection-pool.ts';
import {
  catalogDeregister,
  catalogRegister,
  kvApply,
  sessionCreate,
  sessionDestroy,
  sessionGet,
} from '../rpc/endpoints.ts';
import { DEFAULT_HOLD_MS } from '../rpc/hold.ts';
import { txnApply } from '../rpc/txn-endpoints.ts';
import type { Store } from '../state/store.ts';
import { CatalogReconciler, type LocalState } from './catalog-reconciler.ts';
import { destroySessionCommand, encodeCommand, reapTombstonesCommand } from './commands.ts';
import { Datacenters } from './datacenters.ts';
import type { AnyReadHandler, AnyWriteHandler, HandlerContext } from './handlers.ts';
import { LeaderDuties } from './leader-duties.ts';
import { Leadership } from './leadership.ts';
import { createLeaderOperations, createLiveReads } from './local-endpoints.ts';
import type { ServerOptions } from './options.ts';
import { QueryEngine } from './query-engine.ts';
import { RaftMembership } from './raft-membership.ts';
import { ReadPath } from './read-path.ts';
import { SessionTimers } from './session-timers.ts';
import { readState, watchedStateMachine } from './state-access.ts';
import { TombstoneReaper } from './tombstone-reaper.ts';
import { WritePath } from './write-path.ts';

const SESSION_TTL_MIN_MS = 10_000;
const RECONCILE_INTERVAL_MS = 60_000;
const STABILIZATION_MS = 10_000;

export interface CoreParts {
  readonly store: Store;
  readonly machine: StateMachine;
  readonly readHandlers: readonly AnyReadHandler[];
  readonly writeHandlers: readonly AnyWriteHandler[];
  readonly pool: ConnectionPool;
  /** Makes the Raft node over the given state machine. */
  readonly createRaft: (machine: StateMachine) => RaftNode;
}

/** Invariant: `#duties` exist exactly while this server leads, one set per term. */
export class ServerCore {
  readonly raft: RaftNode;
  readonly leadership: Leadership;
  readonly engine: QueryEngine<AnyReadHandler>;
  readonly reads: ReadPath;
  readonly writes: WritePath;
  readonly datacenters: Datacenters;
  readonly #options: ServerOptions;
  readonly #readHandlers: ReadonlyMap<string, AnyReadHandler>;
  readonly #sessionTtlMinMs: number;
  readonly #pool: ConnectionPool;
  readonly #unsubscribe: () => void;
  #duties: LeaderDuties | undefined;
  #dutiesTerm = -1;
  #sessions: SessionTimers | undefined;
  #tombstones: TombstoneReaper | undefined;

  constructor(options: ServerOptions, parts: CoreParts) {
    const { datacenter, env, nodeName } = options;
    const { pool, store } = parts;
    const holdMs = options.rpcHoldTimeoutMs ?? DEFAULT_HOLD_MS;
    this.#options = options;
    this.#pool = pool;
    this.#sessionTtlMinMs = options.sessionTtlMinMs ?? SESSION_TTL_MIN_MS;
    const context: HandlerContext = { env, datacenter, nodeName, sessionTtlMinMs: this.#sessionTtlMinMs };
    this.engine = new QueryEngine<AnyReadHandler>(
      store,
      // The endpoint's name fixes the type of its arguments.
      (handler, args) => handler.query(store, args as never, context),
      env,
    );
    this.raft = parts.createRaft(watchedStateMachine(parts.machine, this.engine));
    this.leadership = new Leadership(this.raft, env);
    this.datacenters = new Datacenters(datacenter, options.lan, options.wan, env);
    const local = {
      raft: this.raft,
      servers: () => this.datacenters.localServers(),
      datacenters: () => this.datacenters.names(),
      renewSession: (id: string) => this.#renewSession(id),
    };
    const liveReads = new Map(createLiveReads(local).map((read) => [read.name, read]));
    // What this server answers by itself is never taken from the state.
    this.#readHandlers = byName(parts.readHandlers.filter(({ endpoint }) => !liveReads.has(endpoint.name)));
    const shared = { datacenter, pool, env, holdMs, raft: this.raft };
    const { datacenters, engine, leadership } = this;
    this.reads = new ReadPath({
      ...shared,
      engine,
      leadership,
      datacenters,
      handlers: this.#readHandlers,
      liveReads,
    });
    this.writes = new WritePath({
      ...shared,
      store,
      context,
      leadership,
      datacenters,
      handlers: byName(parts.writeHandlers),
      operations: new Map(createLeaderOperations(local).map((operation) => [operation.name, operation])),
      encode: encodeCommand,
      onApplied: (name, args, result) => this.#onApplied(name, args, result),
    });
    this.#unsubscribe = this.raft.subscribe((event) => this.#onRaft(event));
  }

  close(): void {
    this.#unsubscribe();
    this.#endDuties();
    this.leadership.close();
    this.engine.close();
  }

  #onRaft(event: RaftEvent): void {
    switch (event.kind) {
      case 'leadership':
        this.#onLeadership(event);
        return;
      case 'configuration':
        return;
      case 'fatal':
        this.#endDuties();
        this.#options.log.error('raft failed', { error: event.error.message });
        this.#options.onFatal?.(event.error);
    }
  }

  #onLeadership(event: Extract<RaftEvent, { kind: 'leadership' }>): void {
    const before = this.leadership.leaderAddress;
    const hasLost = this.leadership.update(event);
    // A deposed leader that hangs would keep those waiting whose requests it has.
    if (before !== '' && before !== this.leadership.leaderAddress) this.#pool.probe(before);
    if (hasLost || this.#dutiesTerm !== event.term) this.#endDuties();
    if (hasLost) this.engine.leadershipLost();
    if (event.role !== 'leader' || this.#duties !== undefined) return;
    this.#dutiesTerm = event.term;
    this.#duties = this.#createDuties();
    void this.#duties.start();
  }

  #endDuties(): void {
    this.#duties?.stop();
    this.#duties = undefined;
    this.#sessions = undefined;
    this.#tombstones = undefined;
  }

  #createDuties(): LeaderDuties {
    const { datacenter, env, lan, log, nodeId, nodeName } = this.#options;
    const { leadership, raft } = this;
    const state = this.#localState();
    const membership = new RaftMembership({
      raft,
      ownId: nodeId,
      env,
      log,
      stabilizationMs: this.#options.serverStabilizationMs ?? STABILIZATION_MS,
      servers: () => this.datacenters.localServers(),
    });
    const sessions = new SessionTimers({
      env,
      log: log.named('session'),
      ttlMinMs: this.#sessionTtlMinMs,
      destroy: (id) => this.#destroySession(id),
      exists: (id) => this.#session(id).length > 0,
    });
    const tombstones = new TombstoneReaper({
      env,
      appliedIndex: () => raft.status().appliedIndex,
      reap: (upToIndex) => this.#reapTombstones(upToIndex),
    });
    this.#sessions = sessions;
    this.#tombstones = tombstones;
    const reconciler = new CatalogReconciler({
      datacenter,
      ownName: nodeName,
      state,
      roster: membership,
      log,
    });
    const reconcileIntervalMs = this.#options.reconcileIntervalMs ?? RECONCILE_INTERVAL_MS;
    return new LeaderDuties({
      nodeName,
      raft,
      leadership,
      lan,
      state,
      reconciler,
      membership,
      sessions,
      tombstones,
      env,
      log,
      reconcileIntervalMs,
    });
  }

  #localState(): LocalState {
    return {
      read: (endpoint, args) => readState(this.engine, this.#readHandlers, endpoint, args),
      write: async <Args, Result>(endpoint: { readonly name: string }, args: Args) => {
        const call = { name: endpoint.name, args, datacenter: '', token: '', isForwarded: true };
        // The endpoint's name fixes the type of its result.
        return (await this.writes.apply(call)) as Result;
      },
    };
  }

  #session(id: string): Session[] {
    return readState(this.engine, this.#readHandlers, sessionGet, { id });
  }

  #renewSession(id: string): Session[] {
    const found = this.#session(id);
    for (const session of found) this.#sessions?.restart(session);
    return found;
  }

  async #destroySession(id: string): Promise<void> {
    await this.writes.propose(destroySessionCommand(id, this.#options.env.clock.nowMs()));
    // A session may delete the keys that it held.
    this.#tombstones?.noteDeletion();
  }

  async #reapTombstones(upToIndex: number): Promise<void> {
    try {
      await this.writes.propose(reapTombstonesCommand(upToIndex, this.#options.env.clock.nowMs()));
    } catch (error) {
      const text = error instanceof ConsulError ? error.message : String(error);
      this.#options.log.error('failed to reap tombstones', { error: text });
    }
  }

  #onApplied(name: string, args: unknown, result: unknown): void {
    switch (name) {
      case sessionCreate.name:
        if (typeof result === 'string') this.#renewSession(result);
        return;
      case sessionDestroy.name:
        if (hasText(args, 'id')) this.#sessions?.forget(args.id);
        this.#tombstones?.noteDeletion();
        return;
      case kvApply.name:
        if (hasText(args, 'verb') && args.verb.startsWith('delete')) this.#tombstones?.noteDeletion();
        return;
      // These may delete keys, or end sessions and with them delete the keys that they held.
      case txnApply.name:
      case catalogRegister.name:
      case catalogDeregister.name:
        this.#tombstones?.noteDeletion();
        return;
      default:
        return;
    }
  }
}

function byName<H extends { readonly endpoint: { readonly name: string } }>(
  handlers: readonly H[],
): ReadonlyMap<string, H> {
  return new Map(handlers.map((handler) => [handler.endpoint.name, handler]));
}

function hasText<Field extends string>(args: unknown, field: Field): args is Record<Field, string> {
  return (
    typeof args === 'object' && args !== null && typeof (args as Record<Field, unknown>)[field] === 'string'
  );
}
