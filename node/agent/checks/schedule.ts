/** When interval checks run: staggered first run, then each interval after completion, never overlapping, bounded in number. */

import { DeadlineHeap, isMostlyObsolete } from './deadline-heap.ts';

export type ScheduleInput =
  /** Adds a check or replaces the one of that ID. `firstDelayMs` ≥ 0. */
  | {
      readonly kind: 'add';
      readonly id: string;
      readonly intervalMs: number;
      readonly firstDelayMs: number;
    }
  | { readonly kind: 'remove'; readonly id: string }
  /** The run that was started ended, also when it was cancelled. */
  | { readonly kind: 'finished'; readonly run: number }
  | { readonly kind: 'tick' };

export type ScheduleEffect =
  | { readonly kind: 'start'; readonly id: string; readonly run: number }
  /** A running check was removed or replaced. It still has to report `finished`. */
  | { readonly kind: 'cancel'; readonly run: number };

interface Entry {
  readonly id: string;
  readonly intervalMs: number;
  /** Number of the run under way; 0 when none. */
  run: number;
}

/**
 * Invariants: each live entry is in exactly one of `#due`, `#ready` and `#running`; at most `maxRunning` runs are
 * unfinished, cancelled ones included; entries that `#entries` no longer holds are dropped when they surface.
 */
export class CheckSchedule {
  readonly #maxRunning: number;
  readonly #entries = new Map<string, Entry>();
  readonly #due = new DeadlineHeap<Entry>();
  readonly #ready: Entry[] = [];
  readonly #running = new Map<number, Entry>();
  #lastRun = 0;

  /** @param maxRunning ≥ 1 */
  constructor(maxRunning: number) {
    this.#maxRunning = Math.max(1, maxRunning);
  }

  /** Applies one input and starts whatever may start now. */
  step(input: ScheduleInput, nowMs: number): ScheduleEffect[] {
    const effects: ScheduleEffect[] = [];
    switch (input.kind) {
      case 'add': {
        this.#remove(input.id, effects);
        const entry: Entry = { id: input.id, intervalMs: input.intervalMs, run: 0 };
        this.#entries.set(input.id, entry);
        this.#due.push(nowMs + input.firstDelayMs, entry);
        if (isMostlyObsolete(this.#due.size, this.#entries.size)) this.#due.compact((e) => this.#isLive(e));
        break;
      }
      case 'remove':
        this.#remove(input.id, effects);
        break;
      case 'finished':
        this.#finish(input.run, nowMs);
        break;
      case 'tick':
        break;
    }
    this.#startDue(nowMs, effects);
    return effects;
  }

  /** When a tick is needed next, in the terms of `nowMs`; undefined while nothing waits for time. */
  nextDueMs(): number | undefined {
    for (let top = this.#due.peek(); top !== undefined; top = this.#due.peek()) {
      if (this.#isLive(top.value)) return top.atMs;
      this.#due.pop();
    }
    return undefined;
  }

  get size(): number {
    return this.#entries.size;
  }

  #remove(id: string, effects: ScheduleEffect[]): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    if (entry.run !== 0) effects.push({ kind: 'cancel', run: entry.run });
  }

  #finish(run: number, nowMs: number): void {
    const entry = this.#running.get(run);
    if (entry === undefined) return;
    this.#running.delete(run);
    entry.run = 0;
    if (this.#isLive(entry)) this.#due.push(nowMs + entry.intervalMs, entry);
  }

  #startDue(nowMs: number, effects: ScheduleEffect[]): void {
    for (let top = this.#due.peek(); top !== undefined && top.atMs <= nowMs; top = this.#due.peek()) {
      this.#due.pop();
      if (this.#isLive(top.value)) this.#ready.push(top.value);
    }
    while (this.#running.size < this.#maxRunning) {
      const entry = this.#ready.shift();
      if (entry === undefined) return;
      if (!this.#isLive(entry)) continue;
      entry.run = ++this.#lastRun;
      this.#running.set(entry.run, entry);
      effects.push({ kind: 'start', id: entry.id, run: entry.run });
    }
  }

  #isLive(entry: Entry): boolean {
    return this.#entries.get(entry.id) === entry;
  }
}
