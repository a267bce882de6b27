/** Messages to spread by gossip: each is sent a limited number of times, the least sent first. */

export interface Broadcast {
  readonly bytes: Uint8Array;
  /** A newer broadcast about the same subject replaces this one; undefined never replaces. */
  readonly subject: string | undefined;
  /** Called once: sent often enough, replaced, or pushed out. */
  readonly onFinished: (() => void) | undefined;
}

interface Queued extends Broadcast {
  readonly order: number;
  transmits: number;
}

/**
 * Within a tier (same number of transmissions) longer messages come first, then newer ones.
 *
 * Invariant: `#tiers[t]` holds exactly the queued items with `transmits === t`, sorted; `#bySubject` holds exactly those with
 * a subject; `#count` is the number of all.
 */
export class BroadcastQueue {
  readonly #tiers: Queued[][] = [];
  readonly #bySubject = new Map<string, Queued>();
  #order = 0;
  #count = 0;

  get length(): number {
    return this.#count;
  }

  queue(broadcast: Broadcast): void {
    if (broadcast.subject !== undefined) {
      const older = this.#bySubject.get(broadcast.subject);
      if (older !== undefined) this.#drop(older);
    }
    const item: Queued = { ...broadcast, order: this.#order++, transmits: 0 };
    if (item.subject !== undefined) this.#bySubject.set(item.subject, item);
    this.#insert(item);
  }

  /**
   * Takes what fits in `limit` bytes, each message costing its length plus `overhead`, and counts one transmission of each.
   *
   * @param transmitLimit sends after which a message is finished
   */
  take(overhead: number, limit: number, transmitLimit: number): Uint8Array[] {
    if (this.#count === 0) return [];
    const taken: Queued[] = [];
    let used = 0;
    for (const tier of this.#tiers) {
      for (let at = firstFitting(tier, limit - used - overhead); at < tier.length; ) {
        const item = tier[at];
        if (item === undefined) break;
        tier.splice(at, 1);
        this.#count -= 1;
        taken.push(item);
        used += item.bytes.length + overhead;
        at = Math.max(at, firstFitting(tier, limit - used - overhead));
      }
    }
    // Put back only now, so that nothing is taken twice into one packet.
    for (const item of taken) this.#countTransmission(item, transmitLimit);
    return taken.map((item) => item.bytes);
  }

  /** Drops the most often sent, then oldest, until at most `max` are left. */
  prune(max: number): void {
    for (let tier = this.#tiers.length - 1; tier >= 0 && this.#count > max; tier--) {
      const items = [...(this.#tiers[tier] ?? [])].sort((a, b) => a.order - b.order);
      for (const item of items.slice(0, this.#count - max)) this.#drop(item);
    }
  }

  #countTransmission(item: Queued, transmitLimit: number): void {
    item.transmits += 1;
    if (item.transmits < transmitLimit) {
      this.#insert(item);
      return;
    }
    if (item.subject !== undefined) this.#bySubject.delete(item.subject);
    item.onFinished?.();
  }

  #insert(item: Queued): void {
    while (this.#tiers.length <= item.transmits) this.#tiers.push([]);
    const tier = this.#tiers[item.transmits];
    if (tier === undefined) return;
    tier.splice(positionOf(tier, item), 0, item);
    this.#count += 1;
  }

  #drop(item: Queued): void {
    const tier = this.#tiers[item.transmits];
    if (tier === undefined) return;
    tier.splice(positionOf(tier, item), 1);
    this.#count -= 1;
    if (item.subject !== undefined) this.#bySubject.delete(item.subject);
    item.onFinished?.();
  }
}

/** Where the item stands, or would stand. */
function positionOf(tier: readonly Queued[], item: Queued): number {
  return lowerBound(tier, (other) => {
    const longer = other.bytes.length - item.bytes.length;
    return longer > 0 || (longer === 0 && other.order > item.order);
  });
}

/** The first message of at most `length` bytes. */
function firstFitting(tier: readonly Queued[], length: number): number {
  return lowerBound(tier, (item) => item.bytes.length > length);
}

function lowerBound(tier: readonly Queued[], isBefore: (item: Queued) => boolean): number {
  let low = 0;
  let high = tier.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = tier[middle];
    if (item !== undefined && isBefore(item)) low = middle + 1;
    else high = middle;
  }
  return low;
}
