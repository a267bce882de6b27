/** Hedged reads: when an answer takes longer than nearly all recent ones did, a second agent is asked, and the first answer counts. */

import type { Clock } from '../../shared/env.ts';
import { OwnCancellation } from './cancellable.ts';
import type { Cancellation } from './send.ts';

export interface Hedge<Outcome> {
  /** Since the first was asked, > 0. */
  readonly delayMs: number;
  readonly clock: Clock;
  readonly outer: Cancellation | undefined;
  /** Asks the first agent. */
  readonly first: (cancel: Cancellation) => Promise<Outcome>;
  /** Asks another; undefined when there is none, or none may be asked. */
  readonly second: (cancel: Cancellation) => Promise<Outcome> | undefined;
  readonly isGood: (outcome: Outcome) => boolean;
  readonly onHedge: (event: 'sent' | 'won') => void;
}

/** @returns the first good outcome, the loser cancelled; when both are bad, the one that came last */
export function hedged<Outcome>(hedge: Hedge<Outcome>): Promise<Outcome> {
  const { clock, delayMs, isGood, onHedge, outer } = hedge;
  return new Promise((resolve, reject) => {
    const one = new OwnCancellation(outer);
    const two = new OwnCancellation(outer);
    let pending = 1;
    let isDecided = false;
    const take = (outcome: Outcome, isSecond: boolean) => {
      pending--;
      if (isDecided || (!isGood(outcome) && pending > 0)) return;
      isDecided = true;
      timer.cancel();
      if (isSecond && isGood(outcome)) onHedge('won');
      if (pending > 0) (isSecond ? one : two).fire();
      resolve(outcome);
    };
    const timer = clock.setTimer(delayMs, () => {
      const asked = outer?.isCancelled ? undefined : hedge.second(two);
      if (asked === undefined) return;
      pending++;
      onHedge('sent');
      asked.then((outcome) => take(outcome, true), reject);
    });
    hedge.first(one).then((outcome) => take(outcome, false), reject);
  });
}
