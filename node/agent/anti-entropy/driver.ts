/** Keeps the catalog's entry of this node as the agent wants it: pushes changes at once, compares everything now and then. */

import type { Timer } from '../../../shared/env.ts';
import { toConsulError } from '../../../shared/errors.ts';
import type { Logger } from '../../../shared/log.ts';
import type { LocalChange } from '../local/local-state.ts';
import { type CatalogRequestOptions, CatalogRequests } from './catalog-requests.ts';
import { isRegistration, type Operation, type Outcome, SyncCore } from './core.ts';
import { logOutcome } from './log-lines.ts';
import { isMissingService, isNotPlaced, outcomeOf } from './messages.ts';
import { fullSyncDelayMs, outputDelayMs, retryDelayMs, serverJoinedDelayMs } from './timing.ts';

export interface AntiEntropyOptions extends CatalogRequestOptions {
  readonly log: Logger;
  readonly clusterSize: () => number;
  readonly fullSyncIntervalMs: number;
  /** 0: output-only changes are pushed at once. */
  readonly checkUpdateIntervalMs: number;
  /** A floating service is not placed here as this agent believed. */
  readonly onMisplaced: () => void;
}

export interface AntiEntropy {
  /** The first full sync starts now. Changes from before count as restored: they are compared before they are pushed. */
  start(): void;
  stop(): void;
  /** Nested. Nothing is sent meanwhile; the last resume starts a full sync. */
  pause(): void;
  resume(): void;
  /** A full sync follows within 3 s. */
  serverJoined(): void;
  /** The node's own entry changed. */
  nodeChanged(): void;
  /** Resolves when these items, as they are now, were tried once or nothing can be sent. Never rejects. */
  pushed(services: readonly string[], checks: readonly string[]): Promise<void>;
}

/** Requests under way at once; what one turn brings travels together as far as that. */
const MAX_IN_FLIGHT = 64;
export function createAntiEntropy(options: AntiEntropyOptions): AntiEntropy {
  return new SyncDriver(options);
}

/**
 * Invariants: at most `MAX_IN_FLIGHT` requests are under way, one while the servers are not known to answer; one full
 * sync at a time; while stopped or paused nothing new is sent and nobody waits.
 */
class SyncDriver implements AntiEntropy {
  readonly #options: AntiEntropyOptions;
  readonly #core = new SyncCore();
  readonly #requests: CatalogRequests;
  readonly #deferred = new Map<string, Timer>();
  readonly #unsubscribe: () => void;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #pauses = 0;
  #inFlight = 0;
  #isAnswering = true;
  #isFlushScheduled = false;
  #isComparing = false;
  #compareAgain = false;
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;

  constructor(options: AntiEntropyOptions) {
    this.#options = options;
    this.#requests = new CatalogRequests(options);
    this.#unsubscribe = options.state.onChange((change) => this.#note(change));
  }

  start(): void {
    if (this.#state !== 'new') return;
    this.#state = 'running';
    void this.#fullSync();
  }

  stop(): void {
    this.#state = 'stopped';
    this.#unsubscribe();
    this.#timer?.cancel();
    for (const timer of this.#deferred.values()) timer.cancel();
    this.#deferred.clear();
    this.#core.abandonWaiters();
  }

  pause(): void {
    this.#pauses++;
  }

  resume(): void {
    this.#pauses--;
    if (this.#mayRun()) void this.#fullSync();
  }

  serverJoined(): void {
    const { clusterSize, env } = this.#options;
    this.#scheduleFullSync(serverJoinedDelayMs(clusterSize(), env.random));
  }

  nodeChanged(): void {
    this.#core.nodeChanged();
    this.#scheduleFlush();
  }

  pushed(services: readonly string[], checks: readonly string[]): Promise<void> {
    if (!this.#mayRun()) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    let left = services.length + checks.length;
    if (left === 0) return Promise.resolve();
    const tried = () => {
      left--;
      if (left === 0) resolve();
    };
    for (const id of services) this.#core.onServiceTried(id, tried);
    for (const id of checks) this.#core.onCheckTried(id, tried);
    this.#scheduleFlush();
    return promise;
  }

  #note(change: LocalChange): void {
    const core = this.#core;
    const isNew = this.#state !== 'new';
    switch (change.kind) {
      case 'service-set':
        if (change.isKnown) core.serviceKnown(change.id);
        else core.serviceSet(change.id, isNew);
        break;
      case 'service-removed':
        for (const checkId of change.checkIds) this.#cancelDeferred(checkId);
        if (change.isKnown) core.serviceForgotten(change.id, change.checkIds);
        else core.serviceRemoved(change.id, change.checkIds);
        break;
      case 'check-set':
        this.#cancelDeferred(change.id);
        if (change.isKnown) core.checkKnown(change.id, change.serviceId);
        else core.checkSet(change.id, change.serviceId, isNew);
        break;
      case 'check-removed':
        this.#cancelDeferred(change.id);
        if (change.isKnown) core.checkForgotten(change.id);
        else core.checkRemoved(change.id);
        break;
      case 'check-reported':
        if (change.outputOnly && this.#options.checkUpdateIntervalMs > 0) {
          this.#defer(change.id, change.serviceId);
          return;
        }
        this.#cancelDeferred(change.id);
        core.checkSet(change.id, change.serviceId, true);
        break;
      default:
        change satisfies never;
    }
    this.#scheduleFlush();
  }

  #defer(checkId: string, serviceId: string): void {
    if (this.#deferred.has(checkId) || this.#state === 'stopped') return;
    const { clock, random } = this.#options.env;
    const timer = clock.setTimer(outputDelayMs(this.#options.checkUpdateIntervalMs, random), () => {
      this.#deferred.delete(checkId);
      this.#core.checkSet(checkId, serviceId, true);
      this.#scheduleFlush();
    });
    this.#deferred.set(checkId, timer);
  }

  #cancelDeferred(checkId: string): void {
    this.#deferred.get(checkId)?.cancel();
    this.#deferred.delete(checkId);
  }

  /** Everything that changes in this turn is looked at once, when the turn's own work is done. */
  #scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#state !== 'running') return;
    this.#isFlushScheduled = true;
    queueMicrotask(() => {
      this.#isFlushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (!this.#mayRun()) {
      this.#core.abandonWaiters();
      return;
    }
    const limit = (this.#isAnswering ? MAX_IN_FLIGHT : 1) - this.#inFlight;
    if (limit <= 0) return;
    for (const operation of this.#core.take(limit)) {
      this.#inFlight++;
      void this.#run(operation);
    }
  }

  async #run(operation: Operation): Promise<void> {
    const nodeVersion = isRegistration(operation) ? this.#core.nodeVersionToTell : 0;
    const isProbe = !this.#isAnswering;
    let outcome: Outcome = 'done';
    let failure: unknown;
    try {
      await this.#requests.send(operation, nodeVersion !== 0);
    } catch (error) {
      failure = error;
      outcome = outcomeOf(error);
    }
    this.#inFlight--;
    this.#core.finished(operation, outcome, nodeVersion);
    if (this.#state === 'stopped') return;
    // When the servers go, everything under way fails with them: one line says it.
    const isMisplaced = outcome === 'refused' && isNotPlaced(failure);
    if (isMisplaced) this.#options.onMisplaced();
    else if (outcome !== 'failed' || this.#isAnswering || isProbe)
      logOutcome(this.#options.log, operation, outcome, failure);
    if (outcome === 'failed') {
      this.#onNoAnswer();
      return;
    }
    this.#isAnswering = true;
    if (outcome === 'refused') this.#onRefused(operation, failure);
    this.#flush();
  }

  /** What waits is tried again after a while, or sooner by a single request with the next change. */
  #onNoAnswer(): void {
    this.#isAnswering = false;
    this.#core.abandonWaiters();
    this.#scheduleFullSync(retryDelayMs(this.#options.env.random));
  }

  #onRefused(operation: Operation, failure: unknown): void {
    if (operation.kind !== 'register-check' || !isMissingService(failure)) return;
    this.#core.serviceIsMissing(operation.service);
    this.#core.checkSet(operation.check, operation.service, true);
  }

  async #fullSync(): Promise<void> {
    if (!this.#mayRun()) return;
    if (this.#isComparing) {
      this.#compareAgain = true;
      return;
    }
    this.#isComparing = true;
    this.#timer?.cancel();
    this.#timerDueMs = Number.POSITIVE_INFINITY;
    const { env, log, clusterSize, fullSyncIntervalMs } = this.#options;
    let delayMs = fullSyncDelayMs(fullSyncIntervalMs, clusterSize(), env.random);
    try {
      await this.#compare();
      this.#isAnswering = true;
    } catch (error) {
      delayMs = retryDelayMs(env.random);
      this.#isAnswering = false;
      if (this.#mayRun()) log.error('failed to sync remote state', { error: toConsulError(error).message });
    }
    this.#isComparing = false;
    const again = this.#compareAgain;
    this.#compareAgain = false;
    if (this.#isAnswering) this.#flush();
    if (again) void this.#fullSync();
    else this.#scheduleFullSync(delayMs);
  }

  async #compare(): Promise<void> {
    const { state, checkUpdateIntervalMs } = this.#options;
    const { services, checks, node } = await this.#requests.inventory();
    if (!this.#mayRun()) return;
    const tagsToAdopt = this.#core.compare(
      { services: state.services(), checks: state.checks() },
      { services, checks },
      { compareOutput: checkUpdateIntervalMs === 0, nodeIsSame: this.#requests.isSameNode(node) },
    );
    for (const id of tagsToAdopt) state.adoptTags(id, services.get(id)?.Tags ?? []);
  }

  /** The sooner of what is planned and what is asked for. */
  #scheduleFullSync(delayMs: number): void {
    if (this.#state !== 'running') return;
    const { clock } = this.#options.env;
    const dueMs = clock.monotonicMs() + delayMs;
    if (dueMs >= this.#timerDueMs) return;
    this.#timer?.cancel();
    this.#timerDueMs = dueMs;
    this.#timer = clock.setTimer(delayMs, () => {
      this.#timerDueMs = Number.POSITIVE_INFINITY;
      void this.#fullSync();
    });
  }

  #mayRun(): boolean {
    return this.#state === 'running' && this.#pauses === 0;
  }
}
