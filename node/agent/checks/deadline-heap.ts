/** A priority queue of deadlines. */

export interface Deadline<T> {
  readonly atMs: number;
  readonly value: T;
}

/** Invariant: `#heap` is a binary heap by `atMs`. Obsolete entries are the caller's to recognise when they surface. */
export class DeadlineHeap<T> {
  readonly #heap: Deadline<T>[] = [];

  get size(): number {
    return this.#heap.length;
  }

  peek(): Deadline<T> | undefined {
    return this.#heap[0];
  }

  push(atMs: number, value: T): void {
    const entry = { atMs, value };
    let at = this.#heap.length;
    this.#heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#heap[parent];
      if (above === undefined || above.atMs <= atMs) break;
      this.#heap[at] = above;
      at = parent;
    }
    this.#heap[at] = entry;
  }

  pop(): Deadline<T> | undefined {
    const top = this.#heap[0];
    const last = this.#heap.pop();
    if (top === undefined || last === undefined || this.#heap.length === 0) return top;
    this.#sink(last);
    return top;
  }

  /** Drops what is not live any more; call when obsolete entries outnumber live ones, so that they stay bounded. */
  compact(isLive: (value: T) => boolean): void {
    const live = this.#heap.filter((entry) => isLive(entry.value));
    this.#heap.length = 0;
    for (const entry of live) this.push(entry.atMs, entry.value);
  }

  #sink(entry: Deadline<T>): void {
    let at = 0;
    for (;;) {
      const left = this.#heap[2 * at + 1];
      const right = this.#heap[2 * at + 2];
      if (left === undefined) break;
      const takesRight = right !== undefined && right.atMs < left.atMs;
      const child = takesRight ? right : left;
      if (child.atMs >= entry.atMs) break;
      this.#heap[at] = child;
      at = takesRight ? 2 * at + 2 : 2 * at + 1;
    }
    this.#heap[at] = entry;
  }
}

/** Whether a heap of `size` entries, `live` of them wanted, is worth compacting. */
export function isMostlyObsolete(size: number, live: number): boolean {
  return size > 2 * live + 64;
}
