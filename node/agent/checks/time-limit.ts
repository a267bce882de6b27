/** A limit on how long one probe may take. */

import type { Clock } from '../../../shared/env.ts';

export interface TimeLimit {
  /** Aborts when the time is over or the outer signal aborts. */
  readonly signal: AbortSignal;
  /** The time ran out, rather than the probe being cancelled. */
  readonly isOver: () => boolean;
  /** Stops the timer; call when the probe has ended. */
  readonly release: () => void;
}

export function startTimeLimit(clock: Clock, limitMs: number, outer: AbortSignal): TimeLimit {
  const controller = new AbortController();
  let isOver = false;
  const timer = clock.setTimer(limitMs, () => {
    isOver = true;
    controller.abort();
  });
  const onOuterAbort = () => controller.abort();
  if (outer.aborted) controller.abort();
  else outer.addEventListener('abort', onOuterAbort, { once: true });
  return {
    signal: controller.signal,
    isOver: () => isOver,
    release: () => {
      timer.cancel();
      outer.removeEventListener('abort', onOuterAbort);
    },
  };
}
