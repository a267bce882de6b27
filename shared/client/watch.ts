/** Following a read: asks again with the index of the last answer, and gives on what is new. */

import type { Env } from '../env.ts';
import { type Answer, type ReadOptions, RequestError } from './transport.ts';

export interface WatchOptions extends Omit<ReadOptions, 'index'> {
  /** Hears of each failure before it is tried again. */
  readonly onRetry?: (error: unknown, delayMs: number) => void;
}

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 30_000;

/**
 * The first answer, then each that differs in index, until the loop is left or `signal` is aborted.
 *
 * What may pass (no connection, no leader, status 429 and 500 up) is tried again after 0.25 s, doubling to 30 s, ± 20 %.
 *
 * @throws RequestError for other refusals, which would only come again
 */
export async function* watch<T>(
  read: (options: ReadOptions) => Promise<Answer<T>>,
  { onRetry, ...options }: WatchOptions,
  env: Env,
): AsyncGenerator<Answer<T>, void, void> {
  const isEnded = () => options.signal?.aborted === true;
  let index: bigint | undefined;
  let delayMs = FIRST_DELAY_MS;
  while (!isEnded()) {
    let answer: Answer<T>;
    try {
      answer = await read({ ...options, index });
    } catch (error) {
      if (isEnded()) return;
      if (!mayPass(error)) throw error;
      const spreadMs = delayMs * (0.8 + 0.4 * env.random.next());
      onRetry?.(error, spreadMs);
      await pause(spreadMs, options.signal, env);
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
      continue;
    }
    delayMs = FIRST_DELAY_MS;
    if (answer.index === 0n) throw new Error('this endpoint gives no index, so it cannot be watched');
    const isNew = answer.index !== index;
    // Also when it went back, because the servers' state was replaced: what is newer than this answer is wanted.
    index = answer.index;
    if (isNew) yield answer;
  }
}

/** Whether a failure may be over when it is tried again. */
export function mayPass(error: unknown): boolean {
  return !(error instanceof RequestError) || error.status === 429 || error.status >= 500;
}

/** Ends early, without an error, when the signal is aborted. */
export function pause(delayMs: number, signal: AbortSignal | undefined, { clock }: Env): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      timer.cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.setTimer(delayMs, end, true);
    signal?.addEventListener('abort', end, { once: true });
  });
}
