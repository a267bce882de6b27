/** An `Env` whose time moves only when told to and whose randomness comes from a seed. */

import type { Clock, Env, Random } from './env.ts';

interface PendingTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/**
 * Invariant: `pending` is a binary heap by (dueMs, order), so timers fire in due order and, when due together,
 * in the order in which they were set; cancelled entries stay until they surface.
 */
export class SimulatedClock implements Clock {
  #elapsedMs = 0;
  #order = 0;
  readonly #startWallMs: number;
  readonly #pending: PendingTimer[] = [];
  readonly #cancelled = new Set<PendingTimer>();

  constructor(startWallMs = 1_700_000_000_000) {
    this.#startWallMs = startWallMs;
  }

  nowMs(): number {
    return this.#startWallMs + Math.floor(this.#elapsedMs);
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  setTimer(delayMs: number, fire: () => void): { cancel(): void } {
    const timer = { dueMs: this.#elapsedMs + Math.max(0, delayMs), order: this.#order++, fire };
    push(this.#pending, timer);
    return { cancel: () => this.#cancelled.add(timer) };
  }

  /** When the next timer is due, in `monotonicMs` terms; undefined when none is set. */
  nextDueMs(): number | undefined {
    this.#dropCancelled();
    return this.#pending[0]?.dueMs;
  }

  /** Moves to the next due timer and fires it. Returns false when none is set. */
  fireNext(): boolean {
    this.#dropCancelled();
    const timer = pop(this.#pending);
    if (timer === undefined) return false;
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.dueMs);
    timer.fire();
    return true;
  }

  /** Fires everything due within `ms` from now, in order, then stands at now + `ms`. Does not run promise jobs between. */
  advance(ms: number): void {
    const target = this.#elapsedMs + ms;
    for (let due = this.nextDueMs(); due !== undefined && due <= target; due = this.nextDueMs())
      this.fireNext();
    this.#elapsedMs = target;
  }

  /** As `advance`, but lets promise jobs run before each timer and at the end. */
  async advanceAsync(ms: number): Promise<void> {
    const target = this.#elapsedMs + ms;
    await settle();
    for (let due = this.nextDueMs(); due !== undefined && due <= target; due = this.nextDueMs()) {
      this.fireNext();
      await settle();
    }
    this.#elapsedMs = target;
  }

  #dropCancelled(): void {
    for (let top = this.#pending[0]; top !== undefined && this.#cancelled.has(top); top = this.#pending[0]) {
      this.#cancelled.delete(top);
      pop(this.#pending);
    }
  }
}

/** A reproducible random source (PCG-XSH-RR 64/32, O'Neill 2014). Equal seeds give equal sequences. */
export class SeededRandom implements Random {
  #state: bigint;

  constructor(seed: number | bigint) {
    this.#state = (BigInt(seed) * 2n + 1n) & 0xffff_ffff_ffff_ffffn;
    this.nextUint32();
    this.nextUint32();
  }

  nextUint32(): number {
    const old = this.#state;
    this.#state = (old * 6364136223846793005n + 1442695040888963407n) & 0xffff_ffff_ffff_ffffn;
    const shifted = Number((((old >> 18n) ^ old) >> 27n) & 0xffff_ffffn);
    const rotation = Number(old >> 59n);
    return ((shifted >>> rotation) | (shifted << (-rotation & 31))) >>> 0;
  }

  next(): number {
    return this.nextUint32() / 2 ** 32;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.nextUint32() & 0xff);
  }
}

export interface SimulatedEnv extends Env {
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
}

export function simulatedEnv(seed: number): SimulatedEnv {
  return { clock: new SimulatedClock(), random: new SeededRandom(seed) };
}

/** Lets promise jobs that are already queued, and those they queue, run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await undefined;
}

function isBefore(a: PendingTimer, b: PendingTimer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

function push(heap: PendingTimer[], timer: PendingTimer): void {
  let at = heap.length;
  heap.push(timer);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] as PendingTimer;
    if (!isBefore(timer, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = timer;
}

function pop(heap: PendingTimer[]): PendingTimer | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (top === undefined || last === undefined || heap.length === 0) return top;
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    if (left >= heap.length) break;
    const right = left + 1;
    const child =
      right < heap.length && isBefore(heap[right] as PendingTimer, heap[left] as PendingTimer) ? right : left;
    if (!isBefore(heap[child] as PendingTimer, last)) break;
    heap[at] = heap[child] as PendingTimer;
    at = child;
  }
  heap[at] = last;
  return top;
}
