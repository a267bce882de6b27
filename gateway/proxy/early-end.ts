/** Blocking queries when the gateway stops: each is answered with what is known now, as if its wait were over. */

import type { Answer } from '../exchange/exchange.ts';
import { classify } from '../routing/classify.ts';
import { OwnCancellation } from '../upstream/cancellable.ts';
import type { Forward, Incoming } from './forward.ts';
import { splitTarget, withoutQueryValue } from './target.ts';

export interface Stopping {
  readonly isStopping: boolean;
  /** Ends every wait, now and later. */
  stop(): void;
  /** @returns unsubscribe */
  onStop(listener: () => void): () => void;
}

export function createStopping(): Stopping {
  let isStopping = false;
  const listeners = new Set<() => void>();
  return {
    get isStopping() {
      return isStopping;
    },
    stop: () => {
      isStopping = true;
      for (const listener of [...listeners]) listener();
      listeners.clear();
    },
    onStop: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The same, but a wait that is under way when the gateway stops is given up and the question asked without one. */
export function endingEarly(forward: Forward, stopping: Stopping): Forward {
  return (incoming) => {
    if (incoming.kind.blocking === undefined) return forward(incoming);
    if (stopping.isStopping) return forward(atOnce(incoming));
    return waitOrStop(forward, incoming, stopping);
  };
}

function waitOrStop(forward: Forward, incoming: Incoming, stopping: Stopping): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const cancel = new OwnCancellation(incoming.cancel);
    let isStopped = false;
    const unsubscribe = stopping.onStop(() => {
      isStopped = true;
      cancel.fire();
      if (incoming.cancel.isCancelled) return;
      forward(atOnce(incoming)).then(resolve, reject);
    });
    forward({ ...incoming, cancel }).then(
      (answer) => {
        unsubscribe();
        resolve(answer);
      },
      (error: unknown) => {
        unsubscribe();
        if (!isStopped || incoming.cancel.isCancelled) reject(error);
      },
    );
  });
}

/** The question without its wait: agents answer at once, with the index of now. */
function atOnce(incoming: Incoming): Incoming {
  const target = ['index', 'wait', 'hash'].reduce(withoutQueryValue, incoming.target);
  return { ...incoming, target, kind: classify(incoming.method, splitTarget(target)) };
}
