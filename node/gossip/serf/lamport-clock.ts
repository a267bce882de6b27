/** A Lamport clock: orders what cannot be ordered by wall time. */

const MAX_TIME = 0xffff_ffff_ffff_ffffn;

/** Invariant: `time` never decreases and stays below 2^64. */
export class LamportClock {
  #time: bigint;

  constructor(time = 1n) {
    this.#time = time;
  }

  get time(): bigint {
    return this.#time;
  }

  increment(): void {
    if (this.#time < MAX_TIME) this.#time += 1n;
  }

  /** Moves past a time seen elsewhere. The very last value is ignored: nothing could come after it. */
  witness(seen: bigint): void {
    if (seen >= this.#time && seen < MAX_TIME) this.#time = seen + 1n;
  }
}
