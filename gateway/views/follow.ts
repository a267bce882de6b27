/** Follows one read upstream: asks, waits with the index of the last answer, tells each answer, tries again what failed. */

import type { Clock, Random, Timer } from '../../shared/env.ts';
import { ConsulError } from '../../shared/errors.ts';
import { type Answer, type HeaderList, headerOf, isWhole, type WholeAnswer } from '../exchange/exchange.ts';
import { joined } from '../exchange/web-exchange.ts';
import type { Cancellation } from '../upstream/send.ts';
import { leaderTarget } from './question.ts';

/** Asks the pool once. Never answers from a memory of the gateway's own. @throws ConsulError when nobody answers */
export type AskPool = (target: string, headers: HeaderList, cancel: Cancellation) => Promise<Answer>;

export interface FollowOptions {
  readonly target: string;
  readonly headers: HeaderList;
  readonly ask: AskPool;
  /**
   * Longest wait of the next upstream question, > 0. It bounds for how long an agent cut off from the others is
   * believed.
   */
  readonly waitMs: () => number;
  /** Largest body that is followed, bytes. */
  readonly limitBytes: number;
  /** Every good answer, also those that say that nothing changed. */
  readonly onAnswer: (answer: FollowedAnswer) => void;
  /** What may pass; it is tried again. */
  readonly onFailure: (error: ConsulError) => void;
  /** An answer that would only come again: a refusal, no index, too large, or no waiting. Nothing is asked after it. */
  readonly onRefusal: (answer: Answer) => void;
  readonly clock: Clock;
  readonly random: Random;
}

export interface FollowedAnswer {
  readonly answer: WholeAnswer;
  readonly index: number;
  /** False when it is the answer before, confirmed. */
  readonly isNews: boolean;
}

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 10_000;
/** A read that changes all the time is asked so often at most. */
const MIN_ROUND_MS = 20;
/** Answers without news, long before the wait is over, after which the agent counts as not waiting on this. */
const MAX_HASTY = 3;

/** @returns stops following; nothing is told after it */
export function follow(options: FollowOptions): () => void {
  const { clock, random } = options;
  const stopper = openStopper();
  let index = 0;
  /** In a row. What is asked after one doesn't wait: what was known may have become old meanwhile. */
  let failures = 0;
  let hasty = 0;

  /** @returns milliseconds until the next question, undefined when there is none */
  const round = async (): Promise<number | undefined> => {
    const startMs = clock.monotonicMs();
    const waitMs = options.waitMs();
    const target = nextTarget(options.target, failures > 0 ? 0 : index, waitMs);
    const answer = await whole(await options.ask(target, options.headers, stopper), options);
    if (stopper.isCancelled) return undefined;
    const found = indexOf(answer);
    if (answer.status >= 500 || answer.status === 429) throw failed(answer);
    if (found === undefined || (answer.status !== 200 && answer.status !== 404)) return refuse(answer);
    const isNews = found !== index;
    const tookMs = clock.monotonicMs() - startMs;
    hasty = isNews || failures > 0 || tookMs > waitMs / 2 ? 0 : hasty + 1;
    if (hasty > MAX_HASTY) return refuse(answer);
    failures = 0;
    if (found < index && isStale(options.target)) return startOver();
    index = found;
    options.onAnswer({ answer, index, isNews });
    return hasty > 0 ? FIRST_PAUSE_MS : Math.max(0, MIN_ROUND_MS - tookMs);
  };
  /** Another agent knows less, or the state was replaced. The leader can tell. */
  const startOver = async (): Promise<number | undefined> => {
    const fromLeader = await whole(
      await options.ask(leaderTarget(options.target), options.headers, stopper),
      options,
    );
    const found = indexOf(fromLeader);
    if (stopper.isCancelled) return undefined;
    if (fromLeader.status >= 500 || found === undefined) throw failed(fromLeader);
    index = found;
    options.onAnswer({ answer: fromLeader, index, isNews: true });
    return MIN_ROUND_MS;
  };
  const refuse = (answer: Answer): undefined => {
    stopper.stop();
    options.onRefusal(answer);
    return undefined;
  };
  /** @returns as `round`; failures that may pass make a pause */
  const guarded = async (): Promise<number | undefined> => {
    try {
      return await round();
    } catch (error) {
      if (stopper.isCancelled) return undefined;
      if (error instanceof TooLarge) return refuse(error.answer);
      options.onFailure(
        error instanceof ConsulError ? error : new ConsulError('internal', 500, String(error)),
      );
      return Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++) * (0.8 + 0.4 * random.next());
    }
  };
  const run = async (): Promise<void> => {
    for (;;) {
      const pauseMs = await guarded();
      if (pauseMs === undefined || stopper.isCancelled) return;
      if (pauseMs > 0) await new Promise<void>((resolve) => stopper.pause(clock, pauseMs, resolve));
    }
  };
  void run();
  return () => stopper.stop();
}

function openStopper() {
  const listeners = new Set<() => void>();
  const stopper = {
    isCancelled: false,
    timer: undefined as Timer | undefined,
    pause: (clock: Clock, ms: number, resume: () => void) => {
      stopper.timer = clock.setTimer(ms, resume);
    },
    onCancel: (listener: () => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stop: () => {
      stopper.isCancelled = true;
      stopper.timer?.cancel();
      for (const listener of [...listeners]) listener();
    },
  };
  return stopper;
}

function nextTarget(target: string, index: number, waitMs: number): string {
  if (index === 0) return target;
  return `${target}${target.includes('?') ? '&' : '?'}index=${index}&wait=${waitMs}ms`;
}

function isStale(target: string): boolean {
  return /[?&](?:stale|cached)(?:=|&|$)/.test(target);
}

/** Errors' texts are short; a compressed one is told by its status alone. */
function failed({ status, headers, body }: WholeAnswer): ConsulError {
  const isText = headerOf(headers, 'content-encoding') === undefined;
  const text = isText ? new TextDecoder().decode(body.subarray(0, 4096)) : `status ${status}`;
  return new ConsulError('internal', Math.max(400, status), text);
}

class TooLarge extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super('too large');
    this.answer = answer;
  }
}

/** @throws TooLarge beyond `limitBytes`, ConsulError when the body breaks off */
async function whole(answer: Answer, { limitBytes }: FollowOptions): Promise<WholeAnswer> {
  const tooLarge = () => {
    const text = `The answer is larger than ${limitBytes} bytes, too large to be followed.`;
    const headers = ['Content-Type', 'text/plain; charset=utf-8'];
    return new TooLarge({ status: 413, headers, body: new TextEncoder().encode(text) });
  };
  if (isWhole(answer)) {
    if (answer.body.length > limitBytes) throw tooLarge();
    return answer;
  }
  const reader = answer.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new ConsulError('no-servers', 503, 'The answer broke off.');
    });
    if (done) return { ...answer, body: joined(chunks, size) };
    chunks.push(value);
    size += value.length;
    if (size <= limitBytes) continue;
    reader.cancel().catch(() => undefined);
    throw tooLarge();
  }
}

/** The index of an answer, undefined when it has none. */
export function indexOf({ headers }: Answer): number | undefined {
  const text = headerOf(headers, 'x-consul-index');
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
}
