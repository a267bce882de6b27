/** When TTL checks expire. */

import { DeadlineHeap, isMostlyObsolete } from './deadline-heap.ts';

interface TtlEntry {
  readonly id: string;
  readonly ttlMs: number;
  expiresAtMs: number;
  /** In the heap. An expired entry leaves it until the next renewal. */
  isArmed: boolean;
}

/**
 * Invariant: an armed entry is in the heap once, at or before its deadline. A renewal only moves the deadline in the
 * entry, so that a heartbeat costs no heap operation; the heap entry moves when it surfaces.
 */
export class TtlDeadlines {
  readonly #entries = new Map<string, TtlEntry>();
  readonly #heap = new DeadlineHeap<TtlEntry>();

  get size(): number {
    return this.#entries.size;
  }

  has(id: string): boolean {
    return this.#entries.has(id);
  }

  /** Adds or replaces; the TTL starts now. */
  set(id: string, ttlMs: number, nowMs: number): void {
    const entry: TtlEntry = { id, ttlMs, expiresAtMs: nowMs + ttlMs, isArmed: true };
    this.#entries.set(id, entry);
    this.#heap.push(entry.expiresAtMs, entry);
    if (isMostlyObsolete(this.#heap.size, this.#entries.size))
      this.#heap.compact((e) => this.#entries.get(e.id) === e);
  }

  /** Restarts the TTL. @returns false when there is no such check */
  renew(id: string, nowMs: number): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    entry.expiresAtMs = nowMs + entry.ttlMs;
    if (!entry.isArmed) {
      entry.isArmed = true;
      this.#heap.push(entry.expiresAtMs, entry);
    }
    return true;
  }

  remove(id: string): void {
    this.#entries.delete(id);
  }

  /** IDs whose TTL has passed since the last call; each is told once until renewed. */
  step(nowMs: number): string[] {
    const expired: string[] = [];
    for (let top = this.#heap.peek(); top !== undefined && top.atMs <= nowMs; top = this.#heap.peek()) {
      this.#heap.pop();
      const entry = top.value;
      if (this.#entries.get(entry.id) !== entry) continue;
      if (entry.expiresAtMs > nowMs) {
        this.#heap.push(entry.expiresAtMs, entry);
      } else {
        entry.isArmed = false;
        expired.push(entry.id);
      }
    }
    return expired;
  }

  /** When to call `step` next; may be early, never late. undefined when nothing can expire. */
  nextDueMs(): number | undefined {
    for (let top = this.#heap.peek(); top !== undefined; top = this.#heap.peek()) {
      if (this.#entries.get(top.value.id) === top.value) return top.atMs;
      this.#heap.pop();
    }
    return undefined;
  }
}
