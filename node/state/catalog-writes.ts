/** Registering and deregistering nodes, services and checks: what the `register` and `deregister` commands do. */

import { metadataProblem } from '../../shared/metadata.ts';
import type { DeregisterRequest, Node, RegisterRequest } from '../../shared/types/v1.ts';
import { compoundKey, keysUnder, nameKey } from './byte-text.ts';
import type { CheckRegistration, ServiceRegistration } from './catalog-records.ts';
import { nodeRecord, serviceRecord } from './catalog-records.ts';
import type { Change } from './change.ts';
import { MISSING_NODE, Refusal } from './change.ts';
import { checksOn, deleteCheck, ensureCheck } from './checks.ts';
import {
  currentParts,
  floatingOn,
  isPlacedCheck,
  placedHere,
  requirePlaced,
  storeFloating,
  withoutService,
} from './floating-records.ts';
import { instancesOn, removeInstance, storeInstance, touchInstance } from './instances.ts';
import { isSameData } from './interning.ts';
import type { NodeRecord } from './records.ts';
import { endSession } from './sessions.ts';
import { raiseService, raiseTable } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';

export const SERF_HEALTH = 'serfhealth';

/**
 * Writes a node, its service and its checks; parts that are unchanged keep their indexes. Run it in `transact`.
 *
 * @throws Refusal in Consul's words
 */
export function register(change: Change, request: RegisterRequest): void {
  const { tables } = change;
  if (request.Floating !== undefined) requirePlaced(tables, request.Node, request.Floating);
  if (request.UnlessFloating === true) requireNothingPlaced(tables, request.Node);
  registerNode(change, request);
  const { Service: service } = request;
  if (service !== null && service !== undefined) {
    prefixed('failed inserting service: ', () => ensureService(change, request.Node, service));
  }
  const checks = [...(request.Checks ?? []), ...(request.Check ? [request.Check] : [])];
  for (const check of checks) ensureCheckOf(change, request.Node, check);
}

/** The node's own entry. @throws Refusal */
export function registerNode(change: Change, request: RegisterRequest): void {
  prefixed('failed inserting node: ', () => ensureNode(change, request));
}

/**
 * Removes a service with its checks, or a check, or a whole node. Unknown targets are ignored.
 *
 * @throws Refusal before anything has changed, when the node is to go and must keep what is placed on it
 */
export function deregister(change: Change, request: DeregisterRequest): void {
  const { tables } = change;
  const nodeKey = nameKey(request.Node);
  const keeps = request.KeepFloating === true;
  if (request.ServiceID) {
    if (keeps && placedHere(tables, nodeKey, request.ServiceID) !== undefined) return;
    deleteService(change, nodeKey, request.ServiceID);
  } else if (request.CheckID) {
    if (keeps && isPlacedCheck(tables, nodeKey, request.CheckID)) return;
    deleteCheck(change, nodeKey, request.CheckID);
  } else {
    if (keeps) requireNothingPlaced(tables, request.Node);
    deleteNode(change, nodeKey);
  }
}

/** @throws Refusal while the node carries floating services */
function requireNothingPlaced(tables: Tables, node: string): void {
  if (floatingOn(tables, nameKey(node)).length > 0)
    throw new Refusal(`node ${quoted(node)} still carries floating services`);
}

function ensureCheckOf(change: Change, node: string, check: CheckRegistration): void {
  if (check.Node !== node) {
    throw new Refusal(`check node ${quoted(check.Node)} does not match node ${quoted(node)}`);
  }
  try {
    ensureCheck(change, check);
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    throw new Refusal(`failed inserting check: ${thrown.message} on node ${quoted(node)}`);
  }
}

/** Writes a node if it differs. @throws Refusal when another node has the name */
export function ensureNode(change: Change, request: RegisterRequest): void {
  const { tables, index } = change;
  const byName = tables.nodes.get(nameKey(request.Node));
  if (byName !== undefined && (request.SkipNodeUpdate || isSameNode(byName.node, request))) return;
  const existing = claimName(change, request) ?? byName;
  const node = nodeRecord(request, { CreateIndex: existing?.node.CreateIndex ?? index, ModifyIndex: index });
  if (byName !== undefined && byName.node.ID !== '') tables.nodesById.delete(byName.node.ID.toLowerCase());
  storeNode(tables, { key: nameKey(node.Node), node, checks: byName?.checks ?? [] });
  raiseTable(tables, 'nodes', index);
  touchNode(change, node.Node);
}

/**
 * Makes sure that a node ID may use the name, and removes the node that had the ID under another name.
 *
 * @returns the record that the ID had until now
 */
function claimName(change: Change, request: RegisterRequest): NodeRecord | undefined {
  const { tables } = change;
  if (!request.ID) return undefined;
  const known = tables.nodesById.get(request.ID.toLowerCase());
  if (known === undefined) {
    prefixed(`Error while renaming Node ID: ${quoted(request.ID)}: `, () =>
      refuseReservedName(tables, request, true),
    );
    return undefined;
  }
  if (known.node.Node === request.Node) return known;
  prefixed(`Error while renaming Node ID: ${quoted(request.ID)} (${request.Address}): `, () =>
    refuseReservedName(tables, request, false),
  );
  // A change of case alone keeps the key, so its services stay; under another name they belong to the old node.
  if (known.key !== nameKey(request.Node)) deleteNode(change, known.key);
  return known;
}

/** A name is reserved by another live node; one whose agent is critical, or that has no agent, gives way. */
function refuseReservedName(tables: Tables, request: RegisterRequest, mayTakeFromNoId: boolean): void {
  const holder = tables.nodes.get(nameKey(request.Node));
  if (holder === undefined || holder.node.ID.toLowerCase() === request.ID.toLowerCase()) return;
  const { node } = holder;
  const health = tables.checks.get(compoundKey(holder.key, SERF_HEALTH));
  const isAlive = health !== undefined && health.Status !== 'critical';
  if (!isAlive || (node.ID === '' && mayTakeFromNoId)) return;
  throw new Refusal(
    `Node name ${request.Node} is reserved by node ${node.ID} with name ${node.Node} (${node.Address})`,
  );
}

/** Puts a node into its table and index; its checks travel in the record. */
export function storeNode(tables: Tables, record: NodeRecord): void {
  tables.nodes.set(record.key, record);
  if (record.node.ID !== '') tables.nodesById.set(record.node.ID.toLowerCase(), record);
}

function isSameNode(node: Node, request: RegisterRequest): boolean {
  return (
    node.ID === (request.ID ?? '') &&
    node.Node === request.Node &&
    node.Address === (request.Address ?? '') &&
    node.Datacenter === (request.Datacenter ?? '') &&
    isSameData(node.TaggedAddresses, request.TaggedAddresses ?? null) &&
    isSameData(node.Meta, request.NodeMeta ?? null)
  );
}

/** A node's record is part of what its services show. */
function touchNode(change: Change, name: string): void {
  const { tables, watches, index } = change;
  watches.touch(topic.nodes);
  watches.touch(topic.node(name));
  for (const { service } of instancesOn(tables, nameKey(name))) {
    raiseService(tables, service.Service, index);
    touchInstance(change, service);
  }
}

/** Writes a service if it differs. @throws Refusal when its node is unknown or its meta is bad */
export function ensureService(change: Change, nodeName: string, registration: ServiceRegistration): void {
  const { tables, index } = change;
  const nodeKey = nameKey(nodeName);
  const existing = tables.instances.get(compoundKey(nodeKey, nameKey(registration.ID)));
  const problem = metadataProblem(registration.Meta ?? null);
  if (problem !== undefined) {
    throw new Refusal(
      `Invalid Service Meta for node ${nodeName} and serviceID ${registration.ID}: ${problem}`,
    );
  }
  if (!tables.nodes.get(nodeKey)) throw new Refusal(MISSING_NODE);
  if (registration.ID === '') throw new Refusal('failed inserting service: object missing primary index');
  const service = serviceRecord(registration, {
    CreateIndex: existing?.service.CreateIndex ?? index,
    ModifyIndex: index,
  });
  if (
    existing !== undefined &&
    isSameData({ ...existing.service, ModifyIndex: 0 }, { ...service, ModifyIndex: 0 })
  ) {
    return;
  }
  storeInstance(change, { nodeKey, service, checks: existing?.checks ?? [] }, existing, nodeName);
}

/** Removes a service with its checks, if it is there. One that is placed here ceases to float. */
export function deleteService(change: Change, nodeKey: string, serviceId: string): void {
  const placed = placedHere(change.tables, nodeKey, serviceId);
  const ids = placed === undefined ? [serviceId] : withoutService(change, placed, serviceId);
  for (const id of ids) removeEntry(change, nodeKey, id);
}

/** Removes a service's entry and those of its checks, and leaves its placement alone. */
export function removeEntry(change: Change, nodeKey: string, serviceId: string): void {
  const { tables } = change;
  const key = compoundKey(nodeKey, nameKey(serviceId));
  const instance = tables.instances.get(key);
  if (instance === undefined) return;
  for (const check of instance.checks) deleteCheck(change, nodeKey, check.CheckID);
  const remaining = tables.instances.get(key);
  const node = tables.nodes.get(nodeKey);
  if (remaining === undefined || node === undefined) throw new Error('state: an instance without its node');
  removeInstance(change, remaining, node.node.Node);
}

/** Removes a node with all that belongs to it, if it is there. */
export function deleteNode(change: Change, nodeKey: string): void {
  const { tables, watches, index } = change;
  const record = tables.nodes.get(nodeKey);
  if (record === undefined) return;
  const name = record.node.Node;
  // What floats outlives the node: it keeps its last statuses until it is placed elsewhere.
  for (const placed of floatingOn(tables, nodeKey))
    storeFloating(change, { ...placed, parts: currentParts(tables, placed) });
  for (const { service } of instancesOn(tables, nodeKey)) removeEntry(change, nodeKey, service.ID);
  for (const check of checksOn(tables, nodeKey)) deleteCheck(change, nodeKey, check.CheckID);
  for (const id of sessionIdsOn(tables, nodeKey)) endSession(change, id);
  if (tables.coordinates.delete(nodeKey) !== undefined) {
    raiseTable(tables, 'coordinates', index);
    watches.touch(topic.coordinates);
  }
  tables.nodes.delete(nodeKey);
  if (record.node.ID !== '') tables.nodesById.delete(record.node.ID.toLowerCase());
  raiseTable(tables, 'nodes', index);
  watches.touch(topic.nodes);
  watches.touch(topic.node(name));
}

function sessionIdsOn(tables: Tables, nodeKey: string): string[] {
  const ids: string[] = [];
  const { from, to } = keysUnder(nodeKey);
  tables.sessionsByNode.scan(from, to, (session) => {
    ids.push(session.ID);
    return true;
  });
  return ids;
}

/** Runs a step; what it refuses is told with a prefix. */
function prefixed(prefix: string, step: () => void): void {
  try {
    step();
  } catch (thrown) {
    if (thrown instanceof Refusal) throw new Refusal(prefix + thrown.message);
    throw thrown;
  }
}

/** Go's %q, for the texts that occur here. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}
