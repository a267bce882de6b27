/** `PreparedQuery.*`. */

import { DurationSyntaxError, parseDurationNs } from '../../../shared/durations.ts';
import { randomUuid } from '../../../shared/env.ts';
import { notFound, refused } from '../../../shared/errors.ts';
import { metadataProblem } from '../../../shared/metadata.ts';
import type { PreparedQuery, PreparedQueryDefinition } from '../../../shared/types/prepared-query.ts';
import type { QueryApplyArgs } from '../../rpc/query-endpoints.ts';
import {
  preparedQueryApply,
  preparedQueryExecute,
  preparedQueryExecuteRemote,
  preparedQueryExplain,
  preparedQueryGet,
  preparedQueryList,
} from '../../rpc/query-endpoints.ts';
import { Refusal } from '../../state/change.ts';
import { allQueries, findQuery, queriesIndex, resolveQuery } from '../../state/prepared-queries.ts';
import { queryMatches } from '../../state/query-matches.ts';
import type { Tables } from '../../state/tables.ts';
import { topic } from '../../state/topics.ts';
import type { Command, HandlerContext } from '../handlers.ts';
import { readFromTables, writeByCommand } from './define.ts';

const UNKNOWN = 'Query not found';
const REDACTED_TOKEN = '<hidden>';

export const getHandler = readFromTables(preparedQueryGet, (tables, args) => {
  const query = findQuery(tables, args.id);
  if (query === undefined) throw notFound(UNKNOWN);
  return { value: [query], indexOf: queriesIndex, topics: [topic.query(args.id)] };
});

export const listHandler = readFromTables(preparedQueryList, (tables) => allQueries(tables));

export const explainHandler = readFromTables(preparedQueryExplain, (tables, args) => ({
  value: resolved(tables, args.query),
  indexOf: () => 1,
  topics: [topic.queries],
}));

export const executeHandler = readFromTables(preparedQueryExecute, (tables, args) => {
  const query = resolved(tables, args.query);
  return queryMatches(tables, query.Service, query.DNS, args.connect, args);
});

/** Distances are for the datacenter that was asked first. */
const NOT_NEAR = { near: '', agentNode: '', sourceAddress: '' };

export const executeRemoteHandler = readFromTables(preparedQueryExecuteRemote, (tables, args) =>
  queryMatches(tables, { ...args.service, Near: '' }, args.dns, args.connect, NOT_NEAR),
);

export const applyHandler = writeByCommand(preparedQueryApply, applyCommand, (applied) => {
  if (typeof applied !== 'string') throw new Error('a prepared query was applied without an ID');
  return applied;
});

function resolved(tables: Tables, nameOrId: string): PreparedQuery {
  const query = resolveQuery(tables, nameOrId);
  if (query === undefined) throw notFound(UNKNOWN);
  return query;
}

/** @throws ConsulError in Consul's words and order */
function applyCommand(args: QueryApplyArgs, context: HandlerContext, tables: Tables): Command {
  if (args.op === 'delete') {
    refuseUnknown(tables, args.id);
    return { type: 'query-delete', id: args.id };
  }
  const { op, query } = args;
  if (op === 'create' && query.ID !== '') {
    throw refused('ID must be empty when creating a new prepared query');
  }
  if (op === 'update') refuseUnknown(tables, query.ID);
  const problem = problemOf(query);
  if (problem !== undefined) throw refused(`Invalid prepared query: ${problem}`);
  return { type: 'query-set', query: op === 'create' ? { ...query, ID: newId(context, tables) } : query };
}

function newId({ env }: HandlerContext, tables: Tables): string {
  let id = randomUuid(env.random);
  while (tables.preparedQueries.get(id) !== undefined) id = randomUuid(env.random);
  return id;
}

function refuseUnknown(tables: Tables, id: string): void {
  try {
    if (findQuery(tables, id) !== undefined) return;
  } catch (thrown) {
    if (thrown instanceof Refusal) throw refused(`Prepared Query lookup failed: ${thrown.message}`);
    throw thrown;
  }
  throw refused(`Cannot modify non-existent prepared query: '${id}'`);
}

function problemOf(query: PreparedQueryDefinition): string | undefined {
  const { Service: service } = query;
  if (query.Name === '' && query.Template.Type === '' && query.Session === '') {
    return 'Must be bound to a session';
  }
  if (query.Token === REDACTED_TOKEN) {
    return `Bad Token '${REDACTED_TOKEN}', it looks like a query definition with a redacted token was submitted`;
  }
  if (service.Service === '') return 'Must provide a Service name to query';
  if (service.Failover.NearestN < 0) return `Bad NearestN '${service.Failover.NearestN}', must be >= 0`;
  const nodeMeta = metadataProblem(service.NodeMeta, true);
  if (nodeMeta !== undefined) return `Invalid NodeMeta filter: ${nodeMeta}`;
  const serviceMeta = metadataProblem(service.ServiceMeta, true);
  if (serviceMeta !== undefined) return `Invalid ServiceMeta filter: ${serviceMeta}`;
  return ttlProblem(query.DNS.TTL);
}

function ttlProblem(ttl: string): string | undefined {
  if (ttl === '') return undefined;
  try {
    const ns = parseDurationNs(ttl);
    return ns < 0 ? `DNS TTL '${ns}', must be >=0` : undefined;
  } catch (thrown) {
    if (thrown instanceof DurationSyntaxError) return `Bad DNS TTL '${ttl}': ${thrown.message}`;
    throw thrown;
  }
}
