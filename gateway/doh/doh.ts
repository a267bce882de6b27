/** DNS over HTTPS on `/dns-query` and `/resolve`: the shared resolver over lookups made with the caller's token. */

import { DEFAULT_DNS_CONFIG } from '../../shared/dns/config.ts';
import { answerDohRequest } from '../../shared/dns/doh.ts';
import { createResolver, type DnsResolver } from '../../shared/dns/resolver.ts';
import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import { createHttpLookups, type ReadThrough } from './http-lookups.ts';

export interface DohOptions {
  readonly read: ReadThrough;
  readonly domain: string;
  readonly datacenter: string;
  /** False where one request may not use another's unfinished work. */
  readonly keepsResolvers: boolean;
  readonly env: Env;
  readonly logger: Logger;
}

export type AnswerDoh = (request: Request, clientAddress: string) => Promise<Response>;

/** Tokens whose resolvers, with what these keep, stay in memory. */
const MAX_RESOLVERS = 64;
const MAX_KEPT_ANSWERS = 500;

export function createDoh(options: DohOptions): AnswerDoh {
  const resolvers = new Map<string, DnsResolver>();
  const resolverFor = (token: string): DnsResolver => {
    const resolver = resolvers.get(token) ?? openResolver(token, options);
    if (!options.keepsResolvers) return resolver;
    resolvers.delete(token);
    resolvers.set(token, resolver);
    const oldest = resolvers.size > MAX_RESOLVERS ? resolvers.keys().next().value : undefined;
    if (oldest !== undefined) resolvers.delete(oldest);
    return resolver;
  };
  return async (request, clientAddress) =>
    answerDohRequest(request, resolverFor(request.headers.get('x-consul-token') ?? ''), clientAddress);
}

function openResolver(token: string, { read, domain, datacenter, env, logger }: DohOptions): DnsResolver {
  const lookups = createHttpLookups({ read, token, maxKept: MAX_KEPT_ANSWERS });
  const config = { ...DEFAULT_DNS_CONFIG, domain, datacenter, nodeName: 'gateway' };
  return createResolver(config, lookups, { env, log: logger.named('dns') });
}
