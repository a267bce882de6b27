/** What the DNS resolver asks of whoever holds the catalog: an agent's backend, or a gateway over HTTP. */

import type { HealthEntry, Node } from '../types/v1.ts';

/** Either now or later: a server answers from memory without giving up its turn. */
export type MaybePromise<T> = T | Promise<T>;

export interface ServiceLookup {
  readonly service: string;
  /** undefined: any. */
  readonly tag: string | undefined;
  /** 'connect': proxies and native instances for the service. 'ingress': gateways exposing it. */
  readonly kind: 'service' | 'connect' | 'ingress';
  readonly datacenter: string;
}

export interface PreparedQueryAnswer {
  readonly service: string;
  readonly datacenter: string;
  readonly nodes: readonly HealthEntry[];
  /** Go duration text, '' when unset. */
  readonly ttl: string;
}

/**
 * Every call may throw a `ConsulError`: `no-path-to-datacenter` and `not-found` become NXDOMAIN, others SERVFAIL.
 * The same array or object is returned for the same question while nothing changed, so that the resolver may keep
 * what it built from it (WeakMap). Callers never mutate a result.
 */
export interface DnsLookups {
  /** By name (any case), else by unique ID prefix of ≥ 2 characters. */
  node(name: string, datacenter: string): MaybePromise<Node | undefined>;
  /** All instances with node and checks, whatever their health, ordered by node then service ID. */
  service(lookup: ServiceLookup): MaybePromise<readonly HealthEntry[]>;
  /** undefined: no such query. `clientAddress` serves `near=_ip`. */
  preparedQuery(
    nameOrId: string,
    datacenter: string,
    clientAddress: string,
  ): MaybePromise<PreparedQueryAnswer | undefined>;
  /** First node of the local datacenter with exactly this address. */
  nodeByAddress(address: string): MaybePromise<Node | undefined>;
  /** Name of the first service instance with exactly this service address. */
  serviceByAddress(address: string): MaybePromise<string | undefined>;
}
