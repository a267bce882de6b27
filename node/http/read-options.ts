/** The standard read parameters (reference: the standard read set), parsed in Consul's order with Consul's complaints. */

import { DurationSyntaxError, parseDurationMs } from '../../shared/durations.ts';
import { badRequest } from '../../shared/errors.ts';
import type { ReadOptions } from '../rpc/backend.ts';
import type { HttpRequest } from './request.ts';

/** How reads of a group of endpoints differ. */
export interface ReadStyle {
  /** `discovery_max_stale` applies (catalog and health). */
  readonly isDiscovery?: boolean;
  /** `index` and `wait` are checked but have no effect. */
  readonly neverBlocks?: boolean;
}

export interface ParsedReadOptions {
  readonly options: ReadOptions & { readonly pretty: boolean };
  /** What X-Consul-Effective-Consistency says. */
  readonly effective: 'leader' | 'stale' | 'consistent';
}

const CONFLICTS = {
  stale: 'Cannot specify ?stale with ?consistent, conflicting semantics.',
  cached: 'Cannot specify ?cached with ?consistent, conflicting semantics.',
};

/** @throws ConsulError 400 */
export function readOptions(request: HttpRequest, style: ReadStyle): ParsedReadOptions {
  if (request.rawQuery === '') {
    checkCacheControl(request);
    return bareReadOptions(request, style);
  }
  const consistency = parseConsistency(request, style);
  checkCacheControl(request);
  const wait = parseWait(request);
  const blocks = wait.minIndex > 0 && style.neverBlocks !== true;
  return {
    options: {
      datacenter: request.datacenter(),
      token: request.token(),
      pretty: request.isPretty,
      consistency: consistency.mode,
      maxStaleMs: consistency.maxStaleMs,
      ...(blocks ? { ...wait, signal: request.waitSignal() } : undefined),
    },
    effective: EFFECTIVE[consistency.mode],
  };
}

const EFFECTIVE = { default: 'leader', stale: 'stale', consistent: 'consistent' } as const;

/** The usual request without any parameter. */
function bareReadOptions(request: HttpRequest, style: ReadStyle): ParsedReadOptions {
  const { discoveryMaxStaleMs } = request.context.config;
  const isStale = style.isDiscovery === true && discoveryMaxStaleMs > 0;
  return {
    options: {
      datacenter: '',
      token: request.token(),
      pretty: request.isPretty,
      consistency: isStale ? 'stale' : 'default',
      maxStaleMs: isStale ? discoveryMaxStaleMs : undefined,
    },
    effective: isStale ? 'stale' : 'leader',
  };
}

interface ParsedConsistency {
  readonly mode: 'default' | 'stale' | 'consistent';
  readonly maxStaleMs: number | undefined;
}

function parseConsistency(request: HttpRequest, style: ReadStyle): ParsedConsistency {
  const { query } = request;
  let isStale = query.has('stale');
  const isConsistent = query.has('consistent');
  const isCached = query.has('cached');
  let isDefaulted = !isStale && !isConsistent && !query.has('leader') && !isCached;
  let maxStaleMs: number | undefined;
  const maxStale = query.text('max_stale');
  if (maxStale !== '') {
    maxStaleMs = durationOr(maxStale, `Invalid max_stale value "${maxStale}"`);
    if (maxStaleMs > 0) isStale = true;
    else maxStaleMs = undefined;
    isDefaulted = false;
  }
  const { discoveryMaxStaleMs } = request.context.config;
  if (isDefaulted && style.isDiscovery === true && discoveryMaxStaleMs > 0) {
    isStale = true;
    maxStaleMs = discoveryMaxStaleMs;
  }
  if (isStale && isConsistent) throw badRequest(CONFLICTS.stale);
  if (isCached && isConsistent) throw badRequest(CONFLICTS.cached);
  return { mode: isStale ? 'stale' : isConsistent ? 'consistent' : 'default', maxStaleMs };
}

/** Its directives matter to cached reads only; a malformed number is refused everywhere. */
function checkCacheControl(request: HttpRequest): void {
  const header = request.header('cache-control');
  if (header === undefined || header === '') return;
  for (const directive of header.split(',')) {
    const [name, value] = directive.trim().toLowerCase().split('=', 2);
    const hasSeconds = name === 'max-age' || name === 'stale-if-error';
    if (hasSeconds && !/^[+-]?\d+$/.test(value ?? '')) throw badRequest('Invalid Cache-Control header.');
  }
}

function parseWait(request: HttpRequest): { minIndex: number; waitMs: number } {
  const { query } = request;
  const wait = query.text('wait');
  const requestedMs = wait === '' ? 0 : durationOr(wait, 'Invalid wait time');
  const index = query.text('index');
  const isUint64 = /^\d+$/.test(index) && BigInt(index) < 1n << 64n;
  if (index !== '' && !isUint64) throw badRequest('Invalid index');
  return { minIndex: Number(index), waitMs: boundedWaitMs(requestedMs, request) };
}

/** Defaulted when not positive, and capped. */
export function boundedWaitMs(requestedMs: number, request: HttpRequest): number {
  const { defaultQueryTimeMs, maxQueryTimeMs } = request.context.config;
  return Math.min(requestedMs > 0 ? requestedMs : defaultQueryTimeMs, maxQueryTimeMs);
}

/** Milliseconds. @throws ConsulError 400 with the given text */
export function durationOr(text: string, complaint: string): number {
  try {
    return parseDurationMs(text);
  } catch (error) {
    if (error instanceof DurationSyntaxError) throw badRequest(complaint);
    throw error;
  }
}
