/** How much this node trusts its own timing (Lifeguard): 0 is healthy, each point makes it one probe interval more patient. */

export const AWARENESS_MAX_MULTIPLIER = 8;

/** Invariant: 0 ≤ `score` < `AWARENESS_MAX_MULTIPLIER`. */
export class Awareness {
  #score = 0;

  get score(): number {
    return this.#score;
  }

  apply(delta: number): void {
    this.#score = Math.min(AWARENESS_MAX_MULTIPLIER - 1, Math.max(0, this.#score + delta));
  }

  /** A timeout stretched by the present score. */
  scaled(timeoutMs: number): number {
    return timeoutMs * (this.#score + 1);
  }
}
