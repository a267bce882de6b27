/** The waits of blocking queries: each ends when its client goes away, all end when the server closes. */

import { ConsulError } from '../../shared/errors.ts';
import type { Outgoing } from './message.ts';

/** Invariant: a controller is in `#open` from its creation until its response is closed. */
export class Waits {
  #isClosing = false;
  readonly #open = new Set<AbortController>();

  /** Nothing new may wait; answers close their connection. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** A signal whose abort reason is a `ConsulError` that says what to answer. */
  begin(response: Outgoing): AbortSignal {
    const controller = new AbortController();
    if (this.#isClosing) {
      controller.abort(shuttingDown());
      return controller.signal;
    }
    this.#open.add(controller);
    response.once('close', () => {
      this.#open.delete(controller);
      if (!response.writableFinished) controller.abort(clientGone());
    });
    return controller.signal;
  }

  endAll(): void {
    this.#isClosing = true;
    for (const controller of [...this.#open]) controller.abort(shuttingDown());
  }
}

/** The answer to this failure has nobody to read it. */
function clientGone(): ConsulError {
  return new ConsulError('internal', 500, 'client closed the connection', { applied: 'no' });
}

function shuttingDown(): ConsulError {
  return new ConsulError('shutting-down', 503, 'Agent is shutting down');
}
