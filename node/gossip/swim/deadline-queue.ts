/** Pending deadlines in due order. */

interface Entry<T> {
  readonly dueMs: number;
  readonly order: number;
  readonly item: T;
}

/** Invariant: `#heap` is a binary heap by (dueMs, order), so equal deadlines come out in the order they were set. */
export class DeadlineQueue<T> {
  readonly #heap: Entry<T>[] = [];
  #order = 0;

  /** When the next one is due; undefined when there is none. */
  get nextDueMs(): number | undefined {
    return this.#heap[0]?.dueMs;
  }

  set(dueMs: number, item: T): void {
    const entry = { dueMs, order: this.#order++, item };
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || !isBefore(entry, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = entry;
  }

  /** Removes and returns the first one due by `nowMs`; undefined when none is. */
  takeDue(nowMs: number): { readonly dueMs: number; readonly item: T } | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) this.#sink(last);
    return first;
  }

  /** Puts an entry at the top and lets it sink to its place. */
  #sink(entry: Entry<T>): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      let child = heap[childAt];
      if (child === undefined) break;
      const right = heap[childAt + 1];
      if (right !== undefined && isBefore(right, child)) {
        childAt += 1;
        child = right;
      }
      if (!isBefore(child, entry)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = entry;
  }
}

function isBefore<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
