/** How often the catalog's endpoints are used and how that ends: `client.api.catalog_nodes` and its kin. */

import type { Counter, Metrics } from '../../shared/metrics.ts';
import type { Reply, StreamReply } from './reply.ts';
import type { CompiledRoute } from './router.ts';

const NAMES: Readonly<Record<string, string>> = {
  '/v1/catalog/register': 'catalog_register',
  '/v1/catalog/deregister': 'catalog_deregister',
  '/v1/catalog/datacenters': 'catalog_datacenters',
  '/v1/catalog/nodes': 'catalog_nodes',
  '/v1/catalog/services': 'catalog_services',
  '/v1/catalog/service/': 'catalog_service_nodes',
  '/v1/catalog/connect/': 'catalog_connect_service_nodes',
  '/v1/catalog/node/': 'catalog_node_services',
  '/v1/catalog/node-services/': 'catalog_node_service_list',
  '/v1/catalog/gateway-services/': 'catalog_gateway_services',
};

export interface ApiCounters {
  readonly calls: Counter;
  readonly successes: Counter;
  /** The servers refused or could not be asked. */
  readonly failures: Counter;
}

/** @param node the agent's, which labels all of them. @returns undefined for routes that are not counted */
export function apiCounters(
  metrics: Metrics,
  node: string,
): (match: CompiledRoute, method: string) => ApiCounters | undefined {
  const labels = { node };
  const counters = new Map(
    Object.entries(NAMES).map(([path, name]) => [
      path,
      {
        calls: metrics.counter(`client.api.${name}`, labels),
        successes: metrics.counter(`client.api.success.${name}`, labels),
        failures: metrics.counter(`client.rpc.error.${name}`, labels),
      },
    ]),
  );
  return ({ path, methods }, method) =>
    (methods as readonly string[]).includes(method) ? counters.get(path) : undefined;
}

export function countOutcome(counters: ApiCounters, { status }: Reply | StreamReply): void {
  if (status < 400) counters.successes.add();
  else if (status >= 500) counters.failures.add();
}
