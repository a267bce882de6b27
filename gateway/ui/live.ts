/** One thing kept up to date by blocking queries, or by asking now and then; silent while the tab is hidden. */

import type { Env, Timer } from '../../shared/env.ts';
import { type ApiAnswer, ApiError, type ApiRequest, type CallApi } from './api.ts';
import { nextStep, type Outcome, START } from './pace.ts';

export interface Live<T> {
  /** The last answer; undefined before the first one. Kept while requests fail. */
  readonly value: T | undefined;
  /** Why the last request failed; undefined when it did not. */
  readonly error: ApiError | undefined;
  /** When a failed request is repeated, on the monotonic clock; undefined unless one is due. */
  readonly retryAtMs: number | undefined;
  /** False when the answer came from an agent that knows of no leader. */
  readonly isLeaderKnown: boolean;
  /** Asks again at once, without an index. */
  refresh(): void;
  close(): void;
}

export interface LiveOptions<T> {
  readonly request: ApiRequest;
  /** @throws ApiError when the answer makes no sense */
  readonly read: (answer: ApiAnswer) => T;
  readonly call: CallApi;
  readonly onChange: () => void;
  readonly env: Env;
  /** Whether somebody can see it. `onVisibility` tells of changes. */
  readonly isVisible: () => boolean;
  readonly onVisibility: (changed: () => void) => () => void;
}

const WAIT = '55s';

export function watchLive<T>(options: LiveOptions<T>): Live<T> {
  const { env, call, onChange } = options;
  let pace = START;
  let timer: Timer | undefined;
  let current: AbortController | undefined;
  let isClosed = false;
  const state: { -readonly [K in 'value' | 'error' | 'retryAtMs' | 'isLeaderKnown']: Live<T>[K] } = {
    value: undefined,
    error: undefined,
    retryAtMs: undefined,
    isLeaderKnown: true,
  };

  const pause = () => {
    timer?.cancel();
    current?.abort();
    current = undefined;
  };
  const restart = () => {
    pause();
    pace = START;
    if (!isClosed && options.isVisible()) void ask();
  };
  const ask = async () => {
    const attempt = new AbortController();
    current = attempt;
    const { request } = options;
    const waiting = pace.index === 0 ? {} : { index: pace.index, wait: WAIT };
    let outcome: Outcome;
    try {
      const answer = await call({
        ...request,
        query: { ...request.query, ...waiting },
        signal: attempt.signal,
      });
      if (current !== attempt) return;
      // The same index after a full wait: nothing new to draw.
      if (pace.index === 0 || answer.index !== pace.index || state.error !== undefined) {
        state.value = options.read(answer);
        state.isLeaderKnown = answer.isLeaderKnown;
      }
      state.error = undefined;
      outcome = { kind: 'answer', index: answer.index };
    } catch (error) {
      if (current !== attempt) return;
      state.error = error instanceof ApiError ? error : new ApiError(0, String(error));
      outcome = { kind: 'failure' };
    }
    const step = nextStep(pace, outcome, env.random.next());
    pace = step.pace;
    state.retryAtMs = outcome.kind === 'failure' ? env.clock.monotonicMs() + step.delayMs : undefined;
    timer = env.clock.setTimer(step.delayMs, () => void ask());
    onChange();
  };

  const forget = options.onVisibility(() => (options.isVisible() ? restart() : pause()));
  restart();
  return Object.assign(state, {
    refresh: restart,
    close: () => {
      isClosed = true;
      pause();
      forget();
    },
  });
}
