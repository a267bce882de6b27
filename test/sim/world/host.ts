/** A simulated machine: its clock runs at its own pace, its process can stop, pause and begin a new life. */

import type { Clock, Env, Timer } from '../../../shared/env.ts';
import { SeededRandom, type SimulatedClock } from '../../../shared/simulated-env.ts';

/**
 * Invariant: what was begun in one life of the process never runs in a later one; while the process is paused nothing
 * runs at all, and what came up meanwhile runs in its order once the pause is over.
 */
export class Host {
  readonly name: string;
  readonly ip: string;
  readonly #world: SimulatedClock;
  readonly #seeds: SeededRandom;
  /** Counts starts and ends of the process: odd while it runs. */
  #life = 0;
  /** Without power nobody answers, not even to say that nobody is there. */
  hasPower = true;
  #resumeAtMs = 0;
  #waiting: (() => void)[] = [];
  /** Milliseconds of this machine's monotonic clock per millisecond of the world. */
  #rate = 1;
  #rateSince = { worldMs: 0, ownMs: 0 };
  #wallOffsetMs = 0;

  constructor(name: string, ip: string, world: SimulatedClock, seeds: SeededRandom) {
    this.name = name;
    this.ip = ip;
    this.#world = world;
    this.#seeds = seeds;
  }

  get life(): number {
    return this.#life;
  }

  get isUp(): boolean {
    return this.#life % 2 === 1;
  }

  get isPaused(): boolean {
    return this.#world.monotonicMs() < this.#resumeAtMs;
  }

  /** A new process begins. @returns the time and randomness that it sees */
  boot(): Env {
    if (this.isUp) throw new Error(`${this.name} runs already`);
    this.#life++;
    this.hasPower = true;
    this.#resumeAtMs = 0;
    this.#waiting = [];
    return { clock: this.#clockOf(this.#life), random: new SeededRandom(this.#seeds.nextUint32()) };
  }

  /** The process is gone, and with it all that it had under way. */
  end(): void {
    if (!this.isUp) return;
    this.#life++;
    this.#waiting = [];
  }

  /** SIGSTOP for a while; time goes on. */
  pause(forMs: number): void {
    const untilMs = this.#world.monotonicMs() + forMs;
    if (untilMs <= this.#resumeAtMs) return;
    this.#resumeAtMs = untilMs;
    this.#world.setTimer(forMs, () => this.#resume());
  }

  /** Runs it in the process, now or when the pause is over; not at all in another life. */
  run(life: number, action: () => void): void {
    if (life !== this.#life) return;
    if (this.isPaused || this.#waiting.length > 0) this.#waiting.push(action);
    else action();
  }

  /** @param error relative error of the clock's pace, such as 0.04 for one that runs 4 % fast */
  skew(error: number): void {
    const worldMs = this.#world.monotonicMs();
    this.#rateSince = { worldMs, ownMs: this.#monotonicMs() };
    this.#rate = 1 + error;
  }

  /** The wall clock jumps; the monotonic one does not. */
  jump(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  #monotonicMs(): number {
    const { worldMs, ownMs } = this.#rateSince;
    return ownMs + (this.#world.monotonicMs() - worldMs) * this.#rate;
  }

  #clockOf(life: number): Clock {
    return {
      nowMs: () => Math.floor(this.#world.nowMs() + this.#wallOffsetMs),
      monotonicMs: () => this.#monotonicMs(),
      setTimer: (delayMs, fire) => this.#timer(life, delayMs, fire),
    };
  }

  #timer(life: number, delayMs: number, fire: () => void): Timer {
    let isCancelled = false;
    const timer = this.#world.setTimer(Math.max(0, delayMs) / this.#rate, () =>
      this.run(life, () => {
        // It may have been cancelled by what ran before it when a pause was over.
        if (!isCancelled) fire();
      }),
    );
    return {
      cancel: () => {
        isCancelled = true;
        timer.cancel();
      },
    };
  }

  /** One after the other, so that each has its turn of the event loop to itself. */
  #resume(): void {
    if (this.isPaused) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    next();
    if (this.#waiting.length > 0) this.#world.setTimer(0, () => this.#resume());
  }
}
