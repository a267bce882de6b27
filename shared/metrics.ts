/** Counters, samples and gauges in intervals of ten seconds, as `/v1/agent/metrics` shows them (reference: telemetry). */

import type { Clock, Timer } from './env.ts';
import {
  type Counter,
  type Emit,
  type Gauge,
  GaugeSeries,
  type Labels,
  type MetricIdentity,
  type MetricsSink,
  type Sample,
  Series,
  type Totals,
} from './metrics-series.ts';

export type { Counter, Gauge, Labels, MetricIdentity, MetricsSink, Sample } from './metrics-series.ts';

export const INTERVAL_MS = 10_000;

const SHORTEST_MS = 500;

/** Finished intervals that are kept: the last minute. */
const KEPT_REPORTS = 6;

const NO_LABELS: Labels = {};

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

export interface GaugeRow {
  readonly Name: string;
  readonly Value: number;
  readonly Labels: Labels;
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
  readonly Labels: Labels;
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
 * Invariant: `#finished` holds the reports of the newest finished intervals, oldest first.
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
  #finished: readonly MetricsReport[] = [];
  #sink: MetricsSink | undefined;

  constructor(options: MetricsOptions = {}) {
    this.#options = options;
    this.#filter = options;
  }

  /** Shows other names from now on; what was counted before stays counted. */
  setFilter(filter: MetricsFilter): void {
    this.#filter = filter;
    for (const map of [this.#counters, this.#samples, this.#gauges])
      for (const series of map.values()) series.isKept = this.#isKept(series.identity.plainName);
  }

  /** Tells it every number from now on. */
  setSink(sink: MetricsSink): void {
    this.#sink = sink;
    for (const counter of this.#counters.values()) counter.emit = counterOf(sink);
    for (const sample of this.#samples.values()) sample.emit = sampleOf(sink);
    for (const gauge of this.#gauges.values()) gauge.emit = gaugeOf(sink);
  }

  /** @param name without the prefix, such as `raft.apply` */
  counter(name: string, labels: Labels = NO_LABELS): Counter {
    return this.#series(this.#counters, name, labels, counterOf(this.#sink), false);
  }

  sample(name: string, labels: Labels = NO_LABELS): Sample {
    return this.#series(this.#samples, name, labels, sampleOf(this.#sink), this.isPrometheusOn);
  }

  gauge(name: string): Gauge {
    const { hostname } = this.#options;
    const full = this.#fullName(hostname === undefined || hostname === '' ? name : `${hostname}.${name}`);
    const known = this.#gauges.get(full);
    if (known !== undefined) return known;
    const plainName = this.#fullName(name);
    const identity = { name: full, plainName, labels: NO_LABELS };
    const gauge = new GaugeSeries(identity, this.#isKept(plainName), gaugeOf(this.#sink));
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
    const newest = this.#finished.at(-1);
    if (newest !== undefined) return newest;
    this.#collect();
    return this.#current(this.#startedAtMs);
  }

  /** The finished intervals of the last minute, oldest first. */
  reports(): readonly MetricsReport[] {
    return this.#finished;
  }

  /** The text form, version 0.0.4. Counts and sums are since the start, quantiles of the newest samples. */
  prometheusText(): string {
    this.#collect();
    const blocks: string[] = [];
    const oldestMs = (this.#clock?.nowMs() ?? 0) - (this.#options.prometheusRetentionMs ?? 0);
    const each = <S extends GaugeSeries | Series>(
      map: ReadonlyMap<string, S>,
      type: string,
      lines: (name: string, labels: Labels, series: S) => string[],
    ) => {
      let previous = '';
      for (const series of sorted(map)) {
        if (!series.isKept || series.isUnused || series.lastUpdateMs < oldestMs) continue;
        const name = series.identity.name.replace(/[^a-zA-Z0-9_]/g, '_');
        if (name !== previous) blocks.push(`# HELP ${name} ${name}`, `# TYPE ${name} ${type}`);
        blocks.push(...lines(name, series.identity.labels, series));
        previous = name;
      }
    };
    each(this.#gauges, 'gauge', (name, _, gauge) => [`${name} ${gauge.value}`]);
    each(this.#counters, 'counter', (name, labels, counter) => [
      `${name}${inBraces(labels)} ${counter.allSum}`,
    ]);
    each(this.#samples, 'summary', (name, labels, sample) => [
      ...QUANTILES.map((q) => `${name}${inBraces({ ...labels, quantile: String(q) })} ${sample.quantile(q)}`),
      `${name}_sum${inBraces(labels)} ${sample.allSum}`,
      `${name}_count${inBraces(labels)} ${sample.allCount}`,
    ]);
    return blocks.map((line) => `${line}\n`).join('');
  }

  #finishInterval(clock: Clock): void {
    this.#collect();
    const nowMs = clock.nowMs();
    // The timer fires at the end of the interval or shortly after.
    this.#finished = [...this.#finished, this.#current(nowMs - INTERVAL_MS / 2)].slice(-KEPT_REPORTS);
    for (const series of [...this.#counters.values(), ...this.#samples.values()]) series.finish(nowMs);
    for (const gauge of this.#gauges.values()) gauge.finish(nowMs);
  }

  #collect(): void {
    for (const collect of this.#collectors) collect();
  }

  #current(atMs: number): MetricsReport {
    const rows = (map: ReadonlyMap<string, Series>) =>
      sorted(map).flatMap(({ identity, totals, isKept }) =>
        totals.count === 0 || !isKept ? [] : [sampleRow(identity, totals)],
      );
    return {
      Timestamp: timestamp(Math.floor(atMs / INTERVAL_MS) * INTERVAL_MS),
      Gauges: sorted(this.#gauges).flatMap(({ identity, value, isUnused, isKept }) =>
        isUnused || !isKept ? [] : [{ Name: identity.name, Value: value, Labels: {} }],
      ),
      Points: [],
      Counters: rows(this.#counters),
      Samples: rows(this.#samples),
    };
  }

  #series(
    map: Map<string, Series>,
    name: string,
    labels: Labels,
    emit: Emit | undefined,
    keepsRecent: boolean,
  ): Series {
    const full = this.#fullName(name);
    const key = Object.entries(labels).reduce((start, [label, value]) => `${start};${label}=${value}`, full);
    const known = map.get(key);
    if (known !== undefined) return known;
    const identity = { name: full, plainName: full, labels };
    const series = new Series(identity, this.#isKept(full), emit, keepsRecent);
    map.set(key, series);
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

function sampleRow(
  { name, labels }: MetricIdentity,
  { count, max, min, sum, sumOfSquares }: Totals,
): SampleRow {
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
    Labels: labels,
  };
}

function sorted<S>(map: ReadonlyMap<string, S>): S[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, series]) => series);
}

/** Prometheus' form of labels; nothing for none. */
function inBraces(labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function counterOf(sink: MetricsSink | undefined): Emit | undefined {
  return sink && ((metric, amount) => sink.counter(metric, amount));
}

function sampleOf(sink: MetricsSink | undefined): Emit | undefined {
  return sink && ((metric, value) => sink.sample(metric, value));
}

function gaugeOf(sink: MetricsSink | undefined): Emit | undefined {
  return sink && ((metric, value) => sink.gauge(metric, value));
}

function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}
