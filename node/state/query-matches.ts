/** What prepared queries find in the catalog. Who asks puts it in a random order and looks elsewhere if need be. */

import type { PreparedQuery, QueryMatches, QueryService } from '../../shared/types/prepared-query.ts';
import type { HealthEntry, Service } from '../../shared/types/v1.ts';
import { hasMeta } from './catalog-queries.ts';
import { distancesFrom } from './coordinates.ts';
import { serviceHealth } from './health-queries.ts';
import type { Tables } from './tables.ts';
import { topic } from './topics.ts';
import type { Answer, Topic } from './types.ts';

export interface NearTo {
  /** What the caller asked for, '' when it didn't: a node name or `_ip`. */
  readonly near: string;
  /** What `_agent` stands for. */
  readonly agentNode: string;
  /** What `_ip` stands for; '' when not known. */
  readonly sourceAddress: string;
}

/** Instances that are healthy enough and fit, with their order of distance. The index is always 1. */
export function queryMatches(
  tables: Tables,
  service: QueryService,
  dns: PreparedQuery['DNS'],
  isConnect: boolean,
  nearTo: NearTo,
): Answer<QueryMatches> {
  const kind = service.Connect || isConnect ? 'connect' : 'service';
  const health = serviceHealth(tables, service.Service, kind, [], service.NodeMeta ?? {});
  const nodes = health.value.filter(
    (entry) =>
      isHealthyEnough(entry, service) &&
      hasServiceMeta(entry.Service, service) &&
      fitsTags(entry.Service, service),
  );
  const wanted = nearTo.near === '' ? service.Near : nearTo.near;
  const near = nearNode(tables, wanted, nearTo);
  const distances = near === '' ? undefined : distancesFrom(tables, near, nodes, (entry) => entry.Node.Node);
  const looksAt: Topic[] = [topic.queries, ...health.topics];
  if (near !== '') looksAt.push(topic.coordinates);
  if (wanted === '_ip') looksAt.push(topic.nodes);
  return {
    value: {
      service,
      dns,
      nodes,
      ranks: distances === undefined ? null : ranked(distances),
      near,
      wantsSource: wanted === '_ip' && nearTo.sourceAddress === '',
    },
    indexOf: () => 1,
    topics: looksAt,
    weightBytes: 512 + 128 * nodes.length,
  };
}

function isHealthyEnough({ Checks: checks }: HealthEntry, service: QueryService): boolean {
  return checks.every(
    ({ CheckID: id, Status: status }) =>
      service.IgnoreCheckIDs?.includes(id) === true ||
      status === 'passing' ||
      (status !== 'critical' && !service.OnlyPassing),
  );
}

function hasServiceMeta({ Meta: meta }: Service, { ServiceMeta: wanted }: QueryService): boolean {
  return wanted === null || hasMeta({ Meta: meta }, wanted);
}

function fitsTags({ Tags: tags }: Service, { Tags: wanted }: QueryService): boolean {
  if (wanted === null || wanted.length === 0) return true;
  const present = new Set(tags?.map((tag) => tag.toLowerCase()));
  return wanted.every((tag) =>
    tag.startsWith('!') ? !present.has(tag.slice(1).toLowerCase()) : present.has(tag.toLowerCase()),
  );
}

function nearNode(tables: Tables, wanted: string, { agentNode, sourceAddress }: NearTo): string {
  if (wanted === '_agent') return agentNode;
  if (wanted !== '_ip') return wanted;
  let found = '';
  if (sourceAddress === '') return found;
  tables.nodes.scan('', undefined, ({ node }) => {
    if (node.Address === sourceAddress) found = node.Node;
    return found === '';
  });
  return found;
}

/** Positions in ascending order of distance, the same for equal ones. */
function ranked(distances: readonly number[]): number[] {
  const ascending = [...new Set(distances)].sort((a, b) => (a === b ? 0 : a - b));
  const rankOf = new Map(ascending.map((distance, rank) => [distance, rank]));
  return distances.map((distance) => rankOf.get(distance) ?? 0);
}
