/** One metric each: what is counted, under which name and labels, and who hears of it at once. */

/** The newest samples that quantiles are made of. */
const RECENT_SAMPLES = 512;

export type Labels = Readonly<Record<string, string>>;

/** What tells one metric from another; the same object every time. */
export interface MetricIdentity {
  /** With prefix, and for gauges with the host's name: `consul.n1.raft.applied_index`. */
  readonly name: string;
  /** Without the host's name; filters look at this. */
  readonly plainName: string;
  readonly labels: Labels;
}

/** Is told of every number as it comes; what a filter hides is left out. */
export interface MetricsSink {
  counter(metric: MetricIdentity, amount: number): void;
  sample(metric: MetricIdentity, value: number): void;
  gauge(metric: MetricIdentity, value: number): void;
}

export type Emit = (metric: MetricIdentity, value: number) => void;

/** Adding to one costs a few additions: handles are made once and kept. */
export interface Counter {
  /** @param amount default 1 */
  add(amount?: number): void;
}

export interface Sample {
  add(value: number): void;
}

export interface Gauge {
  set(value: number): void;
  /** It has no value for now, and is not shown. */
  clear(): void;
}

/** Numbers of one interval. */
export interface Totals {
  count: number;
  sum: number;
  sumOfSquares: number;
  min: number;
  max: number;
}

/** Invariant: `totals` are of the interval under way, `allCount` and `allSum` since the start. */
export class Series implements Counter, Sample {
  totals: Totals = emptyTotals();
  lastUpdateMs = Number.POSITIVE_INFINITY;
  readonly identity: MetricIdentity;
  isKept: boolean;
  emit: Emit | undefined;
  readonly #recent: Float64Array | undefined;
  #recentCount = 0;
  #finishedCount = 0;
  #finishedSum = 0;

  constructor(identity: MetricIdentity, isKept: boolean, emit: Emit | undefined, keepsRecent: boolean) {
    this.identity = identity;
    this.isKept = isKept;
    this.emit = emit;
    this.#recent = keepsRecent ? new Float64Array(RECENT_SAMPLES) : undefined;
  }

  get isUnused(): boolean {
    return this.allCount === 0;
  }

  get allCount(): number {
    return this.#finishedCount + this.totals.count;
  }

  get allSum(): number {
    return this.#finishedSum + this.totals.sum;
  }

  add(value = 1): void {
    const { totals } = this;
    totals.count++;
    totals.sum += value;
    totals.sumOfSquares += value * value;
    if (value < totals.min) totals.min = value;
    if (value > totals.max) totals.max = value;
    if (this.#recent !== undefined) this.#recent[this.#recentCount++ % RECENT_SAMPLES] = value;
    if (this.emit !== undefined && this.isKept) this.emit(this.identity, value);
  }

  finish(nowMs: number): void {
    if (this.totals.count === 0) {
      // Nothing new in a whole interval: quantiles of what was long ago would mislead.
      this.#recentCount = 0;
      return;
    }
    this.lastUpdateMs = nowMs;
    this.#finishedCount += this.totals.count;
    this.#finishedSum += this.totals.sum;
    this.totals = emptyTotals();
  }

  quantile(q: number): number {
    const values = this.#recent?.slice(0, Math.min(this.#recentCount, RECENT_SAMPLES)).sort();
    if (values === undefined || values.length === 0) return Number.NaN;
    return values[Math.min(values.length - 1, Math.floor(q * values.length))] ?? Number.NaN;
  }
}

export class GaugeSeries implements Gauge {
  value = 0;
  isUnused = true;
  lastUpdateMs = Number.POSITIVE_INFINITY;
  readonly identity: MetricIdentity;
  isKept: boolean;
  emit: Emit | undefined;
  #isSet = false;

  constructor(identity: MetricIdentity, isKept: boolean, emit: Emit | undefined) {
    this.identity = identity;
    this.isKept = isKept;
    this.emit = emit;
  }

  set(value: number): void {
    this.value = value;
    this.isUnused = false;
    this.#isSet = true;
    if (this.emit !== undefined && this.isKept) this.emit(this.identity, value);
  }

  clear(): void {
    this.isUnused = true;
  }

  finish(nowMs: number): void {
    if (this.#isSet) this.lastUpdateMs = nowMs;
    this.#isSet = false;
  }
}

function emptyTotals(): Totals {
  return {
    count: 0,
    sum: 0,
    sumOfSquares: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
  };
}
