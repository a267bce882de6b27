/** The data of the worked examples of the DNS reference, for tests. */

import { silentLogger } from '../log.ts';
import { simulatedEnv } from '../simulated-env.ts';
import { DEFAULT_DNS_CONFIG, type DnsConfig } from './config.ts';
import type { DnsLookups } from './lookups.ts';
import { createResolver, type DnsResolver } from './resolver.ts';
import { FakeCatalog } from './testing.ts';

/** Node `n1` with services `consul`, `web` (two instances), `ext`, `db`, and prepared query `wq`. */
export function exampleCatalog(): FakeCatalog {
  const catalog = new FakeCatalog()
    .addNode({
      name: 'n1',
      address: '127.0.0.40',
      id: '3f9b0c1e-0000-4000-8000-000000000001',
      meta: { 'consul-network-segment': '', rack: 'r1' },
    })
    .addInstance({ node: 'n1', service: 'consul', port: 8300 })
    .addInstance({ node: 'n1', service: 'web', id: 'web1', port: 80, tags: ['v1', 'eu', 'Dotted.Tag'] })
    .addInstance({
      node: 'n1',
      service: 'web',
      id: 'web2',
      port: 81,
      address: '10.1.2.3',
      weights: { Passing: 10, Warning: 1 },
    })
    .addInstance({ node: 'n1', service: 'ext', port: 443, address: 'www.example.com' })
    .addInstance({ node: 'n1', service: 'db', port: 5432, address: '2001:db8::1' });
  const nodes = catalog.service({ service: 'web', tag: undefined, kind: 'service', datacenter: 'dc1' });
  catalog.queries.set('wq', { service: 'web', datacenter: 'dc1', nodes, ttl: '11s' });
  return catalog;
}

export const EXAMPLE_CONFIG: Partial<DnsConfig> = {
  nodeTtlMs: 30_000,
  serviceTtlMs: { web: 5000, '*': 9000 },
};

/** Time stands still at 1700000000 seconds. */
export function resolverOf(lookups: DnsLookups, config: Partial<DnsConfig> = {}, seed = 1): DnsResolver {
  return createResolver({ ...DEFAULT_DNS_CONFIG, ...config }, lookups, {
    env: simulatedEnv(seed),
    log: silentLogger,
  });
}
