/** Prepared queries. Names and IDs are in any case. */

import type {
  PreparedQuery,
  PreparedQueryDefinition,
  QueryMatches,
  QueryService,
} from '../../shared/types/prepared-query.ts';
import { readEndpoint, writeEndpoint } from './endpoint.ts';
import type { NoArgs } from './endpoints.ts';

export type QueryApplyArgs =
  /** `create` wants the ID to be ''. */
  | { readonly op: 'create' | 'update'; readonly query: PreparedQueryDefinition }
  | { readonly op: 'delete'; readonly id: string };

export interface QueryExecuteArgs {
  /** Name or ID. */
  readonly query: string;
  /** Look for mesh proxies even if the query does not say so. */
  readonly connect: boolean;
  /** What the caller wants to be near to instead of what the query says: a node name, `_ip` or ''. */
  readonly near: string;
  /** What `_agent` stands for. */
  readonly agentNode: string;
  /** What `_ip` stands for; '' when not known, or not yet asked for. */
  readonly sourceAddress: string;
}

/** The query's ID. */
export const preparedQueryApply = writeEndpoint<QueryApplyArgs, string>('PreparedQuery.Apply');
/** One query in a list. Fails with `not-found` when it is unknown. */
export const preparedQueryGet = readEndpoint<{ readonly id: string }, PreparedQuery[]>('PreparedQuery.Get');
/** Ordered by ID. */
export const preparedQueryList = readEndpoint<NoArgs, PreparedQuery[]>('PreparedQuery.List');
/** The query that a name or ID stands for, templates filled in. Fails with `not-found`. */
export const preparedQueryExplain = readEndpoint<{ readonly query: string }, PreparedQuery>(
  'PreparedQuery.Explain',
);
/** One datacenter's part of an execution, see `executeQuery`. Fails with `not-found`. */
export const preparedQueryExecute = readEndpoint<QueryExecuteArgs, QueryMatches>('PreparedQuery.Execute');
/** What a query that another datacenter has resolved finds here. */
export const preparedQueryExecuteRemote = readEndpoint<
  { readonly service: QueryService; readonly dns: PreparedQuery['DNS']; readonly connect: boolean },
  QueryMatches
>('PreparedQuery.ExecuteRemote');
