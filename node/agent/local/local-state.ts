/** The services and checks of this agent in memory: who changed what, told to those who push, persist or watch. */

import type { CheckDefinition, DefinitionSource } from '../../../shared/types/definitions.ts';
import type { HealthCheck, Service } from '../../../shared/types/v1.ts';
import { isSameService } from '../anti-entropy/same.ts';
import type { CheckResult } from '../checks/types.ts';

export interface ServiceRecord {
  readonly service: Service;
  readonly token: string;
  readonly source: DefinitionSource;
  /** Made for `connect.sidecar_service` of another service and removed with it. */
  readonly isSidecar: boolean;
  /** Set while this agent only carries it. Nothing of it is persisted here. */
  readonly floating?: Carriage | undefined;
}

/** On what grounds this agent carries a floating service. */
export interface Carriage {
  /** ID of the floating service that this one is, or is the sidecar of. */
  readonly id: string;
  /** See `FloatingPlace`. */
  readonly generation: number;
  /** See `PlacedService`. */
  readonly since: number;
}

export interface CheckRecord {
  readonly check: HealthCheck;
  /** undefined for maintenance checks: nothing runs. */
  readonly definition: CheckDefinition | undefined;
  readonly token: string;
  readonly source: DefinitionSource;
  /** Monotonic time of the report that made it critical; undefined when not critical or never reported. */
  readonly criticalSinceMs: number | undefined;
}

/** `isKnown`: the catalog has it so already. */
export type LocalChange =
  | { readonly kind: 'service-set'; readonly id: string; readonly isKnown: boolean }
  | {
      readonly kind: 'service-removed';
      readonly id: string;
      readonly checkIds: readonly string[];
      readonly isKnown: boolean;
    }
  | {
      readonly kind: 'check-set';
      readonly id: string;
      readonly serviceId: string;
      readonly isKnown: boolean;
    }
  | {
      readonly kind: 'check-reported';
      readonly id: string;
      readonly serviceId: string;
      /** Only the output changed. */
      readonly outputOnly: boolean;
    }
  | {
      readonly kind: 'check-removed';
      readonly id: string;
      readonly serviceId: string;
      readonly isKnown: boolean;
    };

/**
 * Invariants: a check that names a service has that service here; `#services` and `#checks` hold exactly the objects of
 * the records, `#carried` exactly those that float; objects are replaced, never mutated, so a reader may keep one.
 */
export class LocalState {
  readonly #services = new Map<string, Service>();
  readonly #checks = new Map<string, HealthCheck>();
  readonly #serviceRecords = new Map<string, ServiceRecord>();
  readonly #checkRecords = new Map<string, CheckRecord>();
  /** Check IDs by service ID, '' for the node's. */
  readonly #checkIds = new Map<string, Set<string>>();
  /** IDs of services by the floating service that they are part of. */
  readonly #carried = new Map<string, Set<string>>();
  readonly #listeners = new Set<(change: LocalChange) => void>();
  readonly #serviceWatchers = new Map<string, Set<() => void>>();

  services(): ReadonlyMap<string, Service> {
    return this.#services;
  }

  checks(): ReadonlyMap<string, HealthCheck> {
    return this.#checks;
  }

  service(id: string): ServiceRecord | undefined {
    return this.#serviceRecords.get(id);
  }

  check(id: string): CheckRecord | undefined {
    return this.#checkRecords.get(id);
  }

  /** On what grounds floating services are carried here. */
  *carriages(): Iterable<Carriage> {
    for (const [serviceId] of this.#carried.values()) {
      const floating = serviceId === undefined ? undefined : this.#serviceRecords.get(serviceId)?.floating;
      if (floating !== undefined) yield floating;
    }
  }

  /** The service itself and its sidecar, as far as they are carried here. */
  carriedIds(floatingId: string): readonly string[] {
    return [...(this.#carried.get(floatingId) ?? [])];
  }

  serviceRecords(): Iterable<[string, ServiceRecord]> {
    return this.#serviceRecords;
  }

  /** The service that a check belongs to; undefined for one of the node. */
  serviceOfCheck(checkId: string): ServiceRecord | undefined {
    const check = this.#checks.get(checkId);
    return check === undefined ? undefined : this.#serviceRecords.get(check.ServiceID);
  }

  checkRecords(): Iterable<[string, CheckRecord]> {
    return this.#checkRecords;
  }

  /** Checks of one service, or of the node when ''. */
  checkIdsOf(serviceId: string): readonly string[] {
    return [...(this.#checkIds.get(serviceId) ?? [])];
  }

  /** Calls back for every change, after it took effect. @returns a cancel function */
  onChange(listener: (change: LocalChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back once when the service's definition changes or goes. @returns a cancel function */
  onServiceChange(serviceId: string, changed: () => void): () => void {
    const watchers = this.#serviceWatchers.get(serviceId) ?? new Set();
    this.#serviceWatchers.set(serviceId, watchers);
    watchers.add(changed);
    return () => {
      watchers.delete(changed);
      if (watchers.size === 0 && this.#serviceWatchers.get(serviceId) === watchers)
        this.#serviceWatchers.delete(serviceId);
    };
  }

  /** Adds or replaces. Checks that the service keeps get its new name and tags. */
  setService(record: ServiceRecord, isKnown = false): void {
    const id = record.service.ID;
    const before = this.#services.get(id);
    this.#unlinkCarried(id);
    this.#services.set(id, record.service);
    this.#serviceRecords.set(id, record);
    if (record.floating !== undefined) this.#linkCarried(id, record.floating.id);
    this.#emit({ kind: 'service-set', id, isKnown });
    for (const checkId of this.checkIdsOf(id)) this.#renameService(checkId, record.service, isKnown);
    if (before === undefined || !isSameService(before, record.service)) this.#wakeServiceWatchers(id);
  }

  /** Takes over tags that were changed in the catalog, without marking anything for pushing. */
  adoptTags(serviceId: string, tags: readonly string[]): void {
    const record = this.#serviceRecords.get(serviceId);
    if (record === undefined) return;
    const service = { ...record.service, Tags: [...tags] };
    this.#services.set(serviceId, service);
    this.#serviceRecords.set(serviceId, { ...record, service });
    this.#wakeServiceWatchers(serviceId);
  }

  /** Removes it with its checks. @returns the checks' IDs, or undefined when there is no such service */
  removeService(id: string, isKnown = false): readonly string[] | undefined {
    this.#unlinkCarried(id);
    if (!this.#serviceRecords.delete(id)) return undefined;
    this.#services.delete(id);
    const checkIds = this.checkIdsOf(id);
    for (const checkId of checkIds) {
      this.#checks.delete(checkId);
      this.#checkRecords.delete(checkId);
    }
    this.#checkIds.delete(id);
    this.#emit({ kind: 'service-removed', id, checkIds, isKnown });
    this.#wakeServiceWatchers(id);
    return checkIds;
  }

  /** Adds or replaces. The check's service must be here. */
  setCheck(record: CheckRecord, isKnown = false): void {
    const { CheckID: id, ServiceID: serviceId } = record.check;
    const before = this.#checks.get(id);
    if (before !== undefined && before.ServiceID !== serviceId) this.#unlink(id, before.ServiceID);
    const ids = this.#checkIds.get(serviceId) ?? new Set();
    this.#checkIds.set(serviceId, ids.add(id));
    this.#replaceCheck(record);
    this.#emit({ kind: 'check-set', id, serviceId, isKnown });
  }

  /** @returns whether it was there */
  removeCheck(id: string, isKnown = false): boolean {
    const record = this.#checkRecords.get(id);
    if (record === undefined) return false;
    const serviceId = record.check.ServiceID;
    this.#checkRecords.delete(id);
    this.#checks.delete(id);
    this.#unlink(id, serviceId);
    this.#emit({ kind: 'check-removed', id, serviceId, isKnown });
    return true;
  }

  /** Notes a result. Equal status and output change nothing but the time since it is critical. */
  report(checkId: string, result: CheckResult, nowMs: number): void {
    const record = this.#checkRecords.get(checkId);
    if (record === undefined) return;
    const { check } = record;
    const criticalSinceMs = result.status === 'critical' ? (record.criticalSinceMs ?? nowMs) : undefined;
    if (check.Status === result.status && check.Output === result.output) {
      if (criticalSinceMs !== record.criticalSinceMs)
        this.#checkRecords.set(checkId, { ...record, criticalSinceMs });
      return;
    }
    const changed = { ...check, Status: result.status, Output: result.output };
    this.#replaceCheck({ ...record, check: changed, criticalSinceMs });
    const outputOnly = check.Status === result.status;
    this.#emit({ kind: 'check-reported', id: checkId, serviceId: check.ServiceID, outputOnly });
  }

  #renameService(checkId: string, service: Service, isKnown: boolean): void {
    const record = this.#checkRecords.get(checkId);
    if (record === undefined) return;
    const { check } = record;
    if (check.ServiceName === service.Service && isSameList(check.ServiceTags, service.Tags)) return;
    this.#replaceCheck({
      ...record,
      check: { ...check, ServiceName: service.Service, ServiceTags: service.Tags },
    });
    this.#emit({ kind: 'check-set', id: checkId, serviceId: service.ID, isKnown });
  }

  #replaceCheck(record: CheckRecord): void {
    this.#checks.set(record.check.CheckID, record.check);
    this.#checkRecords.set(record.check.CheckID, record);
  }

  #unlink(checkId: string, serviceId: string): void {
    const ids = this.#checkIds.get(serviceId);
    ids?.delete(checkId);
    if (ids?.size === 0) this.#checkIds.delete(serviceId);
  }

  #linkCarried(serviceId: string, floatingId: string): void {
    const ids = this.#carried.get(floatingId) ?? new Set();
    this.#carried.set(floatingId, ids.add(serviceId));
  }

  #unlinkCarried(serviceId: string): void {
    const floatingId = this.#serviceRecords.get(serviceId)?.floating?.id;
    if (floatingId === undefined) return;
    const ids = this.#carried.get(floatingId);
    ids?.delete(serviceId);
    if (ids?.size === 0) this.#carried.delete(floatingId);
  }

  #emit(change: LocalChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  #wakeServiceWatchers(serviceId: string): void {
    const watchers = this.#serviceWatchers.get(serviceId);
    if (watchers === undefined) return;
    this.#serviceWatchers.delete(serviceId);
    for (const changed of watchers) changed();
  }
}

function isSameList(a: readonly string[] | null, b: readonly string[] | null): boolean {
  const left = a ?? [];
  const right = b ?? [];
  return left.length === right.length && left.every((item, at) => item === right[at]);
}
