/** What the configuration files want to be there, prepared as a whole, and what of it is there already. */

import { isDeepStrictEqual } from 'node:util';
import type { CheckRecord, LocalState, ServiceRecord } from './local-state.ts';
import { type PrepareContext, type PreparedService, prepareCheck, prepareService } from './prepare.ts';
import type { BuiltCheck } from './registration.ts';
import type { Definitions } from './types.ts';

export interface WantedDefinitions {
  /** By ID, sidecars included; their checks are in `checks`. */
  readonly services: ReadonlyMap<string, PreparedService>;
  readonly checks: ReadonlyMap<string, BuiltCheck>;
}

/** Later definitions of an ID win. @throws ConsulError `Failed to register …` for the first bad one */
export function prepareFileDefinitions(
  definitions: Definitions,
  state: LocalState,
  context: PrepareContext,
): WantedDefinitions {
  const services = new Map<string, PreparedService>();
  const checks = new Map<string, BuiltCheck>();
  const known = new Map(state.services());
  for (const definition of definitions.services) {
    for (const prepared of prepareService(definition, 'file', { ...context, services: known })) {
      known.set(prepared.service.ID, prepared.service);
      services.set(prepared.service.ID, prepared);
      for (const built of prepared.checks) checks.set(built.check.CheckID, built);
    }
  }
  const remaining = new Map(
    [...known].filter(([id]) => services.has(id) || state.service(id)?.source === 'api'),
  );
  for (const definition of definitions.checks) {
    const built = prepareCheck(definition, 'file', { ...context, services: remaining });
    checks.set(built.check.CheckID, built);
  }
  return { services, checks };
}

/** Tags that were taken over from the catalog do not count as a change. */
export function isSameServiceRecord(record: ServiceRecord | undefined, prepared: PreparedService): boolean {
  if (record?.source !== 'file' || record.token !== prepared.token) return false;
  const { service } = prepared;
  const expected = service.EnableTagOverride ? { ...service, Tags: record.service.Tags } : service;
  return record.isSidecar === prepared.isSidecar && isDeepStrictEqual(record.service, expected);
}

export function isSameCheckRecord(record: CheckRecord | undefined, built: BuiltCheck): boolean {
  if (record?.source !== 'file') return false;
  return (
    record.check.ServiceName === built.check.ServiceName &&
    isDeepStrictEqual(record.definition, built.definition)
  );
}
