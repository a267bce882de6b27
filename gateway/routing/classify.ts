/** What kind of request this is, and therefore who gets it and how. Pure. */

import { DurationSyntaxError, parseDurationMs } from '../../shared/durations.ts';
import { queryValue, type Target } from '../proxy/target.ts';
import { type BlockingQuery, parseBlocking } from '../upstream/blocking.ts';
import type { Preference } from '../upstream/node-pool.ts';
import { type Replay, replayOf } from '../upstream/retry.ts';

export interface RequestClass {
  readonly isRead: boolean;
  readonly prefer: Preference;
  readonly replay: Replay;
  readonly delivery: 'whole' | 'stream';
  readonly blocking: BlockingQuery | undefined;
  /** Identical concurrent requests may share one answer. */
  readonly isShareable: boolean;
  /** Oldest last-known-good answer that the caller accepts, milliseconds; undefined: none. */
  readonly maxStaleMs: number | undefined;
}

/** Endless or large answers, handed on as they come. */
const STREAMS = /^\/v1\/(agent\/(monitor|metrics\/stream)|snapshot)$|^\/ui\/|^\/debug\/pprof\//;

/** Answers that differ for each caller, or each time. */
const PERSONAL = /^\/v1\/query\/.+\/(execute|explain)$/;

/** Any agent knows the answer by itself. */
const LOCAL_READS = /^\/v1\/(status\/|catalog\/datacenters$|coordinate\/datacenters$)/;

/** Answers depend on what the agent has seen, so the same agent should go on answering. */
const STICKY_READS = /^\/v1\/(event\/list$|agent\/)/;

export function classify(method: string, { path, query }: Target): RequestClass {
  const isRead = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
  if (path === undefined) return plain(isRead, isRead ? 'always' : 'if-not-applied');
  const delivery = STREAMS.test(path) ? 'stream' : 'whole';
  const isApi = path.startsWith('/v1/');
  const isQuestion = method === 'GET' && isApi && delivery === 'whole';
  return {
    isRead,
    prefer: isRead ? readPreference(path, query) : writePreference(path),
    replay: replayIn(query, replayOf(method, path)),
    delivery,
    blocking: isQuestion ? parseBlocking(path, query) : undefined,
    isShareable: isQuestion && !PERSONAL.test(path) && !path.startsWith('/v1/agent/'),
    maxStaleMs: isQuestion && !PERSONAL.test(path) ? maxStaleMs(query) : undefined,
  };
}

/** Write sessions belong to the local datacenter: elsewhere a request ID means nothing. */
function replayIn(query: string, replay: Replay): Replay {
  return replay === 'once' && queryValue(query, 'dc') ? 'if-not-applied' : replay;
}

/** An undecodable path or one to be redirected: any agent has the right answer, and nothing is written. */
function plain(isRead: boolean, replay: Replay): RequestClass {
  return {
    isRead,
    prefer: { kind: 'any' },
    replay,
    delivery: 'whole',
    blocking: undefined,
    isShareable: false,
    maxStaleMs: undefined,
  };
}

function readPreference(path: string, query: string): Preference {
  if (!path.startsWith('/v1/')) return { kind: 'stable', key: 'pages' };
  if (LOCAL_READS.test(path)) return { kind: 'any' };
  if (STICKY_READS.test(path)) return { kind: 'stable', key: 'agent' };
  // An agent keeps its cache to itself: the same question must find the same agent to find its answer there.
  if (queryValue(query, 'cached') !== undefined) return { kind: 'stable', key: path };
  return allowsStale(query) ? { kind: 'any' } : { kind: 'leader' };
}

/**
 * A session without a `Node` belongs to the agent that creates it and dies with that agent. A client agent outlives a
 * leader change, the leader by definition doesn't.
 */
function writePreference(path: string): Preference {
  return path === '/v1/session/create' ? { kind: 'client' } : { kind: 'leader' };
}

function allowsStale(query: string): boolean {
  return queryValue(query, 'stale') !== undefined || maxStaleMs(query) !== undefined;
}

/** `stale` accepts any age; `max_stale` > 0 bounds it (reference §2.1). */
function maxStaleMs(query: string): number | undefined {
  const bound = queryValue(query, 'max_stale');
  const boundMs = bound === undefined ? undefined : durationOrUndefined(bound);
  if (boundMs !== undefined && boundMs > 0) return boundMs;
  return queryValue(query, 'stale') === undefined ? undefined : Number.POSITIVE_INFINITY;
}

function durationOrUndefined(text: string): number | undefined {
  try {
    return parseDurationMs(text);
  } catch (error) {
    if (error instanceof DurationSyntaxError) return undefined;
    throw error;
  }
}
