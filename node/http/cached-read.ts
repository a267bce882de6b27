/** Reads through the agent cache. */

import type { JsonReply, ReadOptions } from '../rpc/backend.ts';
import type { ReadEndpoint } from '../rpc/endpoint.ts';
import type { CacheKind } from './agent-cache.ts';
import type { ParsedReadOptions } from './read-options.ts';
import type { HttpRequest } from './request.ts';
import { readWanJson, translatesWan } from './wan-addresses.ts';

export function asksForCache(request: HttpRequest): boolean {
  return request.rawQuery !== '' && request.query.has('cached') && request.context.config.useCache;
}

/** A read endpoint through the cache. */
export function readCached<Args, Result>(
  request: HttpRequest,
  endpoint: ReadEndpoint<Args, Result>,
  args: Args,
  kind: CacheKind,
  parsed: ParsedReadOptions,
): Promise<CachedJson> {
  const { config, dependencies } = request.context;
  const { backend } = dependencies;
  // The agent cache knows catalog and health only, which is what is translated.
  const isTranslated = translatesWan(config, parsed.options.datacenter);
  return throughCache(request, [endpoint.name, args], kind, parsed, (options) =>
    isTranslated ? readWanJson(backend, endpoint, args, options) : backend.readJson(endpoint, args, options),
  );
}

export interface CachedJson {
  readonly reply: JsonReply;
  /** Say whether the answer was there (`X-Cache`), and how old it is. */
  readonly headers: readonly string[];
}

/**
 * @param question what is asked: with the read options it names the answer
 * @param staleIfErrorMs how old an answer may stand in for one that cannot be had
 */
export async function throughCache(
  request: HttpRequest,
  question: readonly unknown[],
  kind: CacheKind,
  parsed: ParsedReadOptions,
  fetch: (options: ParsedReadOptions['options']) => Promise<JsonReply>,
  staleIfErrorMs = 0,
): Promise<CachedJson> {
  const { cache } = request.context;
  const { minIndex = 0, waitMs = 0, signal, ...plain } = parsed.options;
  const found = await cache.get({
    key: JSON.stringify([...question, plain]),
    kind,
    fetch: (index, fetchWaitMs, fetchSignal) => {
      const blocking: Partial<ReadOptions> =
        index > 0 ? { minIndex: index, waitMs: fetchWaitMs, signal: fetchSignal } : {};
      return fetch({ ...plain, ...blocking });
    },
    minIndex: kind === 'refresh' ? minIndex : 0,
    waitMs,
    signal,
    maxAgeMs: maxAgeMs(request),
    staleIfErrorMs,
  });
  const age = String(Math.floor(found.ageMs / 1000));
  return { reply: found.reply, headers: found.isHit ? ['X-Cache', 'HIT', 'Age', age] : ['X-Cache', 'MISS'] };
}

/** `must-revalidate` and `max-age` of Cache-Control; the header has been checked before. */
function maxAgeMs(request: HttpRequest): number | undefined {
  return directives(request).includes('must-revalidate') ? 0 : secondsOf(request, 'max-age');
}

/** `stale-if-error` of Cache-Control, which Consul heeds for prepared queries alone. 0: not given. */
export function staleIfErrorMs(request: HttpRequest): number {
  return secondsOf(request, 'stale-if-error') ?? 0;
}

/** As milliseconds. */
function secondsOf(request: HttpRequest, name: string): number | undefined {
  const found = directives(request).find((directive) => directive.startsWith(`${name}=`));
  return found === undefined ? undefined : Number(found.slice(name.length + 1)) * 1000;
}

function directives(request: HttpRequest): readonly string[] {
  const header = request.header('cache-control') ?? '';
  return header
    .toLowerCase()
    .split(',')
    .map((directive) => directive.trim());
}
