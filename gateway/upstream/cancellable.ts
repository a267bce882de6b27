/** A cancellation of one's own inside another's. */

import type { Cancellation } from './send.ts';

/** Cancelled when the outer one is, or by `fire`. */
export function cancellable(outer: Cancellation | undefined): {
  readonly cancel: Cancellation;
  fire(): void;
} {
  let isFired = false;
  const listeners = new Set<() => void>();
  const cancel: Cancellation = {
    get isCancelled() {
      return isFired || outer?.isCancelled === true;
    },
    onCancel: (listener) => {
      listeners.add(listener);
      const unsubscribe = outer?.onCancel(listener);
      return () => {
        listeners.delete(listener);
        unsubscribe?.();
      };
    },
  };
  return {
    cancel,
    fire: () => {
      isFired = true;
      for (const listener of [...listeners]) listener();
    },
  };
}
