/** Prepared queries as on the wire. */

import type { HealthEntry } from './v1.ts';

export interface QueryFailover {
  /** How many of the nearest other datacenters are tried, ≥ 0. */
  NearestN: number;
  /** Datacenters tried after those, in this order. */
  Datacenters: string[] | null;
}

/** What a query looks for. In a template every text may hold `${…}`. */
export interface QueryService {
  Service: string;
  Failover: QueryFailover;
  /** Warnings disqualify too. */
  OnlyPassing: boolean;
  /** Checks that don't count. */
  IgnoreCheckIDs: string[] | null;
  /** A node name, `_agent`, `_ip` or ''. */
  Near: string;
  /** All must be there, any case; `!x`: must not. */
  Tags: string[] | null;
  NodeMeta: Record<string, string> | null;
  ServiceMeta: Record<string, string> | null;
  Connect: boolean;
}

export interface PreparedQuery {
  ID: string;
  Name: string;
  /** The query ends with it; '' for none. */
  Session: string;
  Token: string;
  /** Not a template when `Type` is ''. */
  Template: { Type: string; Regexp: string; RemoveEmptyTags: boolean };
  Service: QueryService;
  /** `TTL` is a Go duration or ''. */
  DNS: { TTL: string };
  CreateIndex: number;
  ModifyIndex: number;
}

export type PreparedQueryDefinition = Omit<PreparedQuery, 'CreateIndex' | 'ModifyIndex'>;

/** What an execution found, before the caller puts it in order and looks elsewhere. */
export interface QueryMatches {
  /** With templates filled in. */
  readonly service: QueryService;
  readonly dns: PreparedQuery['DNS'];
  /** Healthy instances that fit, ordered by node and service ID. */
  readonly nodes: readonly HealthEntry[];
  /** Where each of them comes by distance from `near`, equal numbers for equal distances; null: no distance known. */
  readonly ranks: readonly number[] | null;
  /** The node that comes first; '' for none. */
  readonly near: string;
  /** The query wants to know who asks: ask again with `sourceAddress`. */
  readonly wantsSource: boolean;
}
