/** Counts who still wants a shared result, and cancels the work when the last one leaves. */

import { ConsulError } from '../../shared/errors.ts';
import type { Cancellation } from '../upstream/send.ts';

export interface Interest {
  /** Cancelled when everyone who joined has left. */
  readonly cancellation: Cancellation;
  /** Waits for the result on behalf of one caller; rejects at once when that caller leaves. */
  join<T>(caller: Cancellation, result: Promise<T>): Promise<T>;
}

/** Thrown at a caller that left; nobody reads it. */
export const callerLeft = (): ConsulError => new ConsulError('shutting-down', 503, 'The client went away.');

export function openInterest(): Interest {
  const listeners = new Set<() => void>();
  let interested = 0;
  let isCancelled = false;
  const leave = () => {
    if (--interested > 0) return;
    isCancelled = true;
    for (const listener of [...listeners]) listener();
  };
  return {
    cancellation: {
      get isCancelled() {
        return isCancelled;
      },
      onCancel: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    join: (caller, result) => {
      interested++;
      return new Promise((resolve, reject) => {
        const unsubscribe = caller.onCancel(() => {
          leave();
          reject(callerLeft());
        });
        result.finally(unsubscribe).then(resolve, reject);
      });
    },
  };
}

/** For work that nobody cancels. */
export const NEVER_CANCELLED: Cancellation = { isCancelled: false, onCancel: () => () => undefined };
