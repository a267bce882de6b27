/** Reads at a server that does not lead: the leader confirms all that came up in one turn by one message. */

interface Batch {
  readonly id: number;
  readonly sentAtMs: number;
  readonly contexts: readonly number[];
}

/** Batches that the leader has not yet answered; more than that means that it does not answer at all. */
const MAX_BATCHES = 1024;

/** Invariant: a context is in `#waiting` or in one of `#asked`, which ascends by id and by time. */
export class RemoteReads {
  #waiting: number[] = [];
  #asked: Batch[] = [];
  #nextId = 1;

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#asked.length === 0;
  }

  /** @returns false when too many are under way already */
  add(context: number): boolean {
    if (this.#asked.length >= MAX_BATCHES) return false;
    this.#waiting.push(context);
    return true;
  }

  /** All that wait become one batch. @returns its id, undefined when nothing waits */
  takeBatch(nowMs: number): number | undefined {
    if (this.#waiting.length === 0) return undefined;
    const id = this.#nextId++;
    this.#asked.push({ id, sentAtMs: nowMs, contexts: this.#waiting });
    this.#waiting = [];
    return id;
  }

  /** The leader has confirmed a batch. @returns its contexts, none when it was given up */
  confirmed(id: number): readonly number[] {
    const at = this.#asked.findIndex((batch) => batch.id === id);
    return at === -1 ? [] : (this.#asked.splice(at, 1)[0]?.contexts ?? []);
  }

  /** Gives up what was asked before `beforeMs`: request or answer were lost. @returns its contexts */
  takeOverdue(beforeMs: number): readonly number[] {
    const overdue = this.#asked.filter((batch) => batch.sentAtMs < beforeMs);
    if (overdue.length > 0) this.#asked = this.#asked.slice(overdue.length);
    return overdue.flatMap((batch) => batch.contexts);
  }

  /** Gives up everything. @returns all contexts */
  takeAll(): readonly number[] {
    const all = [...this.#asked.flatMap((batch) => batch.contexts), ...this.#waiting];
    this.#asked = [];
    this.#waiting = [];
    return all;
  }
}
