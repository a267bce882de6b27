/** Who waits for what: finds the waiters of a change without looking at those of other topics. */

import { KV_KEY_PREFIX, KV_TREE_PREFIX } from './topics.ts';
import type { Topic } from './types.ts';

interface Waiter {
  readonly wake: () => void;
  readonly slots: Slot[];
}

/** Who is interested in one topic. It exists while anyone is. */
interface Slot {
  readonly remove: () => void;
  readonly waiters: Set<Waiter>;
  readonly forgetters: Set<() => void>;
}

/**
 * Invariants: a slot is registered exactly while it has a waiter or a forgetter; `treeLengths` holds, ascending, the
 * lengths of all registered prefixes, so that those of a key are found in as many steps as there are lengths ≤ its own.
 */
export class WatchRegistry {
  readonly #slots = new Map<Topic, Slot>();
  readonly #kvKeys = new Map<string, Slot>();
  readonly #kvTrees = new Map<string, Slot>();
  readonly #treeLengths = new Map<number, number>();
  #sortedTreeLengths: number[] = [];
  #touched = new Set<Slot>();

  /**
   * Waits for a change of any of the topics.
   *
   * @param wake called once at most, from `flush`
   * @returns ends the wait; harmless when it is over
   */
  watch(topics: readonly Topic[], wake: () => void): () => void {
    const waiter: Waiter = { wake, slots: [] };
    for (const topic of topics) {
      const slot = this.#slotOf(topic);
      slot.waiters.add(waiter);
      waiter.slots.push(slot);
    }
    return () => detach(waiter);
  }

  /**
   * Calls `forget` once, at the moment when any of the topics is touched.
   *
   * @returns ends the interest
   */
  onTouch(topics: readonly Topic[], forget: () => void): () => void {
    const slots = topics.map((topic) => this.#slotOf(topic));
    for (const slot of slots) slot.forgetters.add(forget);
    return () => {
      for (const slot of slots) {
        slot.forgetters.delete(forget);
        dropIfIdle(slot);
      }
    };
  }

  /** Something under the topic has changed. For keys use `touchKey`. */
  touch(topic: Topic): void {
    this.#touchSlot(this.#slots.get(topic));
  }

  /** A key has changed; `key` is its byteText. */
  touchKey(key: string): void {
    if (this.#kvKeys.size > 0) this.#touchSlot(this.#kvKeys.get(key));
    for (const length of this.#sortedTreeLengths) {
      if (length > key.length) break;
      this.#touchSlot(this.#kvTrees.get(key.slice(0, length)));
    }
  }

  /** What is known of a deleted key has changed, but no content: answers are forgotten and nobody is woken. */
  forgetKey(key: string): void {
    for (const length of this.#sortedTreeLengths) {
      if (length > key.length) break;
      const slot = this.#kvTrees.get(key.slice(0, length));
      if (slot !== undefined) forgetAll(slot);
    }
  }

  /** Everything may have changed. */
  touchAll(): void {
    for (const slots of [this.#slots, this.#kvKeys, this.#kvTrees]) {
      for (const slot of [...slots.values()]) this.#touchSlot(slot);
    }
  }

  /** Wakes who waited for what was touched since the last time. */
  flush(): void {
    if (this.#touched.size === 0) return;
    const woken = new Set<Waiter>();
    for (const slot of this.#touched) for (const waiter of slot.waiters) woken.add(waiter);
    // Clearing a set that lives long makes its new table an old object, for every batch.
    this.#touched = new Set();
    for (const waiter of woken) {
      detach(waiter);
      waiter.wake();
    }
  }

  #touchSlot(slot: Slot | undefined): void {
    if (slot === undefined) return;
    forgetAll(slot);
    if (slot.waiters.size > 0) this.#touched.add(slot);
  }

  #slotOf(topic: Topic): Slot {
    if (topic.startsWith(KV_TREE_PREFIX)) return this.#treeSlot(topic.slice(KV_TREE_PREFIX.length));
    if (topic.startsWith(KV_KEY_PREFIX)) return slotIn(this.#kvKeys, topic.slice(KV_KEY_PREFIX.length));
    return slotIn(this.#slots, topic);
  }

  #treeSlot(prefix: string): Slot {
    const existing = this.#kvTrees.get(prefix);
    if (existing !== undefined) return existing;
    this.#countTreeLength(prefix.length, 1);
    return slotIn(this.#kvTrees, prefix, () => this.#countTreeLength(prefix.length, -1));
  }

  #countTreeLength(length: number, change: 1 | -1): void {
    const count = (this.#treeLengths.get(length) ?? 0) + change;
    if (count > 0) this.#treeLengths.set(length, count);
    else this.#treeLengths.delete(length);
    if (count === 0 || (count === 1 && change === 1)) {
      this.#sortedTreeLengths = [...this.#treeLengths.keys()].sort((a, b) => a - b);
    }
  }
}

function slotIn(slots: Map<string, Slot>, name: string, onRemoved?: () => void): Slot {
  const existing = slots.get(name);
  if (existing !== undefined) return existing;
  const slot: Slot = {
    remove: () => {
      if (slots.get(name) !== slot) return;
      slots.delete(name);
      onRemoved?.();
    },
    waiters: new Set(),
    forgetters: new Set(),
  };
  slots.set(name, slot);
  return slot;
}

function forgetAll(slot: Slot): void {
  if (slot.forgetters.size > 0) for (const forget of [...slot.forgetters]) forget();
}

function detach(waiter: Waiter): void {
  for (const slot of waiter.slots) {
    slot.waiters.delete(waiter);
    dropIfIdle(slot);
  }
  waiter.slots.length = 0;
}

function dropIfIdle(slot: Slot): void {
  if (slot.waiters.size === 0 && slot.forgetters.size === 0) slot.remove();
}
