/** Recent user events by Lamport time: what has been seen is not delivered again. */

import type { RecentEvents } from '../codec/serf-state.ts';

const SLOTS = 512;
/** All payloads and names held; beyond it the oldest slot is emptied, which only weakens duplicate detection. */
const MAX_BYTES = 8 * 1024 * 1024;

export type EventVerdict = 'new' | 'duplicate' | 'too-old';

interface Slot {
  readonly lTime: bigint;
  readonly events: { readonly name: string; readonly payload: Uint8Array }[];
}

/** Invariant: slot i holds events of one time t with t mod 512 = i; `#bytes` is the size of all of them and at most `MAX_BYTES`. */
export class EventRing {
  readonly #slots = new Array<Slot | undefined>(SLOTS).fill(undefined);
  #bytes = 0;

  /** Records an event. @param clock the event clock after it has witnessed the event */
  record(lTime: bigint, name: string, payload: Uint8Array, clock: bigint): EventVerdict {
    if (isOlderThanRing(lTime, clock)) return 'too-old';
    const at = Number(lTime % BigInt(SLOTS));
    let slot = this.#slots[at];
    if (slot?.lTime === lTime) {
      const isKnown = slot.events.some(
        (seen) => seen.name === name && Buffer.compare(seen.payload, payload) === 0,
      );
      if (isKnown) return 'duplicate';
    } else {
      this.#clear(at);
      slot = { lTime, events: [] };
      this.#slots[at] = slot;
    }
    slot.events.push({ name, payload });
    this.#bytes += name.length + payload.length;
    while (this.#bytes > MAX_BYTES) this.#clear(this.#oldest());
    return 'new';
  }

  /** All slots as they go into a push/pull. */
  slots(): readonly (RecentEvents | undefined)[] {
    return this.#slots;
  }

  #clear(at: number): void {
    for (const event of this.#slots[at]?.events ?? [])
      this.#bytes -= event.name.length + event.payload.length;
    this.#slots[at] = undefined;
  }

  #oldest(): number {
    let oldest = 0;
    for (let at = 1; at < SLOTS; at++) {
      const slot = this.#slots[at];
      const held = this.#slots[oldest];
      if (slot !== undefined && (held === undefined || slot.lTime < held.lTime)) oldest = at;
    }
    return oldest;
  }
}

/** Whether a time lies before everything that a ring of 512 can still tell apart. */
export function isOlderThanRing(lTime: bigint, clock: bigint): boolean {
  return clock > BigInt(SLOTS) && lTime < clock - BigInt(SLOTS);
}
