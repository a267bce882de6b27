/** When a driver's core is looked at: at the end of a turn of the event loop, and when its next deadline is due. */

import type { Clock, Timer } from '../../../shared/env.ts';

export interface TurnsOptions {
  readonly clock: Clock;
  readonly endOfTurn: (run: () => void) => void;
  /** One pass; called again for as long as `again` was said during it. */
  readonly flush: () => void;
  readonly tick: () => void;
  /** When the next tick is due; undefined when none ever is. */
  readonly nextDeadlineMs: () => number | undefined;
}

/** Invariant: at most one end of turn is awaited and one timer runs; passes never nest. */
export class Turns {
  readonly #options: TurnsOptions;
  #isScheduled = false;
  #isFlushing = false;
  #isAgain = false;
  #deadline: { readonly atMs: number; readonly timer: Timer } | undefined;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Flushes once all that arrived in this turn was seen. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#options.endOfTurn(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** Flushes now; during a flush, once more after it. */
  flush(): void {
    this.#isAgain = true;
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      while (this.#isAgain) {
        this.#isAgain = false;
        this.#options.flush();
      }
    } finally {
      this.#isFlushing = false;
    }
    this.#arm();
  }

  end(): void {
    this.#isAgain = false;
    this.#deadline?.timer.cancel();
    this.#deadline = undefined;
  }

  #arm(): void {
    const { clock, nextDeadlineMs, tick } = this.#options;
    const atMs = nextDeadlineMs();
    // A deadline that moved back is looked at when the old one fires: most are moved long before they are due.
    if (atMs === undefined || (this.#deadline !== undefined && this.#deadline.atMs <= atMs)) return;
    this.#deadline?.timer.cancel();
    const delayMs = Math.max(0, atMs - clock.monotonicMs());
    const timer = clock.setTimer(delayMs, () => {
      this.#deadline = undefined;
      const dueMs = nextDeadlineMs();
      if (dueMs !== undefined && dueMs <= clock.monotonicMs()) tick();
      else this.#arm();
    });
    this.#deadline = { atMs, timer };
  }
}
