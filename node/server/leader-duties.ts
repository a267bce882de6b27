/** What the leader does besides answering: members to catalog and Raft, session times, forgotten deletions. */

import type { Env, Timer } from '../../shared/env.ts';
import { toConsulError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { GossipEvent, GossipMember, GossipPool } from '../gossip/types.ts';
import type { RaftNode } from '../raft/types.ts';
import { sessionList } from '../rpc/endpoints.ts';
import { serverMember } from '../rpc/server-members.ts';
import type { CatalogReconciler, LocalState } from './catalog-reconciler.ts';
import type { DeadServers } from './dead-servers.ts';
import type { FloatingMover } from './floating-mover.ts';
import type { Leadership } from './leadership.ts';
import type { RaftMembership } from './raft-membership.ts';
import type { ServerHealthMonitor } from './server-health.ts';
import type { SessionTimers } from './session-timers.ts';
import type { TombstoneReaper } from './tombstone-reaper.ts';

/** More events than that are replaced by one full reconciliation. */
const MAX_QUEUED_EVENTS = 1024;
const BARRIER_RETRY_MS = 500;
/** Every agent hears it and logs who leads. */
const NEW_LEADER_EVENT = 'consul:new-leader';

export interface LeaderDutiesOptions {
  readonly nodeName: string;
  readonly raft: RaftNode;
  readonly leadership: Leadership;
  readonly lan: GossipPool;
  readonly state: LocalState;
  readonly reconciler: CatalogReconciler;
  readonly membership: RaftMembership;
  readonly sessions: SessionTimers;
  readonly tombstones: TombstoneReaper;
  readonly health: ServerHealthMonitor;
  readonly deadServers: DeadServers;
  readonly floating: FloatingMover;
  /** Puts in order what an earlier leader left: settings that nobody has stored, a restore that was cut short. */
  readonly settle: () => Promise<void>;
  readonly env: Env;
  readonly log: Logger;
  readonly reconcileIntervalMs: number;
}

type MemberTask = { readonly member: GossipMember; readonly isReaped: boolean };

/** The duties of one term of leadership. Invariant: after `stop` nothing new is begun. */
export class LeaderDuties {
  readonly #o: LeaderDutiesOptions;
  #isStopped = false;
  #unsubscribe: (() => void) | undefined;
  #timer: Timer | undefined;
  #tasks: MemberTask[] = [];
  #needsFull = false;
  #isWorking = false;

  constructor(options: LeaderDutiesOptions) {
    this.#o = options;
  }

  /** Begins when everything committed before is applied here. */
  async start(): Promise<void> {
    const { log, nodeName } = this.#o;
    log.info('cluster leadership acquired');
    if (!(await this.#passBarrier())) return;
    this.#startSessions();
    this.#o.tombstones.start();
    this.#o.membership.start();
    this.#o.health.start();
    this.#o.deadServers.start();
    this.#unsubscribe = this.#o.lan.subscribe((event) => this.#onGossip(event));
    this.#o.leadership.markReady();
    this.#reconcileAll();
    try {
      this.#o.lan.fireEvent(NEW_LEADER_EVENT, Buffer.from(nodeName), false);
    } catch (error) {
      log.error('failed to broadcast new leader event', { error: toConsulError(error).message });
    }
    await this.#o.settle();
  }

  /** A user's snapshot has replaced the state: its sessions begin anew, and its catalog may know other members. */
  stateReplaced(): void {
    if (this.#isStopped || !this.#o.leadership.isReady) return;
    this.#o.sessions.forgetAll();
    this.#startSessions();
    this.#o.tombstones.noteDeletion();
    this.reconcileSoon();
  }

  /** Looks at every member again, as soon as what is under way is done. */
  reconcileSoon(): void {
    if (this.#isStopped || !this.#o.leadership.isReady) return;
    this.#needsFull = true;
    void this.#work();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#unsubscribe?.();
    this.#timer?.cancel();
    this.#tasks = [];
    this.#o.sessions.stop();
    this.#o.tombstones.stop();
    this.#o.membership.stop();
    this.#o.health.stop();
    this.#o.deadServers.stop();
    this.#o.floating.stop();
    this.#o.log.info('cluster leadership lost');
  }

  async #passBarrier(): Promise<boolean> {
    const { env, log, raft } = this.#o;
    while (!this.#isStopped) {
      try {
        await raft.readBarrier();
        return !this.#isStopped;
      } catch (error) {
        if (this.#isStopped) return false;
        log.error('failed to wait for barrier', { error: toConsulError(error).message });
        await new Promise<void>((resolve) => env.clock.setTimer(BARRIER_RETRY_MS, resolve));
      }
    }
    return false;
  }

  #startSessions(): void {
    for (const session of this.#o.state.read(sessionList, {})) this.#o.sessions.restart(session);
  }

  #onGossip(event: GossipEvent): void {
    if (event.kind === 'user') return;
    for (const member of event.members) {
      if (this.#tasks.length < MAX_QUEUED_EVENTS)
        this.#tasks.push({ member, isReaped: event.kind === 'member-reap' });
      else this.#needsFull = true;
    }
    void this.#work();
    // A server that has come may be there for one that has gone.
    if (event.kind === 'member-join' && event.members.some((member) => serverMember(member) !== undefined))
      void this.#o.deadServers.check();
  }

  #reconcileAll(): void {
    this.#timer = this.#o.env.clock.setTimer(this.#o.reconcileIntervalMs, () => this.#reconcileAll());
    this.#needsFull = true;
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    while (!this.#isStopped && (this.#tasks.length > 0 || this.#needsFull)) {
      const task = this.#tasks.shift();
      if (task === undefined) {
        this.#needsFull = false;
        await this.#runFull();
      } else {
        await this.#runTask(task);
        // Whoever came may take over what had nowhere to go.
        if (this.#o.floating.isStranded && !this.#isStopped) await this.#sweep();
      }
    }
    this.#isWorking = false;
  }

  async #runFull(): Promise<void> {
    const members = this.#o.lan.members();
    for (const member of members) {
      if (this.#isStopped) return;
      await this.#runTask({ member, isReaped: false });
    }
    try {
      if (!this.#isStopped) await this.#o.reconciler.reapStrangers(members);
    } catch (error) {
      this.#o.log.error('failed to reconcile', { error: toConsulError(error).message });
    }
    if (!this.#isStopped) await this.#sweep();
  }

  /** What an earlier leader left, and what never had a node. */
  async #sweep(): Promise<void> {
    try {
      await this.#o.floating.sweep();
    } catch (error) {
      if (!this.#isStopped)
        this.#o.log.error('failed to move floating services', { error: toConsulError(error).message });
    }
  }

  /** A failure is only logged: the next full reconciliation tries again. */
  async #runTask({ member, isReaped }: MemberTask): Promise<void> {
    const { log, reconciler } = this.#o;
    try {
      await (isReaped ? reconciler.reaped(member) : reconciler.reconcile(member));
    } catch (error) {
      if (this.#isStopped) return;
      const text = toConsulError(error).message;
      log.error('failed to reconcile member', { member: member.name, error: text });
    }
  }
}
