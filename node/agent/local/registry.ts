/** The local services and checks with what hangs on them: each change reaches memory, the running checks and the files. */

import { formatDurationMs } from '../../../shared/durations.ts';
import type { DefinitionSource } from '../../../shared/types/definitions.ts';
import type { HealthCheck, Service } from '../../../shared/types/v1.ts';
import { messageOf } from '../checks/go-errors.ts';
import { MIN_DEREGISTER_AFTER_MS } from '../checks/reaper.ts';
import type { CheckResult } from '../checks/types.ts';
import { type CheckRunner, createCheckRunner } from './check-runner.ts';
import { dnsNameWarnings } from './dns-names.ts';
import { isSameCheckRecord, isSameServiceRecord, prepareFileDefinitions } from './file-definitions.ts';
import { type Carriage, type CheckRecord, LocalState, type ServiceRecord } from './local-state.ts';
import type { TtlState } from './persisted-form.ts';
import { createPersistence, NO_PERSISTENCE, type Persisted, type Persistence } from './persistence.ts';
import { type PrepareContext, type PreparedService, requirePermitted } from './prepare.ts';
import type { BuiltCheck } from './registration.ts';
import type { Definitions, LocalAgentOptions } from './types.ts';

const DEFAULT_SIDECAR_PORTS = { min: 21_000, max: 21_255 };

/** Left-over TTL states by check ID; undefined once the agent runs. */
type TtlStates = ReadonlyMap<string, TtlState> | undefined;

/** Invariant: a check runs exactly while `state` has it; changes to memory happen within one turn. */
export class Registry {
  readonly state = new LocalState();
  readonly persistence: Persistence;
  readonly runner: CheckRunner;
  readonly #options: LocalAgentOptions;
  #discardOutput: boolean;

  constructor(options: LocalAgentOptions) {
    const { dataDir, env, log } = options;
    this.#options = options;
    this.#discardOutput = options.discardCheckOutput ?? false;
    this.persistence = dataDir === undefined ? NO_PERSISTENCE : createPersistence(dataDir, env.clock, log);
    this.runner = createCheckRunner(options, this.state, (checkId, result) => this.report(checkId, result));
  }

  setDiscardOutput(discard: boolean): void {
    this.#discardOutput = discard;
  }

  report(checkId: string, result: CheckResult): void {
    const kept = this.#discardOutput ? { status: result.status, output: '' } : result;
    this.state.report(checkId, kept, this.#options.env.clock.monotonicMs());
  }

  prepareContext(): PrepareContext {
    const { nodeName, enableScriptChecks, enableLocalScriptChecks, sidecarPorts } = this.#options;
    return {
      nodeName,
      enableScriptChecks,
      enableLocalScriptChecks,
      sidecarPorts: sidecarPorts ?? DEFAULT_SIDECAR_PORTS,
      services: this.state.services(),
    };
  }

  applyService(prepared: PreparedService, source: DefinitionSource, ttlStates: TtlStates): void {
    const { service, token, isSidecar } = prepared;
    for (const warning of dnsNameWarnings(service)) this.#options.log.warn(warning.message, warning.fields);
    this.state.setService({ service, token, source, isSidecar });
    for (const built of prepared.checks) this.applyCheck(built, source, ttlStates);
  }

  /** A check that was here before keeps its status and output; a TTL check may have left one behind. */
  applyCheck({ check, definition }: BuiltCheck, source: DefinitionSource, ttlStates: TtlStates): void {
    const before = this.state.check(check.CheckID)?.check;
    const left = definition.ttlMs > 0 ? ttlStates?.get(check.CheckID) : undefined;
    this.setCheck({
      check: {
        ...check,
        Status: before?.Status ?? left?.status ?? check.Status,
        Output: before?.Output ?? left?.output ?? '',
      },
      definition,
      token: definition.token,
      source,
      criticalSinceMs: undefined,
    });
  }

  setCheck(record: CheckRecord): void {
    const { CheckID: id } = record.check;
    this.state.setCheck(record);
    if (record.definition === undefined) return;
    const afterMs = record.definition.deregisterCriticalServiceAfterMs;
    if (afterMs > 0 && afterMs < MIN_DEREGISTER_AFTER_MS)
      this.#options.log.warn('check has deregister interval below minimum', {
        check: id,
        minimum_interval: formatDurationMs(MIN_DEREGISTER_AFTER_MS),
      });
    this.runner.start(id, record.definition);
  }

  /** With its checks. @returns resolves when the files are gone */
  removeService(serviceId: string): Promise<void>[] {
    if (this.state.service(serviceId)?.floating !== undefined) {
      this.dropCarried(serviceId);
      return [];
    }
    const checkIds = this.state.removeService(serviceId) ?? [];
    for (const id of checkIds) this.runner.stop(id);
    return [
      this.persistence.removeService(serviceId),
      ...checkIds.map((id) => this.persistence.removeCheck(id)),
    ];
  }

  /** Puts a service here that this agent carries: not persisted, and in the catalog already. */
  carryService(record: ServiceRecord & { readonly floating: Carriage }): void {
    this.state.setService(record, true);
  }

  /** @param restarts whether the check starts anew @param isKnown whether the catalog has this status */
  carryCheck(record: CheckRecord, restarts: boolean, isKnown: boolean): void {
    const { CheckID: id } = record.check;
    this.state.setCheck(record, isKnown);
    if (!restarts) return;
    if (record.definition === undefined) this.runner.stop(id);
    else this.runner.start(id, record.definition);
  }

  /** The catalog needs no telling: whoever decided it has changed it. */
  dropCarried(serviceId: string): void {
    for (const id of this.state.removeService(serviceId, true) ?? []) this.runner.stop(id);
  }

  dropCarriedCheck(checkId: string): void {
    this.runner.stop(checkId);
    this.state.removeCheck(checkId, true);
  }

  removeCheck(checkId: string): Promise<void>[] {
    this.runner.stop(checkId);
    return this.state.removeCheck(checkId) ? [this.persistence.removeCheck(checkId)] : [];
  }

  /** As `removeService`; that a file stays is only logged. */
  forgetService(serviceId: string): void {
    for (const removal of this.removeService(serviceId)) this.#forget(removal);
  }

  forgetCheck(checkId: string): void {
    for (const removal of this.removeCheck(checkId)) this.#forget(removal);
  }

  saveService(prepared: PreparedService): Promise<void>[] {
    const record = this.state.service(prepared.service.ID);
    if (record === undefined || record.source === 'file') return [];
    const checkIds = prepared.checks.map((built) => built.check.CheckID);
    return [this.persistence.saveService(record), ...this.saveChecks(checkIds)];
  }

  saveChecks(checkIds: readonly string[]): Promise<void>[] {
    const records = checkIds.map((id) => this.state.check(id)).filter((record) => record !== undefined);
    return records
      .filter(({ source }) => source !== 'file')
      .map((record) => this.persistence.saveCheck(record));
  }

  /** All or nothing: every definition is prepared before the first is applied. Unchanged ones are left running. */
  replaceFileDefinitions(definitions: Definitions, ttlStates: TtlStates): void {
    const wanted = prepareFileDefinitions(definitions, this.state, this.prepareContext());
    for (const [id, record] of [...this.state.serviceRecords()])
      if (record.source === 'file' && !wanted.services.has(id)) this.forgetService(id);
    for (const [id, record] of [...this.state.checkRecords()])
      if (record.source === 'file' && !wanted.checks.has(id)) this.forgetCheck(id);
    for (const [id, prepared] of wanted.services) {
      const record = this.state.service(id);
      if (record?.source === 'api') this.#forget(this.persistence.removeService(id));
      if (!isSameServiceRecord(record, prepared))
        this.applyService({ ...prepared, checks: [] }, 'file', ttlStates);
    }
    for (const [id, built] of wanted.checks) {
      const record = this.state.check(id);
      if (record?.source === 'api') this.#forget(this.persistence.removeCheck(id));
      if (!isSameCheckRecord(record, built)) this.applyCheck(built, 'file', ttlStates);
    }
  }

  /** Definitions from files win over persisted ones of the same ID, whose files then go. */
  restore(persisted: Persisted): void {
    const { log } = this.#options;
    for (const record of persisted.services) {
      const { ID: id } = record.service;
      if (this.state.service(id) !== undefined) {
        log.debug('service exists, not restoring from file', { service: id });
        this.#forget(this.persistence.removeService(id));
        continue;
      }
      this.state.setService(record);
      log.debug('restored service definition from file', { service: id });
    }
    for (const record of persisted.checks) this.#restoreCheck(record, persisted);
  }

  #restoreCheck(record: CheckRecord, persisted: Persisted): void {
    const { log, nodeName } = this.#options;
    const { CheckID: id, ServiceID: serviceId } = record.check;
    if (this.state.check(id) !== undefined) {
      log.debug('check exists, not restoring from file', { check: id });
      this.#forget(this.persistence.removeCheck(id));
      return;
    }
    const service = this.state.services().get(serviceId);
    const problem = this.#restoreProblem(record, service);
    if (problem !== undefined) {
      log.warn('Failed to restore check', { check: id, error: problem });
      if (!persisted.hasDamagedServices) this.#forget(this.persistence.removeCheck(id));
      return;
    }
    const left = record.definition === undefined ? undefined : persisted.ttlStates.get(id);
    const check: HealthCheck = {
      ...record.check,
      Node: nodeName,
      ServiceName: service?.Service ?? '',
      ServiceTags: service?.Tags ?? [],
      // Critical until proven otherwise: a restart must not put a service into rotation that went down meanwhile.
      Status: left?.status ?? 'critical',
      Output: left?.output ?? '',
    };
    this.setCheck({ ...record, check });
    log.debug('restored health check from file', { check: id });
  }

  #restoreProblem(record: CheckRecord, service: Service | undefined): string | undefined {
    const { ServiceID: serviceId } = record.check;
    if (serviceId !== '' && service === undefined)
      return `ServiceID ${JSON.stringify(serviceId)} does not exist`;
    if (record.definition === undefined) return undefined;
    try {
      requirePermitted(record.definition, record.source, this.#options);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  /** For removals that nobody waits for. A file that stays is restored, or superseded by a definition, at the next start. */
  #forget(removal: Promise<void>): void {
    removal.catch((error) =>
      this.#options.log.error('failed to remove persisted definition', { error: messageOf(error) }),
    );
  }
}
