/** Join and leave intents about members not known yet: they may arrive before the member does. */

const EXPIRY_MS = 5 * 60_000;
/** Names remembered at most: a bound against a flood of invented ones. */
const MAX_NAMES = 16_384;

interface Intent {
  readonly type: 'join' | 'leave';
  readonly lTime: bigint;
  readonly heardAtMs: number;
}

/** Invariant: at most one intent a name, the newest heard, and at most `MAX_NAMES` of them, oldest first. */
export class RecentIntents {
  readonly #byName = new Map<string, Intent>();

  /** @returns whether it is news: newer than any intent remembered for the name */
  remember(name: string, type: 'join' | 'leave', lTime: bigint, nowMs: number): boolean {
    const known = this.#byName.get(name);
    if (known !== undefined && lTime <= known.lTime) return false;
    this.#byName.delete(name);
    this.#byName.set(name, { type, lTime, heardAtMs: nowMs });
    if (this.#byName.size > MAX_NAMES) {
      const oldest = this.#byName.keys().next();
      if (!oldest.done) this.#byName.delete(oldest.value);
    }
    return true;
  }

  get(name: string): Intent | undefined {
    return this.#byName.get(name);
  }

  expire(nowMs: number): void {
    for (const [name, intent] of this.#byName) {
      if (nowMs - intent.heardAtMs > EXPIRY_MS) this.#byName.delete(name);
    }
  }
}
