/** How long reads take: a high percentile of the recent ones, and agents that are far slower than the others. Pure. */

/** Answers looked back on. */
const WINDOW = 256;
/** Below this nothing is known. */
const MIN_SAMPLES = 64;
/** The percentile is found anew after so many. */
const REFRESH = 32;
const PERCENTILE = 0.95;

/** The recent latencies of one class of requests. */
export class RecentLatencies {
  readonly #ring = new Float64Array(WINDOW);
  #count = 0;
  #high: number | undefined;

  note(tookMs: number): void {
    this.#ring[this.#count % WINDOW] = tookMs;
    this.#count++;
    if (this.#count >= MIN_SAMPLES && this.#count % REFRESH === 0) this.#high = this.#percentile();
  }

  /** The 95th percentile, milliseconds; undefined while too few are known. */
  get highMs(): number | undefined {
    return this.#high;
  }

  #percentile(): number {
    const known = this.#ring.slice(0, Math.min(this.#count, WINDOW)).sort();
    return known[Math.floor(known.length * PERCENTILE)] ?? 0;
  }
}

/** Weight of a new latency in an agent's average. */
const ALPHA = 0.1;
/** Answers of an agent before it is judged. */
const MIN_JUDGED = 20;
/** All are judged after so many answers. */
const JUDGE_EVERY = 64;
/** Slower than the median by this factor and this much. */
const FACTOR = 5;
const MARGIN_MS = 50;

/** Tells agents whose reads take far longer than those of the rest. */
export class SlowAgents<Agent> {
  readonly #averages = new Map<Agent, { ms: number; count: number }>();
  #noted = 0;

  /** @returns the slowest agent when it is an outlier and was judged now; it starts anew afterwards */
  note(agent: Agent, tookMs: number): Agent | undefined {
    const known = this.#averages.get(agent) ?? { ms: tookMs, count: 0 };
    known.ms += (tookMs - known.ms) * ALPHA;
    known.count++;
    this.#averages.set(agent, known);
    return ++this.#noted % JUDGE_EVERY === 0 ? this.#judge() : undefined;
  }

  forget(agent: Agent): void {
    this.#averages.delete(agent);
  }

  #judge(): Agent | undefined {
    const judged = [...this.#averages].filter(([, { count }]) => count >= MIN_JUDGED);
    const sorted = judged.toSorted(([, a], [, b]) => a.ms - b.ms);
    const median = sorted[Math.floor((sorted.length - 1) / 2)]?.[1].ms;
    const slowest = sorted.at(-1);
    if (median === undefined || slowest === undefined || sorted.length < 3) return undefined;
    const isOutlier = slowest[1].ms > median * FACTOR && slowest[1].ms > median + MARGIN_MS;
    if (!isOutlier) return undefined;
    this.#averages.delete(slowest[0]);
    return slowest[0];
  }
}
