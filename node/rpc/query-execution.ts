/** Executes a prepared query: asks one datacenter, puts what it found in order, and goes on to others if it found none. */

import type { MaybePromise } from '../../shared/dns/lookups.ts';
import { chain } from '../../shared/dns/maybe-promise.ts';
import { type Random, shuffle } from '../../shared/env.ts';
import type { QueryFailover, QueryMatches } from '../../shared/types/prepared-query.ts';
import type { HealthEntry } from '../../shared/types/v1.ts';
import type { ReadEndpoint } from './endpoint.ts';
import { catalogListDatacenters } from './endpoints.ts';
import { preparedQueryExecute, preparedQueryExecuteRemote } from './query-endpoints.ts';

/** Reads from a datacenter, '' being the agent's own, with whatever consistency and token the request has. */
export type AskDatacenter = <Args, Result>(
  endpoint: ReadEndpoint<Args, Result>,
  args: Args,
  datacenter: string,
) => MaybePromise<Result>;

export interface QueryExecution {
  /** Name or ID, any case. */
  readonly query: string;
  /** Where to ask first; '' is the agent's own. */
  readonly datacenter: string;
  readonly ownDatacenter: string;
  /** What to be near to instead of what the query says: a node name, `_ip` or ''. */
  readonly near: string;
  readonly agentNode: string;
  /** IP address of who asks, for `_ip`. */
  readonly sourceAddress: string;
  /** Most nodes in the answer; 0 and below: all. */
  readonly limit: number;
  readonly connect: boolean;
}

export interface ExecutedQuery {
  readonly service: string;
  readonly nodes: readonly HealthEntry[];
  /** The query's TTL: a Go duration or ''. */
  readonly ttl: string;
  /** The one that answered. */
  readonly datacenter: string;
  /** How many other datacenters were tried. */
  readonly failovers: number;
}

/** The node asked to be near to comes first only from this deep in the list: by distance it can't be much further. */
const DEEPEST_NEAR = 10;

/**
 * A failing other datacenter is passed over.
 *
 * @throws ConsulError `not-found` for an unknown query, and what the first datacenter fails with; by rejection when
 *   `ask` promises
 */
export function executeQuery(
  ask: AskDatacenter,
  execution: QueryExecution,
  random: Random,
): MaybePromise<ExecutedQuery> {
  const first = { ...execution, sourceAddress: '' };
  return chain(askFirst(ask, first), (found) => {
    // Most queries don't depend on who asks, and then all share one answer.
    const matches = found.wantsSource && execution.sourceAddress !== '' ? askFirst(ask, execution) : found;
    return chain(matches, (local) => {
      const datacenter = execution.datacenter || execution.ownDatacenter;
      const executed = executedBy(local, datacenter, execution.limit, random, 0);
      if (executed.nodes.length > 0 || !mayFailOver(local.service.Failover)) return executed;
      return failOver(ask, execution, local, executed, random);
    });
  });
}

function askFirst(ask: AskDatacenter, execution: QueryExecution): MaybePromise<QueryMatches> {
  const { query, connect, near, agentNode, sourceAddress } = execution;
  return ask(preparedQueryExecute, { query, connect, near, agentNode, sourceAddress }, execution.datacenter);
}

function mayFailOver({ NearestN: nearest, Datacenters: datacenters }: QueryFailover): boolean {
  return nearest > 0 || (datacenters?.length ?? 0) > 0;
}

async function failOver(
  ask: AskDatacenter,
  execution: QueryExecution,
  local: QueryMatches,
  nothing: ExecutedQuery,
  random: Random,
): Promise<ExecutedQuery> {
  const known = await ask(catalogListDatacenters, {}, '');
  let failovers = 0;
  for (const datacenter of failoverOrder(local.service.Failover, known, nothing.datacenter)) {
    failovers++;
    const { service, dns } = local;
    const args = { service, dns, connect: execution.connect };
    let remote: QueryMatches;
    try {
      remote = await ask(preparedQueryExecuteRemote, args, datacenter);
    } catch {
      // A datacenter that can't be reached is what the next one in the list is for.
      continue;
    }
    if (remote.nodes.length > 0) return executedBy(remote, datacenter, execution.limit, random, failovers);
  }
  return { ...nothing, failovers };
}

/** The nearest ones, then those listed; none twice, none unknown. Without coordinates nearest means by name. */
function failoverOrder(
  { NearestN: nearest, Datacenters: listed }: QueryFailover,
  known: readonly string[],
  own: string,
): readonly string[] {
  const others = known.filter((datacenter) => datacenter !== own);
  const wanted = (listed ?? []).filter((datacenter) => others.includes(datacenter));
  return [...new Set([...others.slice(0, Math.max(0, nearest)), ...wanted])];
}

function executedBy(
  matches: QueryMatches,
  datacenter: string,
  limit: number,
  random: Random,
  failovers: number,
): ExecutedQuery {
  const ordered = inOrder(matches, random);
  return {
    service: matches.service.Service,
    nodes: limit > 0 ? ordered.slice(0, limit) : ordered,
    ttl: matches.dns.TTL,
    datacenter,
    failovers,
  };
}

/** At random, then by distance where it is known, then the node itself that it is measured from. */
function inOrder({ nodes, ranks, near }: QueryMatches, random: Random): HealthEntry[] {
  const order = shuffle(random, [...nodes.keys()]);
  if (ranks !== null) order.sort((a, b) => (ranks[a] ?? 0) - (ranks[b] ?? 0));
  const ordered = order.map((i) => nodes[i] as HealthEntry);
  if (near === '') return ordered;
  const wanted = near.toLowerCase();
  const at = ordered
    .slice(0, DEEPEST_NEAR)
    .findIndex(({ Node: { Node: name } }) => name.toLowerCase() === wanted);
  if (at > 0) [ordered[0], ordered[at]] = [ordered[at] as HealthEntry, ordered[0] as HealthEntry];
  return ordered;
}
