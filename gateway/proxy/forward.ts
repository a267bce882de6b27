/** Forwards one request to the pool: writes as they are, reads through sharing, waits and last-known-good answers. */

import type { Clock } from '../../shared/env.ts';
import { ConsulError } from '../../shared/errors.ts';
import { REQUEST_ID_HEADER } from '../../shared/request-id.ts';
import type { LastKnownGood } from '../cache/last-known-good.ts';
import type { Collapse } from '../collapse/collapse.ts';
import type { WatchFanOut } from '../collapse/watch.ts';
import { type Answer, type HeaderList, headerOf, type RequestBody } from '../exchange/exchange.ts';
import type { Counters } from '../operations/counters.ts';
import type { RequestClass } from '../routing/classify.ts';
import type { GatewaySettings } from '../settings/settings.ts';
import { askInLegs, type BlockingQuery, withWait } from '../upstream/blocking.ts';
import { tellsLeaderLost } from '../upstream/retry.ts';
import type { Cancellation, PoolRequest, Send } from '../upstream/send.ts';
import { errorText } from './error-text.ts';
import { withQueryValue } from './target.ts';

/** A request with everything that decides its way worked out. */
export interface Incoming {
  readonly method: string;
  readonly target: string;
  /** End-to-end headers, ready to be sent on. */
  readonly headers: HeaderList;
  readonly body: RequestBody;
  readonly kind: RequestClass;
  readonly cancel: Cancellation;
}

export type Forward = (incoming: Incoming) => Promise<Answer>;

export interface ForwardOptions {
  readonly settings: GatewaySettings;
  readonly send: Send;
  /** For writes whose replay is `once`: gives them their request ID. */
  readonly sendOnce: Send;
  readonly collapse: Collapse;
  readonly watches: WatchFanOut;
  readonly lastKnownGood: LastKnownGood;
  readonly counters: Counters;
  readonly clock: Clock;
}

/** How long a read that would take a stale answer looks for a live one first. */
const STALE_PATIENCE_MS = 2000;

/** Profiles and snapshots may take long to begin. */
const STREAM_TIMEOUT_MS = 600_000;

/** Headers that change what an agent answers. The client's address does too, but only for answers that aren't shared. */
const TELLING: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'authorization',
  'cache-control',
  'x-consul-namespace',
  'x-consul-token',
]);

export function createForward(options: ForwardOptions): Forward {
  return (incoming) => {
    if (!incoming.kind.isRead) return write(incoming, options);
    return incoming.kind.maxStaleMs === undefined
      ? read(incoming, options, undefined)
      : readOrRecall(incoming, incoming.kind.maxStaleMs, options);
  };
}

function write(incoming: Incoming, { send, sendOnce, settings }: ForwardOptions): Promise<Answer> {
  const request = writeRequest(incoming, settings);
  if (request.replay !== 'once') return send(request);
  // A client that numbers its writes itself has its own session.
  return headerOf(incoming.headers, REQUEST_ID_HEADER) === undefined ? sendOnce(request) : send(request);
}

function writeRequest(incoming: Incoming, settings: GatewaySettings): PoolRequest {
  return {
    method: incoming.method,
    target: () => incoming.target,
    headers: incoming.headers,
    body: incoming.body,
    prefer: incoming.kind.prefer,
    replay: incoming.body.kind === 'stream' ? 'never' : incoming.kind.replay,
    delivery: incoming.kind.delivery,
    isWait: false,
    timeoutMs: () => (incoming.body.kind === 'stream' ? STREAM_TIMEOUT_MS : settings.writeTimeoutMs),
  };
}

/** A read as an agent gets it. */
export function readRequest(
  incoming: Incoming,
  settings: GatewaySettings,
  cancel: Cancellation,
  deadlineMs: number | undefined,
): PoolRequest {
  const isStream = incoming.kind.delivery === 'stream';
  return {
    method: incoming.method,
    target: () => incoming.target,
    headers: incoming.headers,
    body: incoming.body,
    prefer: incoming.kind.prefer,
    replay: incoming.kind.replay,
    delivery: incoming.kind.delivery,
    isWait: isStream,
    timeoutMs: () => (isStream ? STREAM_TIMEOUT_MS : settings.readTimeoutMs),
    deadlineMs,
    cancel,
  };
}

function read(incoming: Incoming, options: ForwardOptions, deadlineMs: number | undefined): Promise<Answer> {
  const { settings, collapse, send } = options;
  const { blocking, isShareable } = incoming.kind;
  if (blocking !== undefined) return wait(incoming, blocking, options, deadlineMs);
  const ask = (cancel: Cancellation) => send(readRequest(incoming, settings, cancel, deadlineMs));
  if (!isShareable || !settings.collapse) return ask(incoming.cancel);
  return collapse.read(shareKey(incoming.target, incoming.headers), ask, incoming.cancel);
}

function wait(
  incoming: Incoming,
  blocking: BlockingQuery,
  options: ForwardOptions,
  deadlineMs: number | undefined,
): Promise<Answer> {
  const { settings, watches, send, clock } = options;
  const ask = (waitMs: number, cancel: Cancellation) => {
    const base = readRequest(incoming, settings, cancel, deadlineMs);
    const target = waitMs === blocking.waitMs ? incoming.target : withWait(incoming.target, waitMs);
    const legs = { legMs: settings.legMs, slackMs: settings.readTimeoutMs, clock };
    return askInLegs(target, { ...blocking, waitMs }, legs, (leg) => send({ ...base, ...leg, isWait: true }));
  };
  if (!incoming.kind.isShareable || !settings.collapse) return ask(blocking.waitMs, incoming.cancel);
  const key = shareKey(withQueryValue(incoming.target, 'wait', ''), incoming.headers);
  const isNews = (answer: Answer) =>
    (answer.status !== 200 && answer.status !== 404) ||
    headerOf(answer.headers, blocking.seenHeader) !== blocking.seen;
  return watches.watch(key, blocking.waitMs, isNews, ask, incoming.cancel);
}

/** Looks for a live answer for a while, then takes the last known one, then goes on looking. */
async function readOrRecall(
  incoming: Incoming,
  maxStaleMs: number,
  options: ForwardOptions,
): Promise<Answer> {
  const { lastKnownGood, counters, settings } = options;
  const target = withQueryValue(withQueryValue(incoming.target, 'index', ''), 'wait', '');
  const key = shareKey(withQueryValue(target, 'max_stale', ''), incoming.headers);
  const patienceMs = Math.min(STALE_PATIENCE_MS, settings.retryDeadlineMs);
  const first = await readOrError(incoming, options, patienceMs);
  if ('answer' in first && !(await isLeaderless(first.answer))) {
    void lastKnownGood.remember(key, first.answer);
    return first.answer;
  }
  const known = await lastKnownGood.recall(key, maxStaleMs);
  if (known !== undefined) {
    counters.stale.add('served');
    return known;
  }
  if ('answer' in first) return first.answer;
  const leftMs = settings.retryDeadlineMs - patienceMs;
  if (leftMs <= 0 || incoming.cancel.isCancelled) throw first.error;
  return read(incoming, options, leftMs);
}

async function readOrError(
  incoming: Incoming,
  options: ForwardOptions,
  deadlineMs: number,
): Promise<{ answer: Answer } | { error: ConsulError }> {
  try {
    return { answer: await read(incoming, options, deadlineMs) };
  } catch (error) {
    if (error instanceof ConsulError) return { error };
    throw error;
  }
}

async function isLeaderless(answer: Answer): Promise<boolean> {
  return answer.status === 500 && tellsLeaderLost(await errorText(answer));
}

/** Equal for requests that get the same answer. Holds tokens: not to leave the process. */
export function shareKey(target: string, headers: HeaderList): string {
  const known = tellingParts.get(headers);
  if (known !== undefined) return target + known;
  const part = tellingPart(headers);
  tellingParts.set(headers, part);
  return target + part;
}

/** By the identity of the list, which repeats with the header block that it was made of. */
const tellingParts = new WeakMap<HeaderList, string>();

function tellingPart(headers: HeaderList): string {
  let key = '';
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (TELLING.has(name)) key += `\n${name}:${headers[i + 1]}`;
  }
  return key;
}
