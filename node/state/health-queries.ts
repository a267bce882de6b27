/** Reads of health: checks by node, service and state, and instances with their checks. */

import type { HealthCheck, HealthEntry } from '../../shared/types/v1.ts';
import { exactKey, keysUnder, nameKey } from './byte-text.ts';
import type { NodeMeta, ServiceKind } from './catalog-queries.ts';
import { hasMeta, instancesIndex, instancesOf, instancesTopic } from './catalog-queries.ts';
import { checksOn } from './checks.ts';
import type { OrderedMap } from './ordered-map.ts';
import { tableIndex } from './table-indexes.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer, Topic } from './types.ts';

/** All checks on a node, ordered by check ID. */
export function nodeChecks(tables: Tables, node: string): Answer<HealthCheck[]> {
  return checksAnswer(checksOn(tables, nameKey(node)), topic.nodeChecks(node), false);
}

/** Checks of a service's instances, those of their nodes not included, ordered by node and check ID. */
export function serviceChecks(tables: Tables, service: string, nodeMeta: NodeMeta): Answer<HealthCheck[]> {
  const { from, to } = keysUnder(nameKey(service));
  const found = checksWithin(tables, tables.checksByService, from, to, nodeMeta);
  return checksAnswer(found, topic.serviceChecks(service), isAsked(nodeMeta));
}

/** Checks in a state, of which case counts, or all for `any`; ordered by node and check ID. */
export function checksInState(tables: Tables, state: string, nodeMeta: NodeMeta): Answer<HealthCheck[]> {
  const { from, to } = keysUnder(exactKey(state));
  const found =
    state === 'any'
      ? checksWithin(tables, tables.checks, '', undefined, nodeMeta)
      : checksWithin(tables, tables.checksByState, from, to, nodeMeta);
  return checksAnswer(found, topic.checksInState(state), isAsked(nodeMeta));
}

/**
 * Instances of a service with node and checks, those of the node first; ordered by node and service ID.
 *
 * @param tags all must be present, any case
 */
export function serviceHealth(
  tables: Tables,
  service: string,
  kind: ServiceKind,
  tags: readonly string[],
  nodeMeta: NodeMeta,
): Answer<HealthEntry[]> {
  const found = instancesOf(tables, service, kind, tags, nodeMeta);
  return {
    value: found.map(({ node, instance }) => ({
      Node: node.node,
      Service: instance.service,
      Checks: joinedChecks(node.checks, instance.checks),
    })),
    indexOf: instancesIndex(service, kind, 'health'),
    topics: [instancesTopic(service, kind)],
    weightBytes: 120 * found.length,
  };
}

/** Checks of a node and then those of an instance on it. Records' own lists are used where one of both says all: results are never mutated. */
export function joinedChecks(nodeChecks: HealthCheck[], instanceChecks: HealthCheck[]): HealthCheck[] {
  if (nodeChecks.length === 0) return instanceChecks;
  return instanceChecks.length === 0 ? nodeChecks : [...nodeChecks, ...instanceChecks];
}

/** Whether every check of the instance passes; a warning doesn't. */
export function isPassing(entry: HealthEntry): boolean {
  return entry.Checks.every((check) => check.Status === 'passing');
}

function checksWithin(
  tables: Tables,
  table: OrderedMap<HealthCheck>,
  from: string,
  to: string | undefined,
  nodeMeta: NodeMeta,
): HealthCheck[] {
  const found: HealthCheck[] = [];
  const isRestricted = isAsked(nodeMeta);
  table.scan(from, to, (check) => {
    const node = isRestricted ? tables.nodes.get(nameKey(check.Node)) : undefined;
    if (!isRestricted || (node !== undefined && hasMeta(node.node, nodeMeta))) found.push(check);
    return true;
  });
  return found;
}

/** With metadata asked for, nodes belong to what was looked at. */
function checksAnswer(value: HealthCheck[], watched: Topic, looksAtNodes: boolean): Answer<HealthCheck[]> {
  return {
    value,
    indexOf: (now) => (looksAtNodes ? tableIndex(now, 'nodes', 'checks') : tableIndex(now, 'checks')),
    topics: looksAtNodes ? [watched, topic.nodes] : [watched],
    weightBytes: 8 * value.length,
  };
}

function isAsked(nodeMeta: NodeMeta): boolean {
  for (const _ in nodeMeta) return true;
  return false;
}
