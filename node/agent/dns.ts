/** The agent's DNS server and what a reload changes of it. */

import { createResolver } from '../../shared/dns/resolver.ts';
import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import type { Metrics } from '../../shared/metrics.ts';
import type { Config } from '../config/config.ts';
import { type DnsServer, startDnsServer } from '../dns/dns-server.ts';
import { createRecursor } from '../dns/recursor.ts';
import type { Backend } from '../rpc/backend.ts';
import { createDnsLookups } from './dns-lookups.ts';
import { dnsConfig } from './settings.ts';

export interface AgentDns {
  /** Takes `dns_config` and `recursors` of another configuration; names and addresses stay as they were. */
  reload(next: Config): void;
  close(): Promise<void>;
}

/** @returns undefined when the port is off */
export async function startAgentDns(
  config: Config,
  backend: Backend,
  env: Env,
  metrics: Metrics,
  log: Logger,
): Promise<AgentDns | undefined> {
  if (config.ports.dns <= 0) return undefined;
  const dnsLog = log.named('dns');
  let staleness = config.dns;
  const labels = { node: config.nodeName };
  const answered = {
    domain: metrics.sample('dns.domain_query', labels),
    ptr: metrics.sample('dns.ptr_query', labels),
  };
  const lookups = createDnsLookups(backend, {
    datacenter: config.datacenter,
    nodeName: config.nodeName,
    random: env.random,
    staleness: () => staleness,
    staleQueries: metrics.counter('dns.stale_queries', labels),
  });
  const recursor = createRecursor({ env, log: dnsLog });
  const resolver = createResolver(dnsConfig(config), lookups, {
    env,
    log: dnsLog,
    recursor,
    onAnswered: (kind, elapsedMs) => answered[kind].add(elapsedMs),
  });
  const server: DnsServer = await startDnsServer({
    addresses: [...config.dnsAddresses],
    port: config.ports.dns,
    resolver,
    log: dnsLog,
    env,
  });
  for (const address of config.dnsAddresses) {
    for (const network of ['udp', 'tcp']) {
      log.info('Started DNS server', { address: `${address}:${config.ports.dns}`, network });
    }
  }
  return {
    reload({ dns, recursors }) {
      resolver.reconfigure(dnsConfig({ ...config, dns, recursors }));
      staleness = dns;
    },
    close: () => server.close(),
  };
}
