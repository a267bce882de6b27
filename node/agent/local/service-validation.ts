/** Whether a service definition may be registered, in Consul's order and words. */

import { isIPv4, isIPv6 } from 'node:net';
import { badRequest, ConsulError, refused } from '../../../shared/errors.ts';
import { metadataProblem } from '../../../shared/metadata.ts';
import type { CheckDefinition, ServiceDefinition } from '../../../shared/types/definitions.ts';
import type { ServiceProxy } from '../../../shared/types/v1.ts';
import { weightsProblem } from '../../../shared/weights.ts';
import { requireSoundCheck } from '../checks/check-kind.ts';

const ANY_ADDRESSES: ReadonlySet<string> = new Set(['0.0.0.0', '::', '[::]']);
const STATUSES: ReadonlySet<string> = new Set(['passing', 'warning', 'critical']);
const GATEWAY_KINDS: ReadonlySet<string> = new Set([
  'mesh-gateway',
  'terminating-gateway',
  'ingress-gateway',
]);

/** What the API checks of a service before anything else. @throws ConsulError 400 with the text of the reference */
export function validateApiService(definition: ServiceDefinition): void {
  if (definition.name === '') throw badRequest('Missing service name');
  if (ANY_ADDRESSES.has(definition.address)) throw badRequest('Invalid service address');
  const weights = weightsProblem(definition.weights);
  if (weights !== undefined) throw badRequest(`Invalid Weights: ${weights}`);
  const meta = metadataProblem(definition.meta);
  if (meta !== undefined) throw badRequest(`Invalid Service Meta: ${meta}`);
  requireSoundProxy(definition);
  requireSoundChecks(definition.checks);
  if (definition.sidecar !== undefined) requireSoundSidecarChecks(definition.sidecar.checks);
}

/** What the start-up and a reload check of a service from a file. @throws ConsulError, to be prefixed by the caller */
export function validateFileService(definition: ServiceDefinition): void {
  if (definition.name === '') throw refused('Service name missing');
  const weights = weightsProblem(definition.weights);
  if (weights !== undefined)
    throw refused(`Invalid weight definition for service ${definition.name}: ${weights}`);
  const meta = metadataProblem(definition.meta);
  if (meta !== undefined) throw refused(`invalid meta for service ${definition.name}: ${meta}`);
  requireSoundProxy(definition);
  requireSoundChecks(definition.checks);
  if (definition.sidecar !== undefined) requireSoundSidecarChecks(definition.sidecar.checks);
}

/** What both check in the end. @throws ConsulError 500 `Service tagged address …` */
export function validateTaggedAddresses(definition: ServiceDefinition): void {
  const wanted = { lan_ipv4: 4, wan_ipv4: 4, lan_ipv6: 6, wan_ipv6: 6 } as const;
  for (const [name, version] of Object.entries(wanted)) {
    const tagged = definition.taggedAddresses[name];
    if (tagged === undefined) continue;
    const isValid = version === 4 ? isIPv4(tagged.Address) : isIPv6(tagged.Address);
    if (!isValid) throw refused(`Service tagged address "${name}" must be a valid ipv${version} address`);
  }
}

/** What the API checks of a check on its own. @throws ConsulError 400 */
export function validateApiCheck(definition: CheckDefinition): void {
  if (definition.name === '') throw badRequest('Missing check name');
  if (definition.status !== '' && !STATUSES.has(definition.status)) throw badRequest('Bad check status');
  requireSoundCheck(definition);
}

/** @throws ConsulError 400 `1 error occurred:…` for proxies and gateways that cannot work */
export function requireSoundProxy(definition: ServiceDefinition): void {
  const problems = proxyProblems(definition);
  if (problems.length === 0) return;
  const heading = problems.length === 1 ? '1 error occurred:' : `${problems.length} errors occurred:`;
  throw badRequest(`${heading}\n\t* ${problems.join('\n\t* ')}\n\n`);
}

function requireSoundChecks(checks: readonly CheckDefinition[]): void {
  for (const check of checks) requireSoundCheck(check);
  for (const check of checks)
    if (check.status !== '' && !STATUSES.has(check.status))
      throw badRequest("Status for checks must 'passing', 'warning', 'critical'");
}

function requireSoundSidecarChecks(checks: readonly CheckDefinition[]): void {
  try {
    requireSoundChecks(checks);
  } catch (error) {
    if (!(error instanceof ConsulError)) throw error;
    const text = error.message.replace(/^Invalid check:/, 'Invalid check in sidecar_service:');
    throw badRequest(`Bad request: ${text}`);
  }
}

function proxyProblems(definition: ServiceDefinition): string[] {
  const problems: string[] = [];
  if (definition.kind === 'connect-proxy') problems.push(...connectProxyProblems(definition));
  if (GATEWAY_KINDS.has(definition.kind)) {
    if (definition.port === 0 && definition.kind !== 'ingress-gateway')
      problems.push(`Port must be non-zero for a ${definition.kind}`);
    if (definition.sidecar !== undefined)
      problems.push(`A ${definition.kind} cannot have a sidecar service defined`);
  }
  if (definition.sidecar !== undefined) {
    if (definition.sidecar.id !== '')
      problems.push('A SidecarService cannot specify an ID as this is managed by the agent');
    if (definition.sidecar.sidecar !== undefined)
      problems.push('A SidecarService cannot have a nested SidecarService');
  }
  return problems;
}

function connectProxyProblems(definition: ServiceDefinition): string[] {
  const problems: string[] = [];
  if ((definition.proxy?.DestinationServiceName ?? '').trim() === '')
    problems.push('Proxy.DestinationServiceName must be non-empty for Connect proxy services');
  if (definition.port === 0) problems.push('Port must be set for a Connect proxy');
  if (definition.connectNative) problems.push('A Proxy cannot also be Connect Native, only typical services');
  problems.push(...upstreamProblems(definition.proxy));
  return problems;
}

function upstreamProblems(proxy: ServiceProxy | undefined): string[] {
  const problems: string[] = [];
  for (const upstream of proxy?.Upstreams ?? []) {
    const name = upstream.DestinationName ?? '';
    if (name === '') problems.push('upstream destination name cannot be empty');
    else if ((upstream.LocalBindPort ?? 0) === 0) problems.push('upstream local bind port cannot be zero');
  }
  return problems;
}
