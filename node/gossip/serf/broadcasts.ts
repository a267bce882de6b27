/** What serf wants to spread: intents before queries before user events. */

import { BroadcastQueue } from '../swim/broadcast-queue.ts';

const MIN_QUEUE_DEPTH = 4096;
/** In the order in which they get room. */
const KINDS = ['intent', 'query', 'event'] as const;

export type BroadcastKind = (typeof KINDS)[number];

export class SerfBroadcasts {
  readonly #queues: Readonly<Record<BroadcastKind, BroadcastQueue>> = {
    intent: new BroadcastQueue(),
    query: new BroadcastQueue(),
    event: new BroadcastQueue(),
  };

  length(kind: BroadcastKind): number {
    return this.#queues[kind].length;
  }

  /**
   * @param members bounds the queue: twice as many messages as members, at least 4096
   * @param onFinished called once, when sent often enough or pushed out
   * @returns whether others had to be dropped for it
   */
  spread(kind: BroadcastKind, bytes: Uint8Array, members: number, onFinished?: () => void): boolean {
    const queue = this.#queues[kind];
    queue.queue({ bytes, subject: undefined, onFinished });
    const depth = Math.max(2 * members, MIN_QUEUE_DEPTH);
    if (queue.length <= depth) return false;
    queue.prune(depth);
    return true;
  }

  /** Messages that fit `limit` bytes, each costing its length plus `overhead`. */
  take(overhead: number, limit: number, transmitLimit: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    let left = limit;
    for (const kind of KINDS) {
      for (const bytes of this.#queues[kind].take(overhead, left, transmitLimit)) {
        taken.push(bytes);
        left -= bytes.length + overhead;
      }
    }
    return taken;
  }
}
