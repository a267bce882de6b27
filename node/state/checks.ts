/** Storing and removing health checks with all their indexes; tells those who watch them and ends sessions. */

import type { HealthCheck } from '../../shared/types/v1.ts';
import { compoundKey, exactKey, keysUnder, nameKey } from './byte-text.ts';
import type { CheckRegistration } from './catalog-records.ts';
import { checkRecord } from './catalog-records.ts';
import type { Change } from './change.ts';
import { MISSING_NODE, MISSING_SERVICE, Refusal } from './change.ts';
import { instancesOn, replaceInstance, touchHealth } from './instances.ts';
import { isSameData } from './interning.ts';
import type { InstanceRecord } from './records.ts';
import { endSessionsOfCheck } from './sessions.ts';
import { raiseService, raiseTable } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';

const CRITICAL = 'critical';

/** Adds or changes a check. @throws Refusal when its node or service is unknown */
export function ensureCheck(change: Change, registration: CheckRegistration): void {
  const { tables, index } = change;
  const nodeKey = nameKey(registration.Node);
  const node = tables.nodes.get(nodeKey);
  if (node === undefined) throw new Refusal(MISSING_NODE);
  if (registration.CheckID === '') throw new Refusal('failed inserting check: object missing primary index');
  const instance = instanceOf(tables, nodeKey, registration.ServiceID ?? '');
  const existing = tables.checks.get(compoundKey(nodeKey, nameKey(registration.CheckID)));
  const check = checkRecord(registration, instance?.service, node.node.Node, {
    CreateIndex: existing?.CreateIndex ?? index,
    ModifyIndex: index,
  });
  const isUnchanged =
    existing !== undefined && isSameData({ ...existing, ModifyIndex: 0 }, { ...check, ModifyIndex: 0 });
  if (check.Status === CRITICAL) endSessionsOfCheck(change, nodeKey, check.CheckID);
  if (isUnchanged) return;
  if (existing !== undefined) {
    unindexCheck(tables, nodeKey, existing);
    // Moving to another service or state concerns those who watched the old one.
    touchCheck(change, nodeKey, existing);
  }
  indexCheck(tables, nodeKey, check);
  raiseTable(tables, 'checks', index);
  touchCheck(change, nodeKey, check);
}

/** Removes a check if it is there; sessions that depend on it end. */
export function deleteCheck(change: Change, nodeKey: string, checkId: string): void {
  const { tables, index } = change;
  const existing = tables.checks.get(compoundKey(nodeKey, nameKey(checkId)));
  if (existing === undefined) return;
  unindexCheck(tables, nodeKey, existing);
  tables.checks.delete(compoundKey(nodeKey, nameKey(checkId)));
  raiseTable(tables, 'checks', index);
  if (existing.ServiceID === '') raiseTable(tables, 'services', index);
  touchCheck(change, nodeKey, existing);
  endSessionsOfCheck(change, nodeKey, existing.CheckID);
}

/** All checks on a node, ordered by check ID. */
export function checksOn(tables: Tables, nodeKey: string): HealthCheck[] {
  const found: HealthCheck[] = [];
  const { from, to } = keysUnder(nodeKey);
  tables.checks.scan(from, to, (check) => {
    found.push(check);
    return true;
  });
  return found;
}

/** Puts a check into its table and indexes, beside its node or instance. */
export function indexCheck(tables: Tables, nodeKey: string, check: HealthCheck): void {
  const id = nameKey(check.CheckID);
  const key = compoundKey(nodeKey, id);
  tables.checks.set(key, check);
  tables.checksByState.set(stateKey(check, key), check);
  if (check.ServiceID !== '') tables.checksByService.set(serviceKey(check, key), check);
  attach(tables, nodeKey, check.ServiceID, (checks) => withCheck(checks, check, id));
}

/** Takes a check out of the indexes and from its node or instance; the table itself is left to the caller. */
function unindexCheck(tables: Tables, nodeKey: string, check: HealthCheck): void {
  const key = compoundKey(nodeKey, nameKey(check.CheckID));
  tables.checksByState.delete(stateKey(check, key));
  if (check.ServiceID !== '') tables.checksByService.delete(serviceKey(check, key));
  attach(tables, nodeKey, check.ServiceID, (checks) => checks.filter((other) => other !== check));
}

function stateKey(check: HealthCheck, key: string): string {
  return compoundKey(exactKey(check.Status), key);
}

function serviceKey(check: HealthCheck, key: string): string {
  return compoundKey(nameKey(check.ServiceName), key);
}

function attach(
  tables: Tables,
  nodeKey: string,
  serviceId: string,
  change: (checks: readonly HealthCheck[]) => HealthCheck[],
): void {
  if (serviceId !== '') {
    const instance = tables.instances.get(compoundKey(nodeKey, nameKey(serviceId)));
    if (instance !== undefined) replaceInstance(tables, { ...instance, checks: change(instance.checks) });
    return;
  }
  const node = tables.nodes.get(nodeKey);
  if (node === undefined) return;
  const changed = { ...node, checks: change(node.checks) };
  tables.nodes.set(nodeKey, changed);
  if (node.node.ID !== '') tables.nodesById.set(node.node.ID.toLowerCase(), changed);
}

/** A copy with the check in its place by ID. */
function withCheck(checks: readonly HealthCheck[], check: HealthCheck, id: string): HealthCheck[] {
  let at = 0;
  while (at < checks.length && nameKey((checks[at] as HealthCheck).CheckID) < id) at++;
  return [...checks.slice(0, at), check, ...checks.slice(at)];
}

function instanceOf(tables: Tables, nodeKey: string, serviceId: string): InstanceRecord | undefined {
  if (serviceId === '') return undefined;
  const instance = tables.instances.get(compoundKey(nodeKey, nameKey(serviceId)));
  if (instance === undefined) throw new Refusal(MISSING_SERVICE);
  return instance;
}

/** Raises and wakes what shows the check: its service, or, for a check of the node, all services on it. */
function touchCheck(change: Change, nodeKey: string, check: HealthCheck): void {
  const { tables, watches, index } = change;
  watches.touch(topic.nodeChecks(check.Node));
  watches.touch(topic.checksInState('any'));
  watches.touch(topic.checksInState(check.Status));
  if (check.ServiceID === '') {
    for (const { service } of instancesOn(tables, nodeKey)) {
      raiseService(tables, service.Service, index);
      touchHealth(change, service);
    }
    return;
  }
  watches.touch(topic.serviceChecks(check.ServiceName));
  const instance = tables.instances.get(compoundKey(nodeKey, nameKey(check.ServiceID)));
  if (instance === undefined) return;
  raiseService(tables, instance.service.Service, index);
  touchHealth(change, instance.service);
}
