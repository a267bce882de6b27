/** What a recorder writes down: one operation of one client, when it was asked and when its answer came. */

/** Times are on one clock, in any unit, and only compared: an operation that ends before another starts precedes it. */
export interface Operation<I, O> {
  readonly client: number;
  readonly key: string;
  readonly input: I;
  /** undefined: outcome unknown, may take effect at any time after `start` or never */
  readonly output: O | undefined;
  readonly start: number;
  /** Infinity when unknown. */
  readonly end: number;
}
