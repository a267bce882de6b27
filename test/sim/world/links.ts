/** The wires between simulated machines: what gets through, how late, and in which direction not at all. */

import type { Random } from '../../../shared/env.ts';

export interface Weather {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** Each 0–1, of single messages. What TCP carries comes late instead of never. */
  readonly loss: number;
  readonly duplication: number;
  /** Whether messages that do not share a stream, and messages of Raft, may overtake each other. */
  readonly reordering: boolean;
}

export const CALM: Weather = { minDelayMs: 0.2, maxDelayMs: 0.8, loss: 0, duplication: 0, reordering: false };

/** How long a sender waits before it sends a lost segment again; every further time as long. */
export const RETRANSMIT_MS = 200;

/** Invariant: a direction is cut as often as it was cut and not healed, so that cuts may overlap. */
export class Links {
  readonly random: Random;
  weather: Weather = CALM;
  readonly #cuts = new Map<string, number>();
  readonly #clogs = new Map<string, number>();

  constructor(random: Random) {
    this.random = random;
  }

  cut(from: string, to: string): void {
    this.#change(this.#cuts, `${from}>${to}`, 1);
  }

  mend(from: string, to: string): void {
    this.#change(this.#cuts, `${from}>${to}`, -1);
  }

  /** Everything in this direction takes so much longer. */
  clog(from: string, to: string, extraMs: number): void {
    this.#change(this.#clogs, `${from}>${to}`, extraMs);
  }

  isCut(from: string, to: string): boolean {
    return (this.#cuts.get(`${from}>${to}`) ?? 0) > 0;
  }

  isWhole(a: string, b: string): boolean {
    return !this.isCut(a, b) && !this.isCut(b, a);
  }

  /** How long one message takes, milliseconds. */
  delayMs(from: string, to: string): number {
    const { minDelayMs, maxDelayMs } = this.weather;
    const clogMs = this.#clogs.get(`${from}>${to}`) ?? 0;
    return minDelayMs + this.random.next() * (maxDelayMs - minDelayMs) + clogMs;
  }

  /** As `delayMs`, for what is sent again until it arrives. */
  reliableDelayMs(from: string, to: string): number {
    let delayMs = this.delayMs(from, to);
    for (let i = 0; i < 5 && this.isLost(); i++) delayMs += RETRANSMIT_MS;
    return delayMs;
  }

  isLost(): boolean {
    const { loss } = this.weather;
    return loss > 0 && this.random.next() < loss;
  }

  isDuplicated(): boolean {
    const { duplication } = this.weather;
    return duplication > 0 && this.random.next() < duplication;
  }

  #change(counts: Map<string, number>, link: string, by: number): void {
    const count = (counts.get(link) ?? 0) + by;
    if (count > 0) counts.set(link, count);
    else counts.delete(link);
  }
}
