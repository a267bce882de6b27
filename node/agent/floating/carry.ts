/** Makes the agent's memory and its running checks what a placement says. */

import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../../shared/log.ts';
import type { CheckDefinition } from '../../../shared/types/definitions.ts';
import type { FloatingCheck, FloatingPart, PlacedService } from '../../../shared/types/floating.ts';
import type { HealthCheck, Service } from '../../../shared/types/v1.ts';
import { messageOf } from '../checks/go-errors.ts';
import type { Carriage, CheckRecord } from '../local/local-state.ts';
import { requirePermitted } from '../local/prepare.ts';
import type { Registry } from '../local/registry.ts';

export interface CarryOptions {
  readonly registry: Registry;
  readonly nodeName: string;
  readonly enableScriptChecks: boolean;
  readonly enableLocalScriptChecks: boolean;
  readonly log: Logger;
}

/**
 * Takes a service over, or takes over what has changed of one that is carried. A check goes on with the status that it
 * has in the catalog; one that has been running here all the time knows better than the catalog.
 */
export function carry(options: CarryOptions, placed: PlacedService): void {
  const { registry } = options;
  const { id, generation, since } = placed;
  const floating: Carriage = { id, generation, since };
  for (const serviceId of registry.state.carriedIds(id))
    if (!placed.parts.some(({ service }) => service.ID === serviceId)) registry.dropCarried(serviceId);
  for (const part of placed.parts) {
    const before = registry.state.service(part.service.ID)?.floating;
    carryPart(options, part, floating, before?.id === id && before.since === since);
  }
}

/** Lets go of a floating service, its sidecar included. */
export function drop(registry: Registry, id: string): void {
  for (const serviceId of registry.state.carriedIds(id)) registry.dropCarried(serviceId);
}

/** @param isContinued this agent has carried it without a break */
function carryPart(
  options: CarryOptions,
  part: FloatingPart,
  floating: Carriage,
  isContinued: boolean,
): void {
  const { registry } = options;
  const service = { ...part.service, CreateIndex: 0, ModifyIndex: 0 };
  registry.carryService({ service, token: part.token, source: 'api', isSidecar: part.isSidecar, floating });
  const wanted = new Set(part.checks.map(({ check }) => check.CheckID));
  for (const checkId of registry.state.checkIdsOf(service.ID))
    if (!wanted.has(checkId)) registry.dropCarriedCheck(checkId);
  for (const check of part.checks) carryCheck(options, check, service, part.token, isContinued);
}

function carryCheck(
  options: CarryOptions,
  { check, definition }: FloatingCheck,
  service: Service,
  token: string,
  isContinued: boolean,
): void {
  const { registry, nodeName } = options;
  const here = registry.state.check(check.CheckID);
  const before = isContinued && here?.check.ServiceID === service.ID ? here : undefined;
  const runs = runnable(options, definition, check.CheckID);
  const wanted: HealthCheck = {
    ...check,
    Node: nodeName,
    Status: before?.check.Status ?? check.Status,
    Output: before?.check.Output ?? check.Output,
    ServiceID: service.ID,
    ServiceName: service.Service,
    ServiceTags: service.Tags,
    CreateIndex: 0,
    ModifyIndex: 0,
  };
  const record: CheckRecord = {
    check: wanted,
    definition: runs,
    token: runs?.token || token,
    source: 'api',
    criticalSinceMs: before?.criticalSinceMs,
  };
  const restarts = before === undefined || !isDeepStrictEqual(before.definition, runs);
  const isKnown = wanted.Status === check.Status && wanted.Output === check.Output;
  registry.carryCheck(record, restarts, isKnown);
}

/** What this agent may not or cannot run keeps the status that it came with. */
function runnable(
  { log, ...permissions }: CarryOptions,
  definition: CheckDefinition | null,
  check: string,
): CheckDefinition | undefined {
  if (definition === null) return undefined;
  try {
    requirePermitted(definition, 'api', permissions);
    return definition;
  } catch (error) {
    log.warn('cannot run check of a floating service', { check, error: messageOf(error) });
    return undefined;
  }
}
