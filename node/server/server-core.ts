/** A server's parts put together: state, Raft, reads and writes, and the duties of a leader. Knows no sockets. */

import { ConsulError, toConsulError } from '../../shared/errors.ts';
import type { Metrics } from '../../shared/metrics.ts';
import { type AutopilotSettings, DEFAULT_AUTOPILOT } from '../../shared/types/autopilot.ts';
import type { Session } from '../../shared/types/v1.ts';
import type { RaftEvent, RaftNode, RaftRole, StateMachine } from '../raft/types.ts';
import type { ConnectionPool } from '../rpc/connection-pool.ts';
import {
  catalogDeregister,
  catalogRegister,
  kvApply,
  sessionCreate,
  sessionDestroy,
  sessionGet,
} from '../rpc/endpoints.ts';
import {
  floatingAssign,
  floatingChecks,
  floatingDeregister,
  floatingRegister,
} from '../rpc/floating-endpoints.ts';
import { DEFAULT_HOLD_MS } from '../rpc/hold.ts';
import { operatorServerHealth } from '../rpc/operator-endpoints.ts';
import { txnApply } from '../rpc/txn-endpoints.ts';
import { autopilotConfig } from '../state/autopilot.ts';
import type { Store } from '../state/store.ts';
import { CatalogReconciler, type LocalState } from './catalog-reconciler.ts';
import {
  destroySessionCommand,
  encodeCommand,
  reapTombstonesCommand,
  setAutopilotCommand,
} from './commands.ts';
import { Datacenters } from './datacenters.ts';
import { DeadServers } from './dead-servers.ts';
import { DepartedLeader } from './departed-leader.ts';
import { FloatingMover } from './floating-mover.ts';
import type { AnyReadHandler, AnyWriteHandler, HandlerContext } from './handlers.ts';
import { LeaderDuties } from './leader-duties.ts';
import { Leadership } from './leadership.ts';
import { createLiveReads, createServerOperations } from './local-endpoints.ts';
import { createOperatorOperations, createOperatorReads } from './operator-operations.ts';
import { raftTimingOf, type ServerOptions } from './options.ts';
import { QueryEngine } from './query-engine.ts';
import { RaftMembership } from './raft-membership.ts';
import { ReadPath } from './read-path.ts';
import { ServerHealthMonitor } from './server-health.ts';
import { collectServerGauges, type ServerMetrics } from './server-metrics.ts';
import { SessionTimers } from './session-timers.ts';
import { RestoreRun } from './snapshot/restore-run.ts';
import { SnapshotPath } from './snapshot/snapshot-path.ts';
import { readState, watchedStateMachine } from './state-access.ts';
import { TombstoneReaper } from './tombstone-reaper.ts';
import { WritePath } from './write-path.ts';

const SESSION_TTL_MIN_MS = 10_000;
const RECONCILE_INTERVAL_MS = 60_000;
const NO_HEALTH = { Healthy: false, FailureTolerance: 0, Servers: [] };

export interface CoreParts {
  readonly store: Store;
  readonly machine: StateMachine;
  readonly readHandlers: readonly AnyReadHandler[];
  readonly writeHandlers: readonly AnyWriteHandler[];
  readonly pool: ConnectionPool;
  readonly metrics: ServerMetrics;
  /** For what is only known by looking. */
  readonly registry: Metrics;
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
  readonly snapshots: SnapshotPath;
  readonly #store: Store;
  readonly #metrics: ServerMetrics;
  readonly #restoreRun: RestoreRun;
  readonly #options: ServerOptions;
  readonly #readHandlers: ReadonlyMap<string, AnyReadHandler>;
  readonly #sessionTtlMinMs: number;
  readonly #pool: ConnectionPool;
  readonly #departed: DepartedLeader;
  readonly #unsubscribe: readonly (() => void)[];
  #duties: LeaderDuties | undefined;
  #dutiesTerm = -1;
  #role: RaftRole | undefined;
  #sessions: SessionTimers | undefined;
  #tombstones: TombstoneReaper | undefined;
  #health: ServerHealthMonitor | undefined;

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
    this.#store = store;
    this.#metrics = parts.metrics;
    this.raft = parts.createRaft(
      watchedStateMachine(parts.machine, this.engine, store, () => this.#duties?.stateReplaced()),
    );
    this.leadership = new Leadership(this.raft, env);
    this.datacenters = new Datacenters(datacenter, options.lan, options.wan, env);
    const local = {
      raft: this.raft,
      servers: () => this.datacenters.localServers(),
      datacenters: () => this.datacenters.names(),
      renewSession: (id: string) => this.#renewSession(id),
    };
    const operator = { datacenter, raft: this.raft, lan: options.lan, wan: options.wan };
    const health = { name: operatorServerHealth.name, needsLeader: true, isPerDatacenter: true };
    const liveReads = new Map(
      [
        ...createLiveReads(local),
        ...createOperatorReads(operator),
        { ...health, read: () => this.#health?.report() ?? NO_HEALTH },
      ].map((read) => [read.name, read]),
    );
    const operations = [...createServerOperations(local), ...createOperatorOperations(operator)];
    // What this server answers by itself is never taken from the state.
    this.#readHandlers = byName(parts.readHandlers.filter(({ endpoint }) => !liveReads.has(endpoint.name)));
    const shared = { datacenter, pool, env, holdMs, raft: this.raft, metrics: parts.metrics };
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
      operations: new Map(operations.map((operation) => [operation.name, operation])),
      encode: encodeCommand,
      onApplied: (name, args, result) => this.#onApplied(name, args, result),
    });
    this.#restoreRun = new RestoreRun({
      env,
      log: options.log.named('snapshot'),
      propose: (command) => this.writes.propose(command),
    });
    this.snapshots = new SnapshotPath({
      ...shared,
      store,
      leadership,
      datacenters,
      restoreRun: this.#restoreRun,
    });
    collectServerGauges(parts.registry, {
      raftStatus: () => this.raft.status(),
      waitingQueries: () => this.engine.waiting,
      tables: () => this.#store.tables,
      members: () => options.lan.members(),
      health: () => this.#health?.report(),
      timedSessions: () => this.#sessions?.size,
    });
    this.#departed = new DepartedLeader(env.clock);
    this.#unsubscribe = [
      this.raft.subscribe((event) => this.#onRaft(event)),
      options.lan.subscribe((event) => this.#departed.onGossip(event)),
    ];
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#endDuties();
    this.leadership.close();
    this.engine.close();
  }

  #onRaft(event: RaftEvent): void {
    this.#departed.onRaft(event);
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
    if (event.role !== this.#role) this.#metrics.roles[event.role].add();
    this.#role = event.role;
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
    this.#health = undefined;
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
      settings: () => this.#autopilot(),
      servers: () => this.datacenters.localServers(),
      isLeaving: (id) => this.#departed.isLeaving(id),
    });
    const health = new ServerHealthMonitor({
      raft,
      ownId: nodeId,
      env,
      settings: () => this.#autopilot(),
      servers: () => this.datacenters.localServers(),
      heartbeatMs: raftTimingOf(this.#options).heartbeatMs,
    });
    const deadServers = new DeadServers({
      raft,
      ownId: nodeId,
      datacenter,
      env,
      log: log.named('autopilot'),
      settings: () => this.#autopilot(),
      members: () => lan.members(),
      forceLeave: (name) => this.#forceLeave(name),
      removePeer: (id) => membership.remove(id),
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
      appliedIndex: () => raft.status().appliedIndex + this.#store.indexOffset,
      reap: (upToIndex) => this.#reapTombstones(upToIndex),
    });
    this.#sessions = sessions;
    this.#tombstones = tombstones;
    this.#health = health;
    const floating = new FloatingMover({
      datacenter,
      state,
      members: () => lan.members(),
      moveAfterMs: this.#options.floatingMoveAfterMs ?? 0,
      clock: env.clock,
      log,
      onDue: () => this.#duties?.reconcileSoon(),
    });
    const reconciler = new CatalogReconciler({
      datacenter,
      ownName: nodeName,
      state,
      roster: membership,
      floating,
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
      health,
      deadServers,
      floating,
      settle: () => this.#settle(),
      env,
      log,
      reconcileIntervalMs,
    });
  }

  /** The stored settings; before any are, those that this server would store. */
  #autopilot(): AutopilotSettings {
    return autopilotConfig(this.#store.tables).value ?? this.#options.autopilot ?? DEFAULT_AUTOPILOT;
  }

  async #settle(): Promise<void> {
    try {
      const leftover = this.#store.pendingRestore;
      if (leftover !== undefined) await this.#restoreRun.dropLeftover(leftover);
      if (autopilotConfig(this.#store.tables).value === undefined)
        await this.writes.propose(setAutopilotCommand(this.#autopilot(), 0));
    } catch (error) {
      this.#options.log.error('failed to initialize autopilot config', {
        error: toConsulError(error).message,
      });
    }
  }

  async #forceLeave(name: string): Promise<void> {
    const { datacenter, lan, wan } = this.#options;
    await lan.forceLeave(name, false);
    const wanName = `${name}.${datacenter}`;
    if (wan?.members().some((member) => member.name === wanName && member.status === 'failed'))
      await wan.forceLeave(wanName, false);
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
      case floatingRegister.name:
      case floatingChecks.name:
      case floatingAssign.name:
      case floatingDeregister.name:
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
