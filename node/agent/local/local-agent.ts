/** The agent's own services and checks as one: registered, run, persisted and kept in the catalog. */

import type { Timer } from '../../../shared/env.ts';
import { ConsulError, notFound, refused } from '../../../shared/errors.ts';
import type {
  CheckDefinition,
  DefinitionSource,
  ServiceDefinition,
} from '../../../shared/types/definitions.ts';
import type { FloatingPart } from '../../../shared/types/floating.ts';
import type { CheckStatus, HealthCheck, Service } from '../../../shared/types/v1.ts';
import { startCoordinateSender } from '../anti-entropy/coordinates.ts';
import { type AntiEntropy, createAntiEntropy } from '../anti-entropy/driver.ts';
import type { NodeEntry } from '../anti-entropy/messages.ts';
import { FULL_SYNC_INTERVAL_MS } from '../anti-entropy/timing.ts';
import { messageOf } from '../checks/go-errors.ts';
import { cutTtlOutput } from '../checks/output-buffer.ts';
import { DEFAULT_OUTPUT_MAX_BYTES, outputLimit } from '../checks/probe.ts';
import { deregisterAfterMs, REAP_INTERVAL_MS, servicesToReap } from '../checks/reaper.ts';
import { Carrier } from '../floating/carrier.ts';
import { maintenanceCheck, NODE_MAINTENANCE_ID, serviceMaintenanceId } from './maintenance.ts';
import { type PreparedService, prepareCheck, prepareService } from './prepare.ts';
import { serviceIdOf } from './registration.ts';
import { Registry } from './registry.ts';
import { sidecarIdOf } from './sidecar.ts';
import type {
  Definitions,
  DeregisterServiceOptions,
  LocalAgent,
  LocalAgentOptions,
  LocalAgentStats,
  RegisterServiceOptions,
} from './types.ts';

const DEFAULT_CHECK_UPDATE_INTERVAL_MS = 5 * 60_000;

export function createLocalAgent(options: LocalAgentOptions): LocalAgent {
  return new LocalServices(options);
}

/**
 * Invariant: a mutation is validated, applied to memory and handed to runner and anti-entropy within one turn, so no
 * other sees half of it; what takes time (disk, catalog) follows, and the caller waits for both.
 */
class LocalServices implements LocalAgent {
  readonly #options: LocalAgentOptions;
  readonly #registry: Registry;
  readonly #sync: AntiEntropy;
  readonly #carrier: Carrier;
  #node: NodeEntry;
  #reapTimer: Timer | undefined;
  #stopCoordinates: (() => void) | undefined;

  constructor(options: LocalAgentOptions) {
    const { env, log } = options;
    this.#options = options;
    this.#node = nodeEntry(options, options.nodeMeta);
    this.#registry = new Registry(options);
    this.#sync = createAntiEntropy({
      env,
      log,
      backend: options.backend,
      state: this.#registry.state,
      node: () => this.#node,
      clusterSize: options.clusterSize,
      fullSyncIntervalMs: options.fullSyncIntervalMs ?? FULL_SYNC_INTERVAL_MS,
      checkUpdateIntervalMs: options.checkUpdateIntervalMs ?? DEFAULT_CHECK_UPDATE_INTERVAL_MS,
      agentToken: options.agentToken ?? (() => ''),
      defaultToken: options.defaultToken ?? (() => ''),
      onMisplaced: () => this.#carrier.refresh(),
    });
    this.#carrier = new Carrier({
      ...options,
      registry: this.#registry,
      node: () => this.#node,
      agentToken: options.agentToken ?? (() => ''),
      defaultToken: options.defaultToken ?? (() => ''),
    });
  }

  async start(definitions: Definitions): Promise<void> {
    const persisted = await this.#registry.persistence.load();
    this.#registry.replaceFileDefinitions(definitions, persisted.ttlStates);
    this.#registry.restore(persisted);
    this.#sync.start();
    this.#carrier.start();
    this.#scheduleReap();
    this.#startCoordinates();
  }

  async stop(): Promise<void> {
    this.#reapTimer?.cancel();
    this.#stopCoordinates?.();
    this.#carrier.stop();
    this.#registry.runner.close();
    this.#sync.stop();
    await this.#registry.persistence.close();
  }

  services(): ReadonlyMap<string, Service> {
    return this.#registry.state.services();
  }

  checks(): ReadonlyMap<string, HealthCheck> {
    return this.#registry.state.checks();
  }

  onServiceChange(serviceId: string, changed: () => void): () => void {
    return this.#registry.state.onServiceChange(serviceId, changed);
  }

  async registerService(definition: ServiceDefinition, options: RegisterServiceOptions): Promise<void> {
    const registry = this.#registry;
    const prepared = prepareService(definition, options.source, registry.prepareContext());
    const mainId = serviceIdOf(definition);
    const carriage = registry.state.service(mainId)?.floating;
    if (
      options.isFloating === true &&
      (carriage !== undefined || registry.state.service(mainId) === undefined)
    )
      return this.#carrier.register(floatingParts(prepared), options.replaceExistingChecks);
    // Who registers it directly wants it to be this agent's.
    if (carriage !== undefined) await this.#carrier.release(carriage.id, definition.token);
    const isNew = registry.state.service(mainId) === undefined;
    const unwanted = new Set(options.replaceExistingChecks ? registry.state.checkIdsOf(mainId) : []);
    const serviceIds: string[] = [];
    const checkIds: string[] = [];
    const saves: Promise<void>[] = [];
    for (const part of prepared) {
      registry.applyService(part, options.source, undefined);
      serviceIds.push(part.service.ID);
      saves.push(...registry.saveService(part));
      for (const { check } of part.checks) {
        checkIds.push(check.CheckID);
        unwanted.delete(check.CheckID);
      }
    }
    for (const id of unwanted) saves.push(...registry.removeCheck(id));
    const pushed = this.#sync.pushed(serviceIds, [...checkIds, ...unwanted]);
    await this.#saved(saves, () => {
      for (const { service } of prepared)
        if (isNew && registry.state.services().get(service.ID) === service)
          registry.forgetService(service.ID);
    });
    await pushed;
  }

  async deregisterService(serviceId: string, options?: DeregisterServiceOptions): Promise<void> {
    if (serviceId === '') throw refused('ServiceID missing');
    const { state } = this.#registry;
    const record = state.service(serviceId);
    const isCarried = record?.floating !== undefined;
    const wasFloating =
      (isCarried || options?.isFloating === true) &&
      (await this.#carrier.deregister(serviceId, 0, record?.token ?? ''));
    if (isCarried || (wasFloating && record === undefined)) return;
    if (state.service(serviceId) === undefined) {
      const error = `Service ${JSON.stringify(serviceId)} does not exist`;
      this.#options.log.warn('Failed to deregister service', { service: serviceId, error });
      return;
    }
    const sidecarId = sidecarIdOf(serviceId);
    const hasSidecar = state.service(sidecarId)?.isSidecar === true;
    const ids = hasSidecar ? [serviceId, sidecarId] : [serviceId];
    const removals = ids.flatMap((id) => this.#registry.removeService(id));
    const pushed = this.#sync.pushed(ids, []);
    await this.#saved(removals);
    await pushed;
  }

  async registerCheck(
    definition: CheckDefinition,
    options: { readonly source: DefinitionSource } = { source: 'api' },
  ): Promise<void> {
    const registry = this.#registry;
    const built = prepareCheck(definition, options.source, registry.prepareContext());
    const { CheckID: id } = built.check;
    if (this.#isCarried(built.check.ServiceID)) {
      const set = [{ check: built.check, definition: built.definition }];
      return this.#carrier.changeChecks(built.check.ServiceID, { set }, definition.token);
    }
    const isNew = registry.state.check(id) === undefined;
    registry.applyCheck(built, options.source, undefined);
    const pushed = this.#sync.pushed([], [id]);
    await this.#saved(registry.saveChecks([id]), () => {
      if (isNew && registry.state.check(id)?.definition === built.definition) registry.forgetCheck(id);
    });
    await pushed;
  }

  async deregisterCheck(checkId: string): Promise<void> {
    if (checkId === '') throw refused('CheckID missing');
    const service = this.#registry.state.serviceOfCheck(checkId);
    if (service?.floating !== undefined)
      return this.#carrier.changeChecks(service.service.ID, { remove: [checkId] }, service.token);
    const removals = this.#registry.removeCheck(checkId);
    const pushed = this.#sync.pushed([], [checkId]);
    await this.#saved(removals);
    await pushed;
  }

  async updateTtl(checkId: string, status: CheckStatus, output: string): Promise<void> {
    const definition = this.#registry.state.check(checkId)?.definition;
    if (definition === undefined || !this.#registry.runner.hasTtl(checkId))
      throw refused(`CheckID ${JSON.stringify(checkId)} does not have associated TTL`);
    const limit = outputLimit(definition, this.#options.checkOutputMaxSize ?? DEFAULT_OUTPUT_MAX_BYTES);
    const kept = cutTtlOutput(output, limit);
    this.#options.log.debug('Check status updated', { check: checkId, status });
    this.#registry.runner.renewTtl(checkId, kept);
    this.#registry.report(checkId, { status, output: kept });
    if (!this.#isCarried(definition.serviceId))
      this.#registry.persistence.saveTtlState(checkId, status, kept, definition.ttlMs);
  }

  async setNodeMaintenance(enable: boolean, reason: string): Promise<void> {
    const isOn = this.#registry.state.check(NODE_MAINTENANCE_ID) !== undefined;
    if (isOn === enable) return;
    this.#options.log.info(enable ? 'Node entered maintenance mode' : 'Node left maintenance mode');
    if (enable) await this.#addMaintenance(maintenanceCheck(this.#options.nodeName, undefined, reason));
    else await this.deregisterCheck(NODE_MAINTENANCE_ID);
  }

  async setServiceMaintenance(serviceId: string, enable: boolean, reason: string): Promise<void> {
    const service = this.#registry.state.services().get(serviceId);
    if (service === undefined) throw notFound(`No service registered with ID ${JSON.stringify(serviceId)}`);
    const checkId = serviceMaintenanceId(serviceId);
    const isOn = this.#registry.state.check(checkId) !== undefined;
    if (isOn === enable) return;
    const message = enable ? 'Service entered maintenance mode' : 'Service left maintenance mode';
    this.#options.log.info(message, { service: serviceId });
    if (enable) await this.#addMaintenance(maintenanceCheck(this.#options.nodeName, service, reason));
    else await this.deregisterCheck(checkId);
  }

  async reloadDefinitions(definitions: Definitions): Promise<void> {
    this.#registry.replaceFileDefinitions(definitions, undefined);
  }

  setDiscardCheckOutput(discard: boolean): void {
    this.#registry.setDiscardOutput(discard);
  }

  setNodeMeta(nodeMeta: Readonly<Record<string, string>>): void {
    this.#node = nodeEntry(this.#options, nodeMeta);
    this.#sync.nodeChanged();
  }

  pauseSync(): void {
    this.#sync.pause();
  }

  resumeSync(): void {
    this.#sync.resume();
  }

  serverJoined(): void {
    this.#sync.serverJoined();
  }

  stats(): LocalAgentStats {
    const { scripts, ttls } = this.#registry.runner.counts();
    return {
      check_monitors: scripts,
      check_ttls: ttls,
      checks: this.#registry.state.checks().size,
      services: this.#registry.state.services().size,
    };
  }

  #isCarried(serviceId: string): boolean {
    return this.#registry.state.service(serviceId)?.floating !== undefined;
  }

  async #addMaintenance(check: HealthCheck): Promise<void> {
    const { CheckID: id } = check;
    const registry = this.#registry;
    if (this.#isCarried(check.ServiceID))
      return this.#carrier.changeChecks(check.ServiceID, { set: [{ check, definition: null }] }, '');
    registry.setCheck({ check, definition: undefined, token: '', source: 'api', criticalSinceMs: undefined });
    const pushed = this.#sync.pushed([], [id]);
    await this.#saved(registry.saveChecks([id]), () => registry.forgetCheck(id));
    await pushed;
  }

  /** @throws ConsulError 500 when something could not be written, after `undo` */
  async #saved(saves: readonly Promise<void>[], undo: () => void = () => {}): Promise<void> {
    const failed = (await Promise.allSettled(saves)).find((save) => save.status === 'rejected');
    if (failed === undefined) return;
    undo();
    const text = `failed to persist definition: ${messageOf(failed.reason)}`;
    this.#options.log.error('failed to persist definition', { error: messageOf(failed.reason) });
    throw new ConsulError('internal', 500, text, { cause: failed.reason });
  }

  #scheduleReap(): void {
    this.#reapTimer = this.#options.env.clock.setTimer(REAP_INTERVAL_MS, () => {
      this.#reap();
      this.#scheduleReap();
    });
  }

  #reap(): void {
    const { env, log } = this.#options;
    for (const [service, check] of servicesToReap(this.#reapCandidates(), env.clock.monotonicMs())) {
      this.#reapService(service).then(
        () =>
          log.info('Check for service has been critical for too long; deregistered service', {
            service,
            check,
          }),
        (error) =>
          log.error('unable to deregister service after check has been critical for too long', {
            service,
            check,
            error: messageOf(error),
          }),
      );
    }
  }

  /** What was moved away meanwhile may be well where it is now. */
  async #reapService(serviceId: string): Promise<void> {
    const record = this.#registry.state.service(serviceId);
    if (record?.floating === undefined) return this.deregisterService(serviceId);
    await this.#carrier.deregister(serviceId, record.floating.generation, record.token);
  }

  *#reapCandidates() {
    for (const [checkId, { check, definition, criticalSinceMs }] of this.#registry.state.checkRecords()) {
      const afterMs = deregisterAfterMs(definition?.deregisterCriticalServiceAfterMs ?? 0);
      yield { checkId, serviceId: check.ServiceID, criticalSinceMs, deregisterAfterMs: afterMs };
    }
  }

  #startCoordinates(): void {
    const { env, log, backend, nodeName, datacenter, coordinate, clusterSize, agentToken } = this.#options;
    if (coordinate === undefined) return;
    this.#stopCoordinates = startCoordinateSender({
      env,
      log,
      backend,
      nodeName,
      datacenter,
      coordinate,
      clusterSize,
      firstDelayMs: this.#options.coordinateDelayMs,
      agentToken: agentToken ?? (() => ''),
    });
  }
}

function floatingParts(prepared: readonly PreparedService[]): FloatingPart[] {
  return prepared.map(({ service, token, isSidecar, checks }) => ({ service, token, isSidecar, checks }));
}

function nodeEntry(options: LocalAgentOptions, nodeMeta: Readonly<Record<string, string>>): NodeEntry {
  const { nodeName, nodeId, nodeAddress, taggedAddresses, datacenter } = options;
  return {
    nodeName,
    nodeId,
    nodeAddress,
    taggedAddresses,
    nodeMeta: { 'consul-network-segment': '', ...nodeMeta },
    datacenter,
  };
}
