/** Answers a read endpoint: parameters in, rendered text and meta headers out. */

import { ConsulError } from '../../shared/errors.ts';
import type { JsonReply, ReadMeta, ReadReply } from '../rpc/backend.ts';
import type { ReadEndpoint } from '../rpc/endpoint.ts';
import type { ListModifiers } from '../rpc/endpoints.ts';
import type { CacheKind } from './agent-cache.ts';
import { asksForCache, readCached } from './cached-read.ts';
import { type ParsedReadOptions, type ReadStyle, readOptions } from './read-options.ts';
import { errorReply, FAILED_META_HEADERS, metaHeaders, type Reply, rawJsonReply } from './reply.ts';
import type { HttpRequest } from './request.ts';
import { readWanJson, translatesWan } from './wan-addresses.ts';

export interface ServeStyle extends ReadStyle {
  /** Index, KnownLeader and LastContact are sent, on failures of the call too (but not for `metaOnSuccessOnly`). */
  readonly meta: boolean;
  readonly metaOnSuccessOnly?: boolean;
  /** Nor does a failure that means that there is no such object. */
  readonly noMetaOnMiss?: boolean;
  readonly effectiveConsistency?: boolean;
  /** Without a leader the answer comes from whatever server is there. */
  readonly staleWithoutLeader?: boolean;
  /** What `?cached` does; undefined: nothing. */
  readonly cache?: CacheKind;
}

/** Catalog and health. */
export const DISCOVERY: ServeStyle = { isDiscovery: true, meta: true, effectiveConsistency: true };
/** Those of them that the agent cache knows. */
export const CACHED_DISCOVERY: ServeStyle = { ...DISCOVERY, cache: 'refresh' };
/** Sessions and coordinates. */
export const PLAIN_READ: ServeStyle = { meta: true };
/** KV: errors carry no meta headers. */
export const KV_READ: ServeStyle = { meta: true, metaOnSuccessOnly: true };
/** Status and operator. */
export const NO_META: ServeStyle = { meta: false, neverBlocks: true };

/** Answers with the endpoint's text as the servers rendered it. */
export function serveRead<Args, Result>(
  request: HttpRequest,
  endpoint: ReadEndpoint<Args, Result>,
  args: Args,
  style: ServeStyle,
  render: (reply: JsonReply, headers: readonly string[]) => Reply = renderWhole,
): Promise<Reply> {
  const parsed = readOptions(request, style);
  const failed = (error: unknown) => failedRead(request.interruption ?? error, style);
  if (style.cache !== undefined && asksForCache(request))
    return readCached(request, endpoint, args, style.cache, parsed).then(
      ({ reply, headers }) => render(reply, [...successHeaders(reply.meta, parsed, style), ...headers]),
      failed,
    );
  const { backend } = request.context.dependencies;
  const isTranslated =
    style.isDiscovery === true && translatesWan(request.context.config, parsed.options.datacenter);
  return orStale(parsed.options, style, (options) =>
    isTranslated ? readWanJson(backend, endpoint, args, options) : backend.readJson(endpoint, args, options),
  ).then((reply) => render(reply, successHeaders(reply.meta, parsed, style)), failed);
}

/** Answers with something made of the endpoint's value. `render` may give a miss of its own without meta headers. */
export function serveValue<Args, Result>(
  request: HttpRequest,
  endpoint: ReadEndpoint<Args, Result>,
  args: Args,
  style: ServeStyle,
  render: (value: Result, headers: readonly string[], meta: ReadMeta) => Reply,
): Promise<Reply> {
  const parsed = readOptions(request, style);
  const { backend } = request.context.dependencies;
  return orStale(parsed.options, style, (options) => backend.read(endpoint, args, options)).then(
    (reply: ReadReply<Result>) => render(reply.value, successHeaders(reply.meta, parsed, style), reply.meta),
    (error: unknown) => failedRead(request.interruption ?? error, style),
  );
}

type StyledOptions = ParsedReadOptions['options'];

/** Asks, and where the style says so asks again for a stale answer when there is no leader. */
function orStale<R>(
  options: StyledOptions,
  style: ServeStyle,
  ask: (options: StyledOptions) => Promise<R>,
): Promise<R> {
  if (style.staleWithoutLeader !== true || options.consistency === 'stale') return ask(options);
  return ask(options).catch((error: unknown) => {
    if (!(error instanceof ConsulError) || error.code !== 'no-leader') throw error;
    return ask({ ...options, consistency: 'stale' });
  });
}

/** `filter`, `near` and `node-meta`; `near=_agent` is the agent's own node. */
export function listModifiers(request: HttpRequest): ListModifiers {
  if (request.rawQuery === '') return NONE;
  const { query } = request;
  const near = query.text('near');
  return {
    filter: query.text('filter'),
    near: near === '_agent' ? request.context.config.nodeName : near,
    nodeMeta: nodeMeta(request),
  };
}

const NONE: ListModifiers = { filter: '', near: '', nodeMeta: {} };

/** `node-meta=k:v`, repeatable, split at the first colon. */
export function nodeMeta(request: HttpRequest): Record<string, string> {
  if (request.rawQuery === '') return {};
  return Object.fromEntries(
    request.query.all('node-meta').map((pair) => {
      const colon = pair.indexOf(':');
      return colon === -1 ? [pair, ''] : [pair.slice(0, colon), pair.slice(colon + 1)];
    }),
  );
}

function renderWhole(reply: JsonReply, headers: readonly string[]): Reply {
  return rawJsonReply(reply.body, headers);
}

const NO_HEADERS: readonly string[] = [];

function successHeaders(
  meta: JsonReply['meta'],
  parsed: ParsedReadOptions,
  style: ServeStyle,
): readonly string[] {
  if (!style.meta) return NO_HEADERS;
  return metaHeaders(meta, style.effectiveConsistency === true ? parsed.effective : undefined);
}

function failedRead(error: unknown, style: ServeStyle): Reply {
  const isMiss = style.noMetaOnMiss === true && error instanceof ConsulError && error.code === 'not-found';
  const hasMeta = style.meta && style.metaOnSuccessOnly !== true && !isMiss;
  return errorReply(error, hasMeta ? FAILED_META_HEADERS : NO_HEADERS);
}
