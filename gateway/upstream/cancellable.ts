/** A cancellation of one's own inside another's. */

import type { Cancellation } from './send.ts';

type Listener = () => void;

/**
 * Cancelled when the outer one is, or by `fire`. Each waiting client has one, and nearly always one listener: no set is
 * made for that.
 */
export class OwnCancellation implements Cancellation {
  readonly #outer: Cancellation | undefined;
  #isFired = false;
  #listeners: Listener | Set<Listener> | undefined;

  constructor(outer: Cancellation | undefined) {
    this.#outer = outer;
  }

  get isCancelled(): boolean {
    return this.#isFired || this.#outer?.isCancelled === true;
  }

  onCancel(listener: Listener): () => void {
    const now = this.#listeners;
    if (now === undefined) this.#listeners = listener;
    else if (now instanceof Set) now.add(listener);
    else this.#listeners = new Set([now, listener]);
    const unsubscribe = this.#outer?.onCancel(listener);
    return () => {
      this.#forget(listener);
      unsubscribe?.();
    };
  }

  fire(): void {
    this.#isFired = true;
    const now = this.#listeners;
    if (now === undefined) return;
    for (const listener of now instanceof Set ? [...now] : [now]) listener();
  }

  #forget(listener: Listener): void {
    const now = this.#listeners;
    if (now === listener) this.#listeners = undefined;
    else if (now instanceof Set) now.delete(listener);
  }
}
