/** Counters, samples and gauges in intervals of ten seconds, as `/v1/agent/metrics` shows them (reference: telemetry). */

import type { Clock, Timer } from './env.ts';

export const INTERVAL_MS = 10_000;

const SHORTEST_MS = 500;

/** The newest samples that quantiles are made of. */
const RECENT_SAMPLES = 512;

export interface MetricsFilter {
  /** Entries `+name.prefix` or `-name.prefix`; the longest that fits decides. */
  readonly prefixFilter?: readonly string[];
  /** What happens to names that no entry fits; default true: they are shown. */
  readonly isKeptByDefault?: boolean;
}

export interface MetricsOptions extends MetricsFilter {
  /** First part of every name; default `consul`. */
  readonly prefix?: string;
  /** Second part of the names of gauges; '' or undefined leaves it out. */
  readonly hostname?: string | undefined;
  /** How long Prometheus is shown what is no longer updated; 0, the default, means that it is shown nothing. */
  readonly prometheusRetentionMs?: number;
}

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
interface Totals {
  count: number;
  sum: number;
  sumOfSquares: number;
  min: number;
  max: number;
}

export interface GaugeRow {
  readonly Name: string;
  readonly Value: number;
  readonly Labels: Readonly<Record<string, string>>;
}

/** `Rate` is per second. */
export interface SampleRow {
  readonly Name: string;
  readonly Count: number;
  readonly Rate: number;
  readonly Sum: number;
  readonly Min: number;
  readonly Max: number;
  readonly Mean: number;
  readonly Stddev: number;
  readonly Labels: Readonly<Record<string, string>>;
}

export interface MetricsReport {
  /** `2026-11-21 06:06:30 +0000 UTC`, the beginning of the interval. */
  readonly Timestamp: string;
  readonly Gauges: readonly GaugeRow[];
  readonly Points: readonly never[];
  readonly Counters: readonly SampleRow[];
  readonly Samples: readonly SampleRow[];
}

/**
 * All metrics of one agent.
 *
 * Invariant: `#finished` is the report of the interval before the one that is being filled, once there is one.
 */
export class Metrics {
  readonly #options: MetricsOptions;
  #filter: MetricsFilter;
  readonly #counters = new Map<string, Series>();
  readonly #samples = new Map<string, Series>();
  readonly #gauges = new Map<string, GaugeSeries>();
  readonly #collectors: (() => void)[] = [];
  #clock: Clock | undefined;
  #startedAtMs = 0;
  #finished: MetricsReport | undefined;

  constructor(options: MetricsOptions = {}) {
    this.#options = options;
    this.#filter = options;
  }

  /** Shows other names from now on; what was counted before stays counted. */
  setFilter(filter: MetricsFilter): void {
    this.#filter = filter;
    const all: readonly ReadonlyMap<string, Series | GaugeSeries>[] = [
      this.#counters,
      this.#samples,
      this.#gauges,
    ];
    for (const map of all) for (const series of map.values()) series.isKept = this.#isKept(series.filterName);
  }

  /** @param name without the prefix, such as `raft.apply` */
  counter(name: string): Counter {
    return this.#series(this.#counters, name, false);
  }

  sample(name: string): Sample {
    return this.#series(this.#samples, name, this.isPrometheusOn);
  }

  gauge(name: string): Gauge {
    const { hostname } = this.#options;
    const full = this.#fullName(hostname === undefined || hostname === '' ? name : `${hostname}.${name}`);
    const known = this.#gauges.get(full);
    if (known !== undefined) return known;
    const filterName = this.#fullName(name);
    const gauge = new GaugeSeries(filterName, this.#isKept(filterName));
    this.#gauges.set(full, gauge);
    return gauge;
  }

  /** Has `collect` called before each interval ends, to set what is only known by looking. */
  onCollect(collect: () => void): void {
    this.#collectors.push(collect);
  }

  get isPrometheusOn(): boolean {
    return (this.#options.prometheusRetentionMs ?? 0) > 0;
  }

  /** Begins the intervals, at multiples of ten seconds of the wall clock. @returns ends them */
  start(clock: Clock): () => void {
    this.#clock = clock;
    this.#startedAtMs = clock.nowMs();
    let timer: Timer | undefined;
    const next = () => {
      const leftMs = INTERVAL_MS - (clock.nowMs() % INTERVAL_MS);
      // A timer that fired a little early must not end the next interval at once.
      timer = clock.setTimer(leftMs < SHORTEST_MS ? leftMs + INTERVAL_MS : leftMs, () => {
        this.#finishInterval(clock);
        next();
      });
    };
    next();
    return () => timer?.cancel();
  }

  /** The last finished interval; in the first ten seconds, what there is so far. */
  report(): MetricsReport {
    if (this.#finished !== undefined) return this.#finished;
    this.#collect();
    return this.#current(this.#startedAtMs);
  }

  /** The text form, version 0.0.4. Counts and sums are since the start, quantiles of the newest samples. */
  prometheusText(): string {
    this.#collect();
    const blocks: string[] = [];
    const oldestMs = (this.#clock?.nowMs() ?? 0) - (this.#options.prometheusRetentionMs ?? 0);
    const each = <S extends GaugeSeries | Series>(
      map: ReadonlyMap<string, S>,
      type: string,
      lines: (name: string, series: S) => string[],
    ) => {
      for (const [full, series] of sorted(map)) {
        if (!series.isKept || series.isUnused || series.lastUpdateMs < oldestMs) continue;
        const name = full.replace(/[^a-zA-Z0-9_]/g, '_');
        blocks.push(`# HELP ${name} ${name}`, `# TYPE ${name} ${type}`, ...lines(name, series));
      }
    };
    each(this.#gauges, 'gauge', (name, gauge) => [`${name} ${gauge.value}`]);
    each(this.#counters, 'counter', (name, counter) => [`${name} ${counter.allSum}`]);
    each(this.#samples, 'summary', (name, sample) => [
      ...QUANTILES.map((q) => `${name}{quantile="${q}"} ${sample.quantile(q)}`),
      `${name}_sum ${sample.allSum}`,
      `${name}_count ${sample.allCount}`,
    ]);
    return blocks.map((line) => `${line}\n`).join('');
  }

  #finishInterval(clock: Clock): void {
    this.#collect();
    const nowMs = clock.nowMs();
    // The timer fires at the end of the interval or shortly after.
    this.#finished = this.#current(nowMs - INTERVAL_MS / 2);
    for (const series of [...this.#counters.values(), ...this.#samples.values()]) series.finish(nowMs);
    for (const gauge of this.#gauges.values()) gauge.finish(nowMs);
  }

  #collect(): void {
    for (const collect of this.#collectors) collect();
  }

  #current(atMs: number): MetricsReport {
    const rows = (map: ReadonlyMap<string, Series>) =>
      sorted(map).flatMap(([name, { totals, isKept }]) =>
        totals.count === 0 || !isKept ? [] : [sampleRow(name, totals)],
      );
    return {
      Timestamp: timestamp(Math.floor(atMs / INTERVAL_MS) * INTERVAL_MS),
      Gauges: sorted(this.#gauges).flatMap(([Name, gauge]) =>
        gauge.isUnused || !gauge.isKept ? [] : [{ Name, Value: gauge.value, Labels: {} }],
      ),
      Points: [],
      Counters: rows(this.#counters),
      Samples: rows(this.#samples),
    };
  }

  #series(map: Map<string, Series>, name: string, keepsRecent: boolean): Series {
    const full = this.#fullName(name);
    const known = map.get(full);
    if (known !== undefined) return known;
    const series = new Series(full, this.#isKept(full), keepsRecent);
    map.set(full, series);
    return series;
  }

  #fullName(name: string): string {
    return `${this.#options.prefix ?? 'consul'}.${name}`;
  }

  #isKept(name: string): boolean {
    let best: string | undefined;
    for (const entry of this.#filter.prefixFilter ?? []) {
      if (name.startsWith(entry.slice(1)) && entry.length > (best?.length ?? 0)) best = entry;
    }
    return best === undefined ? (this.#filter.isKeptByDefault ?? true) : best.startsWith('+');
  }
}

const QUANTILES = [0.5, 0.9, 0.99];

/** Invariant: `totals` are of the interval under way, `allCount` and `allSum` since the start. */
class Series implements Counter, Sample {
  totals: Totals = emptyTotals();
  lastUpdateMs = Number.POSITIVE_INFINITY;
  /** The name that filters look at. */
  readonly filterName: string;
  isKept: boolean;
  readonly #recent: Float64Array | undefined;
  #recentCount = 0;
  #finishedCount = 0;
  #finishedSum = 0;

  constructor(filterName: string, isKept: boolean, keepsRecent: boolean) {
    this.filterName = filterName;
    this.isKept = isKept;
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

class GaugeSeries implements Gauge {
  value = 0;
  isUnused = true;
  lastUpdateMs = Number.POSITIVE_INFINITY;
  readonly filterName: string;
  isKept: boolean;
  #isSet = false;

  constructor(filterName: string, isKept: boolean) {
    this.filterName = filterName;
    this.isKept = isKept;
  }

  set(value: number): void {
    this.value = value;
    this.isUnused = false;
    this.#isSet = true;
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

function sampleRow(name: string, { count, max, min, sum, sumOfSquares }: Totals): SampleRow {
  const variance = count < 2 ? 0 : (count * sumOfSquares - sum * sum) / (count * (count - 1));
  return {
    Name: name,
    Count: count,
    Rate: sum / (INTERVAL_MS / 1000),
    Sum: sum,
    Min: min,
    Max: max,
    Mean: sum / count,
    Stddev: Math.sqrt(Math.max(0, variance)),
    Labels: {},
  };
}

function sorted<S>(map: ReadonlyMap<string, S>): [string, S][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}
