/** What the DNS resolver is told by configuration (`dns_config` and its neighbours), with Consul's defaults. */

export interface SoaConfig {
  /** Seconds, as are the others. */
  readonly refresh: number;
  readonly retry: number;
  readonly expire: number;
  /** Both the TTL of the SOA record and its minimum field: how long others remember that a name is absent. */
  readonly minTtl: number;
}

/**
 * Durations are milliseconds ≥ 0; TTLs on the wire are whole seconds, rounded down.
 * Validation of what a user wrote (negative limits, recursors such as `0.0.0.0`) belongs to the configuration.
 */
export interface DnsConfig {
  /** Zone, any case, with or without the final dot. `domain`. */
  readonly domain: string;
  /** Second zone, answered equally; '' for none. Names inside answers use `domain`. `alt_domain`. */
  readonly altDomain: string;
  /** The agent's own datacenter, lower case: asked when the name gives none, and the home of reverse lookups. */
  readonly datacenter: string;
  /** For labels of telemetry. */
  readonly nodeName: string;
  /** TTL of node answers, NS, glue, `.addr.` and the node-meta TXT of node queries. */
  readonly nodeTtlMs: number;
  /** Service name, or prefix with a final `*`, → TTL. The exact name wins, then the longest prefix; else 0. */
  readonly serviceTtlMs: Readonly<Record<string, number>>;
  /** false drops critical instances only, true all that are not passing. */
  readonly onlyPassing: boolean;
  /** Set TC when answers were cut. */
  readonly enableTruncate: boolean;
  /** Cap on service answers over UDP while the client takes only 512 bytes; above 8 counts as 8. */
  readonly udpAnswerLimit: number;
  /** Cap on the address answers of a service over every transport; 0 for none. SRV is not affected. */
  readonly aRecordLimit: number;
  readonly disableCompression: boolean;
  readonly soa: SoaConfig;
  /** Node meta as TXT in Additional of A and AAAA node answers and of SRV answers. */
  readonly enableAdditionalNodeMetaTxt: boolean;
  /** Upstream servers `ip[:port]` in the order in which they are tried; none turns recursion off. */
  readonly recursors: readonly string[];
  /** Per attempt on one upstream. */
  readonly recursorTimeoutMs: number;
  /** Answer with `wan` addresses for what belongs to another datacenter. `translate_wan_addrs`. */
  readonly translateWanAddrs: boolean;
  /** For whoever implements `DnsLookups`: any server may answer. */
  readonly allowStale: boolean;
  /** For whoever implements `DnsLookups`: a staler reply is asked again of the leader. */
  readonly maxStaleMs: number;
  /** For whoever implements `DnsLookups`: answer from the agent cache. */
  readonly useCache: boolean;
  /** For whoever implements `DnsLookups`: 0 for no limit. */
  readonly cacheMaxAgeMs: number;
}

export const DEFAULT_DNS_CONFIG: DnsConfig = {
  domain: 'consul.',
  altDomain: '',
  datacenter: 'dc1',
  nodeName: '',
  nodeTtlMs: 0,
  serviceTtlMs: {},
  onlyPassing: false,
  enableTruncate: false,
  udpAnswerLimit: 3,
  aRecordLimit: 0,
  disableCompression: false,
  soa: { refresh: 3600, retry: 600, expire: 86400, minTtl: 0 },
  enableAdditionalNodeMetaTxt: true,
  recursors: [],
  recursorTimeoutMs: 2000,
  translateWanAddrs: false,
  allowStale: true,
  maxStaleMs: 87600 * 3600 * 1000,
  useCache: false,
  cacheMaxAgeMs: 0,
};

const MAX_TTL_SECONDS = 0xffff_ffff;

/** Whole seconds for the wire, 0 ≤ n < 2^32. */
export function ttlSeconds(ms: number): number {
  return Math.min(MAX_TTL_SECONDS, Math.max(0, Math.floor(ms / 1000)));
}

/** TTL of a service's answers in seconds; `service` in the spelling that was asked, lower case. */
export function serviceTtlSeconds(config: DnsConfig, service: string): number {
  const ttls = config.serviceTtlMs;
  if (Object.hasOwn(ttls, service)) return ttlSeconds(ttls[service] ?? 0);
  let longest = '';
  for (const key of Object.keys(ttls)) {
    if (key.length > longest.length && key.endsWith('*') && service.startsWith(key.slice(0, -1)))
      longest = key;
  }
  return longest === '' ? 0 : ttlSeconds(ttls[longest] ?? 0);
}
