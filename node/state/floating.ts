/** What the commands for floating services do: the placement and its catalog entry change together or not at all. */

import {
  CARRIER_FAILED,
  type FloatingCheckChange,
  type FloatingDeregistration,
  type FloatingMove,
  type FloatingPart,
  type FloatingRegistration,
  NOT_PLACED,
  type PlacedService,
} from '../../shared/types/floating.ts';
import type { HealthCheck } from '../../shared/types/v1.ts';
import { compoundKey, nameKey } from './byte-text.ts';
import { ensureService, quoted, registerNode, removeEntry, SERF_HEALTH } from './catalog-writes.ts';
import type { Change } from './change.ts';
import { Refusal } from './change.ts';
import { deleteCheck, ensureCheck } from './checks.ts';
import {
  currentParts,
  type FloatingRecord,
  placedHere,
  placedService,
  storeFloating,
  withoutService,
} from './floating-records.ts';
import { ownData } from './interning.ts';
import type { Tables } from './tables.ts';

/**
 * Places a service on the registering agent's node, wherever it was before; checks that it keeps keep their status.
 * Run it in `transact`.
 *
 * @throws Refusal when the node is taken for dead, an ID belongs to something else, or a part is refused
 */
export function registerFloating(change: Change, registration: FloatingRegistration): PlacedService {
  const { tables, index } = change;
  const parts = ownData(registration.parts);
  const id = parts[0]?.service.ID;
  if (id === undefined || id === '') throw new Refusal('a floating service needs an ID');
  const before = tables.floating.get(nameKey(id));
  registerNode(change, registration.node);
  for (const part of parts) requireUnclaimed(tables, registration.node.Node, part, before);
  const node = nodeName(tables, registration.node.Node);
  if (isTakenForDead(tables, node)) throw new Refusal(CARRIER_FAILED);
  const isSameNode = before !== undefined && nameKey(before.node) === nameKey(node);
  const record: FloatingRecord = {
    id,
    node,
    generation: index,
    since: isSameNode ? before.since : index,
    parts: before === undefined ? parts : mergedParts(tables, before, parts, registration.replaceChecks),
  };
  place(change, record, before);
  return placedService(tables, record);
}

/** Adds, replaces and removes checks. Run it in `transact`. @throws Refusal when the service is not on that node */
export function changeFloatingChecks(change: Change, wanted: FloatingCheckChange): PlacedService {
  const { tables, index } = change;
  const before = placedHere(tables, nameKey(wanted.node), wanted.id);
  if (before === undefined) throw new Refusal(`${NOT_PLACED}: ${quoted(wanted.id)} on ${wanted.node}`);
  const set = ownData(wanted.set);
  const gone = new Set([...wanted.remove, ...set.map(({ check }) => check.CheckID)].map(nameKey));
  const parts = currentParts(tables, before).map((part) => {
    const kept = part.checks.filter(({ check }) => !gone.has(nameKey(check.CheckID)));
    const isMeant = nameKey(part.service.ID) === nameKey(wanted.id);
    return { ...part, checks: isMeant ? [...kept, ...set] : kept };
  });
  const record: FloatingRecord = { ...before, generation: index, parts };
  place(change, record, before);
  return placedService(tables, record);
}

/**
 * Moves services, each with its checks and their statuses; what has changed meanwhile stays, and so does what can't
 * go there: the node is unknown, taken for dead, or has a service of its own with such an ID.
 *
 * @returns IDs of those that were moved
 */
export function assignFloating(change: Change, moves: readonly FloatingMove[]): string[] {
  const { tables, index } = change;
  const moved: string[] = [];
  for (const move of moves) {
    const before = tables.floating.get(nameKey(move.id));
    const nodeKey = nameKey(move.node);
    if (before?.generation !== move.generation || nameKey(before.node) === nodeKey) continue;
    if (!tables.nodes.get(nodeKey) || isTakenForDead(tables, move.node)) continue;
    const parts = currentParts(tables, before);
    if (parts.some((part) => isTaken(tables, nodeKey, part))) continue;
    const node = nodeName(tables, move.node);
    place(change, { id: before.id, node, generation: index, since: index, parts }, before);
    moved.push(before.id);
  }
  return moved;
}

/** @returns index of the change; 0 when there was nothing to do */
export function deregisterFloating(change: Change, request: FloatingDeregistration): number {
  const record = change.tables.floatingByService.get(nameKey(request.id));
  if (record === undefined) return 0;
  if (request.generation !== 0 && request.generation !== record.generation) return 0;
  const gone = withoutService(change, record, request.id);
  if (!request.release) for (const id of gone) removeEntry(change, nameKey(record.node), id);
  return change.index;
}

/** The new entries come first, so that at no index the name is without an instance. */
function place(change: Change, record: FloatingRecord, before: FloatingRecord | undefined): void {
  const { tables } = change;
  const nodeKey = nameKey(record.node);
  const isMove = before !== undefined && nameKey(before.node) !== nodeKey;
  if (before !== undefined && !isMove) removeDropped(change, record, before);
  for (const part of record.parts) storePart(change, record.node, part);
  storeFloating(change, record);
  if (!isMove) return;
  const oldKey = nameKey(before.node);
  for (const { service } of before.parts)
    if (tables.nodes.get(oldKey)) removeEntry(change, oldKey, service.ID);
}

/** What the record had on this node and no longer has. */
function removeDropped(change: Change, record: FloatingRecord, before: FloatingRecord): void {
  const nodeKey = nameKey(record.node);
  const services = new Set(record.parts.map(({ service }) => nameKey(service.ID)));
  const checks = new Set(
    record.parts.flatMap((part) => part.checks.map(({ check }) => nameKey(check.CheckID))),
  );
  for (const part of before.parts) {
    for (const { check } of part.checks)
      if (!checks.has(nameKey(check.CheckID))) deleteCheck(change, nodeKey, check.CheckID);
    if (!services.has(nameKey(part.service.ID))) removeEntry(change, nodeKey, part.service.ID);
  }
}

function storePart(change: Change, node: string, { service, checks }: FloatingPart): void {
  ensureService(change, node, service);
  for (const { check } of checks) ensureCheck(change, { ...check, Node: node, ServiceID: service.ID });
}

/** The new parts; checks of the same ID keep their status, and with `replace` off, others stay too. */
function mergedParts(
  tables: Tables,
  before: FloatingRecord,
  parts: readonly FloatingPart[],
  replace: boolean,
): FloatingPart[] {
  const known = currentParts(tables, before);
  return parts.map((part) => {
    const old = known.find(({ service }) => nameKey(service.ID) === nameKey(part.service.ID))?.checks ?? [];
    const named = new Set(part.checks.map(({ check }) => nameKey(check.CheckID)));
    const kept =
      replace || part.isSidecar ? [] : old.filter(({ check }) => !named.has(nameKey(check.CheckID)));
    const checks = part.checks.map((wanted) => {
      const same = old.find(({ check }) => nameKey(check.CheckID) === nameKey(wanted.check.CheckID))?.check;
      return same === undefined ? wanted : { ...wanted, check: withStatus(wanted.check, same) };
    });
    return { ...part, checks: [...checks, ...kept] };
  });
}

function withStatus(check: HealthCheck, { Status, Output }: HealthCheck): HealthCheck {
  return { ...check, Status, Output };
}

/** @throws Refusal when another floating service has the ID, or another service of the node has one of the check IDs */
function requireUnclaimed(
  tables: Tables,
  node: string,
  { service, checks }: FloatingPart,
  own: FloatingRecord | undefined,
): void {
  const other = tables.floatingByService.get(nameKey(service.ID));
  if (other !== undefined && other !== own)
    throw new Refusal(`Service ${quoted(service.ID)} belongs to ${quoted(other.id)}`);
  for (const { check } of checks) {
    const holder = tables.checks.get(compoundKey(nameKey(node), nameKey(check.CheckID)));
    if (holder !== undefined && nameKey(holder.ServiceID) !== nameKey(service.ID))
      throw new Refusal(
        `Check ${quoted(check.CheckID)} belongs to ${quoted(holder.ServiceID)} on the agent that is to carry ${quoted(service.ID)}`,
      );
  }
}

/** The node has a service or a check of its own with such an ID. */
function isTaken(tables: Tables, nodeKey: string, { service, checks }: FloatingPart): boolean {
  if (tables.instances.get(compoundKey(nodeKey, nameKey(service.ID)))) return true;
  return checks.some(({ check }) => tables.checks.get(compoundKey(nodeKey, nameKey(check.CheckID))));
}

function isTakenForDead(tables: Tables, node: string): boolean {
  return tables.checks.get(compoundKey(nameKey(node), SERF_HEALTH))?.Status === 'critical';
}

/** As the catalog spells it. */
function nodeName(tables: Tables, name: string): string {
  return tables.nodes.get(nameKey(name))?.node.Node ?? name;
}
