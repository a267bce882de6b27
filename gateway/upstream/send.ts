/** One request into the pool: picks an agent, follows the retry table within a deadline, and answers or explains. */

import { type Clock, type Random, sleep } from '../../shared/env.ts';
import { ConsulError } from '../../shared/errors.ts';
import { type Answer, type HeaderList, isWhole, type RequestBody } from '../exchange/exchange.ts';
import type { Counters } from '../operations/counters.ts';
import { errorText } from '../proxy/error-text.ts';
import { hedged } from './hedge.ts';
import { RecentLatencies, SlowAgents } from './latencies.ts';
import { isUsable, type NodePool, type PoolNode, type Preference } from './node-pool.ts';
import type { PoolPoller } from './pool-poller.ts';
import { type Failure, mayHaveApplied, type Replay, tellsLeaderLost, verdictOf } from './retry.ts';
import type { RetryBudget } from './retry-budget.ts';
import { type Transport, UpstreamError, type UpstreamErrorKind } from './transport.ts';

export interface PoolRequest {
  readonly method: string;
  /** Called for each attempt: a blocking query that moves to another agent asks only for what is left of its wait. */
  readonly target: () => string;
  readonly headers: HeaderList;
  /** Of a write whose replay is `once`. */
  readonly requestId?: string | undefined;
  readonly body: RequestBody;
  readonly prefer: Preference;
  readonly replay: Replay;
  readonly delivery: 'whole' | 'stream';
  readonly isWait: boolean;
  /** Milliseconds per attempt to the first byte, 0: none. Called for each attempt. */
  readonly timeoutMs: () => number;
  /** How long to look for an agent that can serve it; the setting when absent. 0: one attempt per agent. */
  readonly deadlineMs?: number | undefined;
  /** Ends the request from outside. */
  readonly cancel?: Cancellation | undefined;
}

/** Where a caller can say that it doesn't want the answer any more. */
export interface Cancellation {
  readonly isCancelled: boolean;
  /** @returns unsubscribe */
  onCancel(listener: () => void): () => void;
}

/**
 * Answers of agents are returned whatever their status.
 *
 * @throws ConsulError 502 outcome unknown or connection broken, 503 nobody reachable, 504 no answer in time
 */
export type Send = (request: PoolRequest) => Promise<Answer>;

export interface SendOptions {
  readonly pool: NodePool;
  readonly poller: PoolPoller;
  readonly transport: Transport;
  readonly budget: RetryBudget;
  readonly retryDeadlineMs: number;
  /** Attempts of one request, > 0; for platforms that count them. */
  readonly maxAttempts: number;
  readonly maxWaits: number;
  /** Whether a slow read may be asked of a second agent. Not where requests to agents are few and counted (Workers). */
  readonly hedges: boolean;
  readonly counters: Counters;
  readonly clock: Clock;
  readonly random: Random;
}

type Outcome =
  | { readonly answer: Answer; readonly failure: undefined }
  | { readonly answer: Answer; readonly failure: Failure }
  | { readonly error: UpstreamError; readonly failure: Failure };

const PAUSE_MIN_MS = 20;
const PAUSE_MAX_MS = 500;
/** Two agents are not asked within less: a timer is not more exact than that. */
const MIN_HEDGE_MS = 5;
/** A read that is given up never tells how slow its agent is: some are left to end. */
const UNHEDGED_EVERY = 16;
/** An attempt that was open this long was no part of a series of failures; the deadline starts anew. */
const SETTLED_MS = 1000;

export function createSend(options: SendOptions): Send {
  const { pool, poller, budget, clock, random, counters } = options;

  const latencies = new RecentLatencies();
  const slowAgents = new SlowAgents<PoolNode>();
  let quickReads = 0;
  const noteLatency = (node: PoolNode, tookMs: number) => {
    latencies.note(tookMs);
    const slow = slowAgents.note(node, tookMs);
    if (slow !== undefined && pool.noteSlow(slow, clock.monotonicMs())) counters.ejections.add('slow');
  };

  const attempt = async (node: PoolNode, request: PoolRequest): Promise<Outcome> => {
    const startedMs = clock.monotonicMs();
    // A wait says for minutes nothing about the agent: it is no trial.
    if (!request.isWait) pool.noteSent(node, startedMs);
    try {
      const answer = await sendTo(node, request, options);
      const answeredMs = clock.monotonicMs();
      pool.noteSuccess(node, answeredMs);
      if (isQuickRead(request)) noteLatency(node, answeredMs - startedMs);
      if (answer.status !== 500 && answer.status !== 503) return { answer, failure: undefined };
      const text = await errorText(answer);
      if (tellsLeaderLost(text)) pool.noteLeaderLost(node);
      return { answer, failure: { kind: 'answer', text } };
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      counters.upstreamErrors.add(error.kind);
      noteFailure(node, error.kind);
      return { error, failure: { kind: error.kind } };
    }
  };

  const noteFailure = (node: PoolNode, kind: UpstreamErrorKind) => {
    const wasWell = node.circuit.state === 'closed';
    if (kind === 'not-sent' || kind === 'broken') pool.noteFailure(node, clock.monotonicMs());
    // One slow answer is no dead agent.
    else if (kind === 'timeout') pool.noteSilence(node, clock.monotonicMs());
    if (wasWell && node.circuit.state === 'open')
      counters.ejections.add(kind === 'timeout' ? 'silent' : 'broken');
  };

  /** As `attempt`, but a read that takes unusually long is also asked of another agent, within the retry budget. */
  const attemptHedged = (node: PoolNode, request: PoolRequest, tried: Set<PoolNode>): Promise<Outcome> => {
    const delayMs = latencies.highMs;
    if (!options.hedges || delayMs === undefined || !isQuickRead(request)) return attempt(node, request);
    if (++quickReads % UNHEDGED_EVERY === 0) return attempt(node, request);
    return hedged({
      delayMs: Math.max(MIN_HEDGE_MS, delayMs),
      clock,
      outer: request.cancel,
      first: (cancel) => attempt(node, { ...request, cancel }),
      second: (cancel) => {
        const nowMs = clock.monotonicMs();
        tried.add(node);
        const other = pool.pick(request.prefer, tried, nowMs, Number.POSITIVE_INFINITY);
        if (other === undefined || !isUsable(other, nowMs) || !budget.spend(nowMs)) return undefined;
        tried.add(other);
        return attempt(other, { ...request, cancel });
      },
      isGood: ({ failure }) => failure === undefined,
      onHedge: (event) => counters.hedges.add(event),
    });
  };

  const pause = async (pauses: number, deadlineMs: number): Promise<void> => {
    const fullMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** pauses) * (0.5 + random.next());
    const leftMs = Math.max(0, deadlineMs - clock.monotonicMs());
    await Promise.all([poller.refresh(), sleep(clock, Math.min(fullMs, leftMs))]);
  };

  return async (request) => {
    budget.earn();
    const maxWaits = request.isWait ? options.maxWaits : Number.POSITIVE_INFINITY;
    const tried = new Set<PoolNode>();
    const patienceMs = request.deadlineMs ?? options.retryDeadlineMs;
    let deadlineMs = clock.monotonicMs() + patienceMs;
    let last: Outcome | undefined;
    let isTainted = false;
    let attempts = 0;
    const give = () => conclude(request, last, tried, isTainted);
    for (let pauses = 0; ; ) {
      const startedMs = clock.monotonicMs();
      const node = pool.pick(request.prefer, tried, startedMs, maxWaits);
      if (node !== undefined && (last === undefined || budget.spend(startedMs))) {
        if (last !== undefined) counters.retries.add(last.failure?.kind ?? 'none');
        last = await attemptHedged(node, request, tried);
        tried.add(node);
        attempts++;
        if (last.failure === undefined) return last.answer;
        isTainted ||= mayHaveApplied(last.failure);
        if (request.cancel?.isCancelled) return give();
        const verdict = verdictOf(last.failure, request.replay);
        if (verdict === 'answer' || attempts >= options.maxAttempts) return give();
        poller.nudge();
        if (clock.monotonicMs() - startedMs >= SETTLED_MS && request.isWait)
          deadlineMs = clock.monotonicMs() + patienceMs;
        const isHopeful = verdict === 'elsewhere' && hasUntried(pool, tried, clock.monotonicMs());
        if (isHopeful && request.prefer.kind !== 'only' && clock.monotonicMs() <= deadlineMs) continue;
      } else if (node === undefined && tried.size === 0 && isOnlyFull(request, pool)) {
        throw request.isWait ? tooManyWaits() : tooManyRequests();
      }
      if (clock.monotonicMs() >= deadlineMs) return give();
      await pause(pauses++, deadlineMs);
      if (request.cancel?.isCancelled) return give();
      tried.clear();
    }
  };
}

/** A short read that any agent may answer. */
function isQuickRead({ delivery, isWait, prefer, replay }: PoolRequest): boolean {
  return prefer.kind === 'any' && replay === 'always' && !isWait && delivery === 'whole';
}

async function sendTo(node: PoolNode, request: PoolRequest, options: SendOptions): Promise<Answer> {
  let unsubscribe: (() => void) | undefined;
  let abandon: (() => void) | undefined;
  const onStart = (abort: (reason: UpstreamError) => void) => {
    unsubscribe = request.cancel?.onCancel(() =>
      abort(new UpstreamError('abandoned', 'the client went away')),
    );
    if (request.replay !== 'always' && request.replay !== 'once') return;
    abandon = () => abort(new UpstreamError('broken', 'the agent was reported dead or replaced as leader'));
    node.abandon.add(abandon);
  };
  node.multiplexedWaits = options.transport.maxWaits?.(node.url) ?? 0;
  node.outstanding++;
  if (request.isWait) node.waits++;
  let isStreaming = false;
  const end = () => {
    node.outstanding--;
    if (request.isWait) node.waits--;
  };
  try {
    const answer = await options.transport.send(node.url, {
      method: request.method,
      target: request.target(),
      headers: request.headers,
      requestId: request.requestId,
      body: request.body,
      delivery: request.delivery,
      isWait: request.isWait,
      timeoutMs: request.timeoutMs(),
      onStart,
    });
    isStreaming = !isWhole(answer);
    return isWhole(answer) ? answer : { ...answer, body: notingEnd(answer.body, end) };
  } finally {
    if (!isStreaming) end();
    unsubscribe?.();
    if (abandon !== undefined) node.abandon.delete(abandon);
  }
}

/** The same stream; `ended` is called once, when it was read, broke or was cancelled: its connection is free again. */
function notingEnd(body: ReadableStream<Uint8Array>, ended: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      pull: async (sink) => {
        try {
          const { done, value } = await reader.read();
          if (!done) return sink.enqueue(value);
          sink.close();
        } catch (error) {
          sink.error(error);
        }
        ended();
      },
      cancel: async (reason) => {
        ended();
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

function hasUntried(pool: NodePool, tried: ReadonlySet<PoolNode>, nowMs: number): boolean {
  return pool.nodes().some((node) => !tried.has(node) && isUsable(node, nowMs));
}

function isOnlyFull(request: PoolRequest, pool: NodePool): boolean {
  return request.prefer.kind !== 'only' && pool.nodes().length > 0;
}

/**
 * The agent's own answer when there is one, else an error that says what happened and what to do.
 *
 * @param isTainted an attempt failed in a way that may have changed something, if the request changes anything
 */
function conclude(
  request: PoolRequest,
  last: Outcome | undefined,
  tried: ReadonlySet<PoolNode>,
  isTainted: boolean,
): Answer {
  if (last === undefined) throw nobodyReachable(undefined);
  const isUnknown = isTainted && request.replay !== 'always';
  const where = [...tried].map(({ url }) => url).join(', ');
  if ('answer' in last) {
    // What the last agent says of its own attempt is not the whole story.
    if (isUnknown && request.replay === 'once' && !mayHaveApplied(last.failure ?? NOTHING))
      throw outcomeUnknown(where, undefined);
    return last.answer;
  }
  if (!isUnknown && last.error.kind !== 'timeout') throw nobodyReachable(last.error);
  const advice = isUnknown ? UNKNOWN_ADVICE : 'Try again; if it stays so, look at the agent.';
  if (last.error.kind === 'timeout')
    throw new ConsulError('timeout', 504, `No answer in time from ${where}. ${advice}`, {
      cause: last.error,
    });
  throw outcomeUnknown(where, last.error);
}

const NOTHING: Failure = { kind: 'not-sent' };

function outcomeUnknown(where: string, cause: UpstreamError | undefined): ConsulError {
  return new ConsulError(
    'outcome-unknown',
    502,
    `The connection to ${where} broke before its answer. ${UNKNOWN_ADVICE}`,
    { cause },
  );
}

const UNKNOWN_ADVICE = 'The change may or may not have been made: read it back before sending it again.';

function nobodyReachable(cause: UpstreamError | undefined): ConsulError {
  const reason = cause === undefined ? '' : ` (last error: ${cause.message})`;
  return new ConsulError(
    'no-servers',
    503,
    `No Consul agent could be reached through this gateway${reason}. Nothing was changed. Check that the agents run and that GATEWAY_NODES (-nodes) names at least one of them.`,
    { cause, applied: 'no' },
  );
}

function tooManyRequests(): ConsulError {
  return new ConsulError(
    'rate-limited',
    503,
    'Every agent has too many requests of this gateway in progress. Try again, or add agents.',
  );
}

function tooManyWaits(): ConsulError {
  return new ConsulError(
    'rate-limited',
    503,
    'Too many blocking queries are waiting through this gateway. Raise GATEWAY_MAX_WAITS (-max-waits) or add gateways.',
  );
}
