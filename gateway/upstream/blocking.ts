/** Blocking queries: how long a caller wants to wait, what is left of it, and waits cut into legs. */

import { DurationSyntaxError, parseDurationMs } from '../../shared/durations.ts';
import type { Clock } from '../../shared/env.ts';
import { type Answer, headerOf } from '../exchange/exchange.ts';
import { queryValue, withQueryValue } from '../proxy/target.ts';

export interface BlockingQuery {
  /** What the caller has seen: an index, or the content hash of a service. */
  readonly seen: string;
  /** The header of an answer that carries the same. Lower case. */
  readonly seenHeader: 'x-consul-index' | 'x-consul-contenthash';
  /** Milliseconds, > 0: the caller's wait, or the default, within the maximum. The agent adds up to a sixteenth. */
  readonly waitMs: number;
}

const DEFAULT_WAIT_MS = 300_000;
const MAX_WAIT_MS = 600_000;

/** @returns undefined when the query doesn't block, or is malformed: then the agent answers it at once */
export function parseBlocking(path: string, query: string): BlockingQuery | undefined {
  const isByHash = path.startsWith('/v1/agent/service/');
  const seen = queryValue(query, isByHash ? 'hash' : 'index');
  if (seen === undefined || seen === '') return undefined;
  if (!isByHash && !/^0*[1-9]\d*$/.test(seen)) return undefined;
  const fallbackMs = path === '/v1/event/list' ? MAX_WAIT_MS : DEFAULT_WAIT_MS;
  const waitMs = parseWait(queryValue(query, 'wait'), fallbackMs);
  if (waitMs === undefined) return undefined;
  return { seen, seenHeader: isByHash ? 'x-consul-contenthash' : 'x-consul-index', waitMs };
}

function parseWait(text: string | undefined, fallbackMs: number): number | undefined {
  if (text === undefined || text === '') return fallbackMs;
  try {
    const ms = parseDurationMs(text);
    return ms <= 0 ? fallbackMs : Math.min(ms, MAX_WAIT_MS);
  } catch (error) {
    if (error instanceof DurationSyntaxError) return undefined;
    throw error;
  }
}

/** The same question with another wait. An agent takes 0 for its default, so at least a millisecond is asked. */
export function withWait(target: string, waitMs: number): string {
  return withQueryValue(target, 'wait', `${Math.max(1, Math.round(waitMs))}ms`);
}

/** Longest time an agent may take over a wait: it adds up to a sixteenth (reference §2.3). */
export function longestWaitMs(waitMs: number): number {
  return waitMs * (17 / 16);
}

export interface WaitLeg {
  /** Target of the next attempt. */
  readonly target: () => string;
  /** Milliseconds for that attempt to its first byte. */
  readonly timeoutMs: () => number;
}

/**
 * Asks until the answer is a change or the caller's wait is over. With `legMs` 0 that is one question; otherwise no
 * question waits longer than a leg, and answers that only say "nothing new" are swallowed.
 * An attempt that is repeated on another agent asks for what is left of the wait.
 *
 * @param slackMs added to a leg's longest duration before the agent counts as silent
 */
export async function askInLegs(
  target: string,
  blocking: BlockingQuery,
  { legMs, slackMs, clock }: { legMs: number; slackMs: number; clock: Clock },
  ask: (leg: WaitLeg) => Promise<Answer>,
): Promise<Answer> {
  const startMs = clock.monotonicMs();
  const leftMs = () => blocking.waitMs - (clock.monotonicMs() - startMs);
  const legWaitMs = () => (legMs === 0 ? leftMs() : Math.min(legMs, leftMs()));
  let isFirst = true;
  for (;;) {
    const legStartMs = clock.monotonicMs();
    const answer = await ask({
      target: () => {
        const isWhole = isFirst && (legMs === 0 || blocking.waitMs <= legMs);
        isFirst = false;
        return isWhole ? target : withWait(target, legWaitMs());
      },
      timeoutMs: () => longestWaitMs(Math.max(0, legWaitMs())) + slackMs,
    });
    // A key that is not there answers 404 for the whole wait; other errors are for the caller.
    const isNothingNew =
      (answer.status === 200 || answer.status === 404) &&
      headerOf(answer.headers, blocking.seenHeader) === blocking.seen;
    // An agent that answers long before the leg is over doesn't block on this question.
    const isTooSoon = clock.monotonicMs() - legStartMs < legMs / 2;
    if (legMs === 0 || leftMs() <= 0 || !isNothingNew || isTooSoon) return answer;
  }
}
