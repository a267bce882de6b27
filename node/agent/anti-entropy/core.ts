/**
 * What has to be told to the catalog: which local items it is not known to hold, and in which order they may go.
 * Knows only IDs; the driver looks the items up when it sends them.
 */

import type { HealthCheck, Service } from '../../../shared/types/v1.ts';
import { isSameCheck, isSameService } from './same.ts';
import { DirtyChecks, DirtyServices, type DirtySet, type SyncItem, type Wish } from './sync-item.ts';

export type Operation =
  /** A service with those of its checks that are to be told too. */
  | { readonly kind: 'register-service'; readonly service: string; readonly checks: readonly string[] }
  /** One check; its service, if any, is in the catalog. */
  | { readonly kind: 'register-check'; readonly check: string; readonly service: string }
  | { readonly kind: 'deregister-service'; readonly service: string }
  | { readonly kind: 'deregister-check'; readonly check: string; readonly service: string }
  | { readonly kind: 'update-node' };

/**
 * `done`: the catalog has it. `given-up`: it will not take it (permission); asking again would only be noise, so it
 * counts as told. `refused`: it would not take this one; tried again with the next full sync. `failed`: nobody answered.
 */
export type Outcome = 'done' | 'given-up' | 'refused' | 'failed';

/** What the agent wants, and what the catalog has, of one node. */
export interface Inventory {
  readonly services: ReadonlyMap<string, Service>;
  readonly checks: ReadonlyMap<string, HealthCheck>;
}

export interface CompareOptions {
  /** Whether an output that differs is reason enough. */
  readonly compareOutput: boolean;
  readonly nodeIsSame: boolean;
}

/** Gone items remembered at most; beyond, the next full sync finds what is left over in the catalog. */
const MAX_REMOVED = 65_536;
/** Registered by the servers themselves. */
const SERVERS_OWN_SERVICE = 'consul';
const SERVERS_OWN_CHECK = 'serfHealth';

/**
 * Invariants: an item with wish `changed` or `removed` that is not being sent is in its dirty set; at most one operation
 * per item is under way; nothing of a service is under way while the service itself is, so that a late check cannot
 * bring back a service that was just removed.
 */
export class SyncCore {
  readonly #services = new Map<string, SyncItem>();
  readonly #checks = new Map<string, SyncItem>();
  readonly #dirtyServices = new DirtyServices();
  readonly #dirtyChecks = new DirtyChecks();
  #removedCount = 0;
  #node: 'unverified' | 'changed' | 'told' | 'sending' = 'unverified';
  #nodeVersion = 1;

  /** Version of the node's own entry that a registration is to carry; 0 when the catalog is known to have it. */
  get nodeVersionToTell(): number {
    return this.#node === 'told' ? 0 : this.#nodeVersion;
  }

  /** Local items that were not confirmed, gone ones included. */
  get pending(): number {
    return this.#dirtyServices.size + this.#dirtyChecks.size;
  }

  /** @param isNew false for an item that was restored: it waits for the comparison */
  serviceSet(id: string, isNew: boolean): void {
    const item = this.#wish(this.#services, this.#dirtyServices, id, '', isNew ? 'changed' : 'unverified');
    const dropped = item.droppedChecks ?? [];
    item.droppedChecks = undefined;
    // It came back before the catalog removed it: checks that went with it are still there.
    for (const checkId of dropped)
      if (!this.#checks.has(checkId)) this.#wish(this.#checks, this.#dirtyChecks, checkId, id, 'removed');
  }

  checkSet(id: string, serviceId: string, isNew: boolean): void {
    this.#wish(this.#checks, this.#dirtyChecks, id, serviceId, isNew ? 'changed' : 'unverified');
  }

  checkRemoved(id: string): void {
    const serviceId = this.#checks.get(id)?.serviceId ?? '';
    this.#wish(this.#checks, this.#dirtyChecks, id, serviceId, 'removed');
  }

  /** The catalog removes a service's checks with it, so they need no operation of their own. */
  serviceRemoved(id: string, checkIds: readonly string[]): void {
    for (const checkId of checkIds) this.#forgetCheck(checkId);
    const item = this.#wish(this.#services, this.#dirtyServices, id, '', 'removed');
    item.droppedChecks = [...(item.droppedChecks ?? []), ...checkIds];
  }

  /** The catalog has it as it is here, whatever was to be told. */
  serviceKnown(id: string): void {
    this.#known(this.#services, this.#dirtyServices, id, '').droppedChecks = undefined;
  }

  checkKnown(id: string, serviceId: string): void {
    this.#known(this.#checks, this.#dirtyChecks, id, serviceId);
  }

  /** It is gone here, and the catalog needs no telling. */
  serviceForgotten(id: string, checkIds: readonly string[]): void {
    for (const checkId of checkIds) this.checkForgotten(checkId);
    this.#forget(this.#services, this.#dirtyServices, id, '');
  }

  checkForgotten(id: string): void {
    this.#forget(this.#checks, this.#dirtyChecks, id, this.#checks.get(id)?.serviceId ?? '');
  }

  nodeChanged(): void {
    this.#node = 'changed';
    this.#nodeVersion++;
  }

  /** Calls back when this version of the item has been tried, or when it is known to need no trying. */
  onServiceTried(id: string, tried: () => void): void {
    addWaiter(this.#services.get(id), tried);
  }

  onCheckTried(id: string, tried: () => void): void {
    addWaiter(this.#checks.get(id), tried);
  }

  /** Takes up to `limit` operations that may go now and counts them as under way. */
  take(limit: number): Operation[] {
    const operations: Operation[] = [];
    for (const service of this.#dirtyServices.all()) {
      if (operations.length >= limit) return operations;
      if (service.busy === 0) operations.push(this.#startService(service));
    }
    for (const check of this.#dirtyChecks.all()) {
      if (operations.length >= limit) return operations;
      // It may have left with a service earlier in this loop.
      if (!this.#dirtyChecks.has(check)) continue;
      const operation = this.#startCheck(check);
      if (operation !== undefined) operations.push(operation);
    }
    if (this.#node === 'changed' && operations.length < limit) {
      this.#node = 'sending';
      if (!operations.some(isRegistration)) operations.push({ kind: 'update-node' });
    }
    return operations;
  }

  /** @param nodeVersion of the node's entry that the operation carried, 0 when none */
  finished(operation: Operation, outcome: Outcome, nodeVersion: number): void {
    this.#settleNode(operation, outcome, nodeVersion);
    switch (operation.kind) {
      case 'register-service':
        for (const check of operation.checks) this.#settle(this.#checks, this.#dirtyChecks, check, outcome);
        this.#release(operation.service);
        this.#settle(this.#services, this.#dirtyServices, operation.service, outcome);
        break;
      case 'deregister-service':
        this.#release(operation.service);
        this.#settle(this.#services, this.#dirtyServices, operation.service, outcome);
        break;
      case 'register-check':
        this.#release(operation.service);
        this.#settle(this.#checks, this.#dirtyChecks, operation.check, outcome);
        break;
      case 'deregister-check':
        this.#release(operation.service);
        this.#settle(this.#checks, this.#dirtyChecks, operation.check, outcome);
        break;
      case 'update-node':
        break;
      default:
        operation satisfies never;
    }
  }

  /** Nobody answers: whoever waits for an item that is not under way is told that it was tried. */
  abandonWaiters(): void {
    for (const item of this.#dirtyServices.all()) tellWaiters(item);
    for (const item of this.#dirtyChecks.all()) tellWaiters(item);
  }

  /** A check was refused because the catalog lost its service: the service goes again, with the check. */
  serviceIsMissing(serviceId: string): void {
    const item = this.#services.get(serviceId);
    if (item !== undefined && item.wish !== 'removed') this.serviceSet(serviceId, true);
  }

  /**
   * Compares with what the catalog holds. Items under way or already waiting to be sent are left alone.
   *
   * @returns IDs of services whose tags are to be taken over from the catalog
   */
  compare(local: Inventory, remote: Inventory, options: CompareOptions): string[] {
    const tagsToAdopt: string[] = [];
    for (const [id, wanted] of local.services) {
      const held = remote.services.get(id);
      const adopts = held !== undefined && wanted.EnableTagOverride && this.#isSettled(id);
      const comparable = adopts ? { ...wanted, Tags: held.Tags } : wanted;
      if (adopts && !isSameService(comparable, wanted)) tagsToAdopt.push(id);
      const isSame = held !== undefined && isSameService(comparable, held);
      this.#verified(this.#services, this.#dirtyServices, id, '', isSame);
    }
    for (const [id, wanted] of local.checks) {
      const held = remote.checks.get(id);
      const compareTags = local.services.get(wanted.ServiceID)?.EnableTagOverride !== true;
      const comparison = { compareOutput: options.compareOutput, compareTags };
      const isSame = held !== undefined && isSameCheck(wanted, held, comparison);
      this.#verified(this.#checks, this.#dirtyChecks, id, wanted.ServiceID, isSame);
    }
    this.#removeUnknown(local, remote);
    if (this.#node === 'unverified' || this.#node === 'told') {
      if (options.nodeIsSame) this.#node = 'told';
      else this.nodeChanged();
    }
    return tagsToAdopt;
  }

  #removeUnknown(local: Inventory, remote: Inventory): void {
    for (const id of remote.services.keys()) {
      if (local.services.has(id) || id === SERVERS_OWN_SERVICE) continue;
      if (this.#services.get(id)?.wish !== 'removed') this.serviceRemoved(id, []);
    }
    for (const [id, held] of remote.checks) {
      if (local.checks.has(id) || id === SERVERS_OWN_CHECK) continue;
      const goesWithService = held.ServiceID !== '' && this.#services.get(held.ServiceID)?.wish === 'removed';
      if (goesWithService || this.#checks.get(id)?.wish === 'removed') continue;
      this.#wish(this.#checks, this.#dirtyChecks, id, held.ServiceID, 'removed');
    }
  }

  /** Nothing local is waiting to be told about this service. */
  #isSettled(serviceId: string): boolean {
    const item = this.#services.get(serviceId);
    return item !== undefined && item.sending === 0 && item.wish !== 'changed' && item.wish !== 'removed';
  }

  #wish(items: Map<string, SyncItem>, dirty: DirtySet, id: string, serviceId: string, wish: Wish): SyncItem {
    const item = items.get(id) ?? newItem(id, serviceId, wish);
    items.set(id, item);
    if (wish === 'unverified' && (item.wish === 'changed' || item.sending !== 0)) return item;
    if (item.wish === 'removed' && item.version > 0) this.#removedCount--;
    dirty.delete(item);
    item.wish = wish;
    item.version++;
    item.serviceId = serviceId;
    if (wish === 'removed') this.#countRemoved(items, dirty, item);
    if (item.sending === 0 && (wish === 'changed' || wish === 'removed')) dirty.add(item);
    return item;
  }

  #known(items: Map<string, SyncItem>, dirty: DirtySet, id: string, serviceId: string): SyncItem {
    const item = items.get(id) ?? newItem(id, serviceId, 'told');
    items.set(id, item);
    if (item.wish === 'removed' && item.version > 0) this.#removedCount--;
    dirty.delete(item);
    item.wish = 'told';
    // What is under way says something older.
    item.version++;
    item.serviceId = serviceId;
    tellWaiters(item);
    return item;
  }

  #forget(items: Map<string, SyncItem>, dirty: DirtySet, id: string, serviceId: string): void {
    if (!items.has(id)) return;
    const item = this.#known(items, dirty, id, serviceId);
    // An operation that is under way must find its item, so that it does not settle a later one.
    if (item.sending === 0 && item.busy === 0) items.delete(id);
  }

  #countRemoved(items: Map<string, SyncItem>, dirty: DirtySet, newest: SyncItem): void {
    this.#removedCount++;
    if (this.#removedCount <= MAX_REMOVED) return;
    for (const item of dirty.all()) {
      if (item.wish !== 'removed' || item === newest) continue;
      this.#removedCount--;
      dirty.delete(item);
      items.delete(item.id);
      tellWaiters(item);
      return;
    }
  }

  #forgetCheck(id: string): void {
    const check = this.#checks.get(id);
    if (check === undefined) return;
    if (check.wish === 'removed') this.#removedCount--;
    this.#dirtyChecks.delete(check);
    this.#checks.delete(id);
    tellWaiters(check);
  }

  #startService(service: SyncItem): Operation {
    this.#start(this.#dirtyServices, service);
    service.busy++;
    if (service.wish === 'removed') return { kind: 'deregister-service', service: service.id };
    const checks: string[] = [];
    for (const check of [...this.#dirtyChecks.of(service.id)]) {
      if (check.wish !== 'changed') continue;
      this.#start(this.#dirtyChecks, check);
      checks.push(check.id);
    }
    return { kind: 'register-service', service: service.id, checks };
  }

  #startCheck(check: SyncItem): Operation | undefined {
    const service = this.#services.get(check.serviceId);
    if (service !== undefined && this.#dirtyServices.has(service)) return undefined;
    if (service !== undefined && service.sending !== 0) return undefined;
    if (check.wish === 'removed') {
      if (service !== undefined) service.busy++;
      this.#start(this.#dirtyChecks, check);
      return { kind: 'deregister-check', check: check.id, service: check.serviceId };
    }
    if (service !== undefined && (service.wish === 'unverified' || service.wish === 'refused')) {
      if (service.busy > 0) return undefined;
      service.version++;
      service.wish = 'changed';
      return this.#startService(service);
    }
    if (service !== undefined) service.busy++;
    this.#start(this.#dirtyChecks, check);
    return { kind: 'register-check', check: check.id, service: check.serviceId };
  }

  #start(dirty: DirtySet, item: SyncItem): void {
    item.sending = item.version;
    dirty.delete(item);
  }

  #release(serviceId: string): void {
    const service = this.#services.get(serviceId);
    if (service !== undefined && service.busy > 0) service.busy--;
  }

  #settleNode(operation: Operation, outcome: Outcome, nodeVersion: number): void {
    if (nodeVersion === 0) return;
    const isRefused = operation.kind === 'update-node' && outcome !== 'failed';
    if ((outcome === 'done' || isRefused) && nodeVersion === this.#nodeVersion) this.#node = 'told';
    else if (this.#node === 'sending') this.#node = 'changed';
  }

  #settle(items: Map<string, SyncItem>, dirty: DirtySet, id: string, outcome: Outcome): void {
    const item = items.get(id);
    if (item === undefined || item.sending === 0) return;
    const isCurrent = item.sending === item.version;
    item.sending = 0;
    if (!isCurrent) {
      if (item.wish === 'changed' || item.wish === 'removed') dirty.add(item);
      return;
    }
    tellWaiters(item);
    if (outcome === 'failed') {
      dirty.add(item);
    } else if (item.wish === 'removed') {
      this.#removedCount--;
      items.delete(id);
    } else {
      item.wish = outcome === 'refused' ? 'refused' : 'told';
    }
  }

  #verified(
    items: Map<string, SyncItem>,
    dirty: DirtySet,
    id: string,
    serviceId: string,
    isSame: boolean,
  ): void {
    const item = items.get(id);
    if (item === undefined) {
      this.#wish(items, dirty, id, serviceId, isSame ? 'told' : 'changed');
      return;
    }
    if (item.sending !== 0 || item.wish === 'changed' || item.wish === 'removed') return;
    if (isSame) item.wish = 'told';
    else this.#wish(items, dirty, id, serviceId, 'changed');
  }
}

/** Carries the node's own entry when that has to be told. */
export function isRegistration(operation: Operation): boolean {
  return operation.kind !== 'deregister-service' && operation.kind !== 'deregister-check';
}

function newItem(id: string, serviceId: string, wish: Wish): SyncItem {
  return {
    id,
    wish,
    version: 0,
    sending: 0,
    busy: 0,
    serviceId,
    droppedChecks: undefined,
    onTried: undefined,
  };
}

function addWaiter(item: SyncItem | undefined, tried: () => void): void {
  const isSettled =
    item === undefined || (item.sending === 0 && item.wish !== 'changed' && item.wish !== 'removed');
  if (isSettled) tried();
  else item.onTried = [...(item.onTried ?? []), tried];
}

function tellWaiters(item: SyncItem): void {
  const waiting = item.onTried;
  item.onTried = undefined;
  for (const tried of waiting ?? []) tried();
}
