/** The requests that anti-entropy sends, and what to make of the answers. */

import { type ConsulError, toConsulError } from '../../../shared/errors.ts';
import { NOT_PLACED } from '../../../shared/types/floating.ts';
import type {
  DeregisterRequest,
  FloatingFence,
  HealthCheck,
  RegisterRequest,
  Service,
} from '../../../shared/types/v1.ts';
import type { Outcome } from './core.ts';

/** How the node itself goes into the catalog. */
export interface NodeEntry {
  readonly nodeName: string;
  readonly nodeId: string;
  readonly nodeAddress: string;
  readonly taggedAddresses: Readonly<Record<string, string>>;
  readonly nodeMeta: Readonly<Record<string, string>>;
  readonly datacenter: string;
}

/**
 * @param withNode false leaves the node's entry as the catalog has it
 * @param fence    for a floating service: the placement by which this agent carries it
 */
export function registerRequest(
  node: NodeEntry,
  service: Service | undefined,
  checks: readonly HealthCheck[],
  withNode: boolean,
  fence?: FloatingFence,
): RegisterRequest {
  const [only] = checks;
  return {
    Datacenter: node.datacenter,
    ID: node.nodeId,
    Node: node.nodeName,
    Address: node.nodeAddress,
    TaggedAddresses: { ...node.taggedAddresses },
    NodeMeta: { ...node.nodeMeta },
    Service: service === undefined ? null : withoutIndexes(service),
    Check: checks.length === 1 && only !== undefined ? withoutIndexes(only) : null,
    Checks: checks.length > 1 ? checks.map(withoutIndexes) : null,
    SkipNodeUpdate: !withNode,
    ...(fence !== undefined && { Floating: fence }),
  };
}

export function deregisterRequest(node: NodeEntry, serviceId: string, checkId: string): DeregisterRequest {
  // What is placed here and was not learnt yet is not left over.
  const kept = { KeepFloating: true };
  return {
    Datacenter: node.datacenter,
    Node: node.nodeName,
    ServiceID: serviceId,
    CheckID: checkId,
    ...kept,
  };
}

/** What a failure means for the item that was sent. */
export function outcomeOf(thrown: unknown): Exclude<Outcome, 'done'> {
  const error = toConsulError(thrown);
  switch (error.code) {
    case 'permission-denied':
      return 'given-up';
    case 'refused':
    case 'bad-request':
    case 'too-large':
    case 'not-found':
    case 'conflict':
      return 'refused';
    default:
      return isAclNotFound(error) ? 'given-up' : 'failed';
  }
}

/** The catalog has no such service, so it cannot take a check of it. */
export function isMissingService(thrown: unknown): boolean {
  return toConsulError(thrown).message.includes('Missing service registration');
}

/** The catalog takes nothing about this floating service from this agent, or not by this placement. */
export function isNotPlaced(thrown: unknown): boolean {
  return toConsulError(thrown).message.includes(NOT_PLACED);
}

function isAclNotFound(error: ConsulError): boolean {
  return error.message.includes('ACL not found');
}

function withoutIndexes<T extends { CreateIndex: number; ModifyIndex: number }>(
  object: T,
): Omit<T, 'CreateIndex' | 'ModifyIndex'> {
  const { CreateIndex: _created, ModifyIndex: _modified, ...rest } = object;
  return rest;
}
