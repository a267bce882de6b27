/** Turns a definition into what is to be held, refusing it before anything has changed. */

import { ConsulError, refused } from '../../../shared/errors.ts';
import type {
  CheckDefinition,
  DefinitionSource,
  ServiceDefinition,
} from '../../../shared/types/definitions.ts';
import type { Service } from '../../../shared/types/v1.ts';
import { checkDefinitionProblem, isScript } from '../checks/check-kind.ts';
import { requireRunnable } from '../checks/probe.ts';
import { type BuiltCheck, toOwnCheck, toService, toServiceChecks } from './registration.ts';
import {
  requireSoundProxy,
  validateApiCheck,
  validateApiService,
  validateFileService,
  validateTaggedAddresses,
} from './service-validation.ts';
import { type SidecarPorts, sidecarDefinition } from './sidecar.ts';

export interface PrepareContext {
  readonly nodeName: string;
  readonly enableScriptChecks: boolean;
  readonly enableLocalScriptChecks: boolean;
  readonly sidecarPorts: SidecarPorts;
  /** Local services, and those that are about to be. */
  readonly services: ReadonlyMap<string, Service>;
}

export interface PreparedService {
  readonly service: Service;
  readonly token: string;
  readonly checks: readonly BuiltCheck[];
  readonly isSidecar: boolean;
}

/** The service and, when asked for, its sidecar. @throws ConsulError with the API's or the file's texts */
export function prepareService(
  definition: ServiceDefinition,
  source: DefinitionSource,
  context: PrepareContext,
): PreparedService[] {
  return source === 'api' ? prepareBoth(definition, source, context) : prepareFromFile(definition, context);
}

/** @throws ConsulError */
export function prepareCheck(
  definition: CheckDefinition,
  source: DefinitionSource,
  context: PrepareContext,
): BuiltCheck {
  if (source === 'api') {
    validateApiCheck(definition);
  } else {
    const problem = checkDefinitionProblem(definition);
    if (problem !== undefined) throw checkFailure(definition, `Check is not valid: ${problem}`);
  }
  try {
    const service = context.services.get(definition.serviceId);
    if (definition.serviceId !== '' && service === undefined)
      throw refused(`ServiceID ${JSON.stringify(definition.serviceId)} does not exist`);
    const built = toOwnCheck(definition, context.nodeName, service);
    if (built.check.CheckID === '') throw refused('CheckID missing');
    requirePermitted(definition, source, context);
    return source === 'api' ? built : { ...built, check: { ...built.check, Type: '' } };
  } catch (error) {
    if (source === 'api' || !(error instanceof ConsulError)) throw error;
    throw checkFailure(definition, error.message);
  }
}

/** @throws ConsulError 500 when the agent does not run scripts from there, or cannot run such a check at all */
export function requirePermitted(
  definition: CheckDefinition,
  source: DefinitionSource,
  permissions: Pick<PrepareContext, 'enableScriptChecks' | 'enableLocalScriptChecks'>,
): void {
  if (isScript(definition)) {
    if (source === 'file' && !permissions.enableLocalScriptChecks)
      throw refused(
        "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' to true",
      );
    if (source === 'api' && !permissions.enableScriptChecks)
      throw refused(
        "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
      );
  }
  requireRunnable(definition);
}

function prepareFromFile(definition: ServiceDefinition, context: PrepareContext): PreparedService[] {
  const name = JSON.stringify(definition.name);
  try {
    return prepareBoth(definition, 'file', context);
  } catch (error) {
    if (!(error instanceof ConsulError)) throw error;
    const invalidCheck = 'Invalid check: ';
    throw error.message.startsWith(invalidCheck)
      ? refused(`Failed to validate checks for service ${name}: ${error.message.slice(invalidCheck.length)}`)
      : refused(`Failed to register service ${name}: ${error.message}`);
  }
}

function prepareBoth(
  definition: ServiceDefinition,
  source: DefinitionSource,
  context: PrepareContext,
): PreparedService[] {
  if (source === 'api') validateApiService(definition);
  else validateFileService(definition);
  const sidecar = sidecarDefinition(definition, context.services, context.sidecarPorts);
  if (sidecar !== undefined) requireSoundProxy(sidecar);
  const prepared = [prepareOne(definition, source, context, false)];
  if (sidecar !== undefined) prepared.push(prepareOne(sidecar, source, context, true));
  return prepared;
}

function prepareOne(
  definition: ServiceDefinition,
  source: DefinitionSource,
  context: PrepareContext,
  isSidecar: boolean,
): PreparedService {
  validateTaggedAddresses(definition);
  const service = toService(definition);
  const checks = toServiceChecks(definition, service, context.nodeName);
  for (const { definition: check } of checks) requirePermitted(check, source, context);
  return { service, token: definition.token, checks, isSidecar };
}

function checkFailure(definition: CheckDefinition, reason: string): ConsulError {
  return refused(`Failed to register check '${definition.name}': ${reason}`);
}
