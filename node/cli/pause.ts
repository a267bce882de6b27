/** Waiting that keeps the process alive, unlike a timer of a server. */

import type { Clock } from '../../shared/env.ts';

/** Resolves after `ms`, at once when there is nothing to wait for, and as soon as the signal is aborted. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (ms <= 0 || signal?.aborted) {
      resolve();
      return;
    }
    const end = () => {
      timer.cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.setTimer(ms, end, true);
    signal?.addEventListener('abort', end, { once: true });
  });
}
