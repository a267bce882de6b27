/** The client's presence as something to listen to. */

import type { Exchange } from '../exchange/exchange.ts';
import type { Cancellation } from '../upstream/send.ts';

type Listener = () => void;

/** Nearly always one listens at a time, and tens of thousands of these may wait: one listener needs no set. */
export class ClientPresence implements Cancellation {
  isCancelled = false;
  #listeners: Listener | Set<Listener> | undefined;

  constructor(exchange: Pick<Exchange, 'onClientGone'>) {
    exchange.onClientGone(() => this.#leave());
  }

  onCancel(listener: Listener): () => void {
    const now = this.#listeners;
    if (now === undefined) this.#listeners = listener;
    else if (now instanceof Set) now.add(listener);
    else this.#listeners = new Set([now, listener]);
    return () => this.#forget(listener);
  }

  #forget(listener: Listener): void {
    const now = this.#listeners;
    if (now === listener) this.#listeners = undefined;
    else if (now instanceof Set) now.delete(listener);
  }

  #leave(): void {
    const now = this.#listeners;
    this.isCancelled = true;
    if (now === undefined) return;
    for (const listener of now instanceof Set ? [...now] : [now]) listener();
  }
}
