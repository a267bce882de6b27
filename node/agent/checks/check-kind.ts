/** Which kind of check a definition asks for, and whether the definition is sound. */

import { badRequest } from '../../../shared/errors.ts';
import type { CheckDefinition } from '../../../shared/types/definitions.ts';

/** As shown in the check's `Type`. */
export type CheckKind = 'grpc' | 'http' | 'ttl' | 'tcp' | 'udp' | 'h2ping' | 'alias' | 'docker' | 'script';

/** The first kind that the definition has the field of, in Consul's order; undefined when it has none. */
export function checkKind(definition: CheckDefinition): CheckKind | undefined {
  if (definition.grpc !== '') return 'grpc';
  if (definition.http !== '') return 'http';
  if (definition.ttlMs > 0) return 'ttl';
  if (definition.tcp !== '') return 'tcp';
  if (definition.udp !== '') return 'udp';
  if (definition.h2ping !== '') return 'h2ping';
  if (isAlias(definition)) return 'alias';
  if (definition.scriptArgs.length === 0) return undefined;
  return definition.dockerContainerId === '' ? 'script' : 'docker';
}

/**
 * Why a definition cannot be run, in Consul's words without any prefix; undefined when it is sound.
 * A definition without any kind counts as a TTL check without a TTL.
 */
export function checkDefinitionProblem(definition: CheckDefinition): string | undefined {
  const needsInterval = hasProbe(definition);
  if (definition.intervalMs > 0 && definition.ttlMs > 0) return 'Interval and TTL cannot both be specified';
  if (needsInterval && definition.intervalMs <= 0)
    return 'Interval must be > 0 for Script, HTTP, or TCP checks';
  if (needsInterval && isAlias(definition)) return 'Interval cannot be set for Alias checks';
  if (isAlias(definition) && definition.ttlMs > 0) return 'TTL must be not be set for Alias checks';
  if (!needsInterval && !isAlias(definition) && definition.ttlMs <= 0)
    return 'TTL must be > 0 for TTL checks';
  if (definition.outputMaxSize < 0) return 'MaxOutputMaxSize must be positive';
  return undefined;
}

/** @throws ConsulError 400 `Invalid check: …` */
export function requireSoundCheck(definition: CheckDefinition): void {
  const problem = checkDefinitionProblem(definition);
  if (problem !== undefined) throw badRequest(`Invalid check: ${problem}`);
}

/** Runs a command, on this machine or in a container: needs the agent's permission. */
export function isScript(definition: CheckDefinition): boolean {
  return definition.scriptArgs.length > 0;
}

function isAlias(definition: CheckDefinition): boolean {
  return definition.aliasNode !== '' || definition.aliasService !== '';
}

function hasProbe(definition: CheckDefinition): boolean {
  return (
    isScript(definition) ||
    definition.http !== '' ||
    definition.tcp !== '' ||
    definition.udp !== '' ||
    definition.grpc !== '' ||
    definition.h2ping !== ''
  );
}
