/** The gateway's own counters, printed in Prometheus' text format. */

import type { MetricFamily } from '../../shared/otlp-metrics.ts';

/** A family of counters with one label. Labels come from fixed sets, so that a family can't grow without bound. */
export interface Counter {
  add(label: string, by?: number): void;
  get(label: string): number;
}

export interface Counters {
  /** Answers to clients, by status class (`2xx` …). */
  readonly requests: Counter;
  /** Failed attempts, by kind. */
  readonly upstreamErrors: Counter;
  /** Attempts after the first, by what failed before. */
  readonly retries: Counter;
  /** Reads answered without an upstream request of their own, by `read` or `watch`. */
  readonly collapsed: Counter;
  /** Last-known-good answers: `stored`, `served`. */
  readonly stale: Counter;
  /** Reads answered from a kept-fresh view: `hit`. */
  readonly views: Counter;
  /** Reads asked of a second agent: `sent`, and of these those that it answered first: `won`. */
  readonly hedges: Counter;
  /** Agents left alone for a while, by why: `broken`, `silent`, `slow`. */
  readonly ejections: Counter;
  /** Requests refused with 429, by what was used up: `token`, `address`. */
  readonly limited: Counter;
  /** Requests and waits in progress. */
  inFlight: number;
}

/** A value that is read when the page is printed. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly values: readonly (readonly [label: string, value: number])[];
}

const FAMILIES = [
  ['requests', 'proconsul_gateway_requests_total', 'code', 'Answers to clients by status class.'],
  ['upstreamErrors', 'proconsul_gateway_upstream_errors_total', 'kind', 'Failed upstream attempts.'],
  ['retries', 'proconsul_gateway_retries_total', 'after', 'Upstream attempts after the first.'],
  ['collapsed', 'proconsul_gateway_collapsed_total', 'kind', 'Reads served by the request of another.'],
  ['hedges', 'proconsul_gateway_hedges_total', 'event', 'Reads asked of a second agent.'],
  ['ejections', 'proconsul_gateway_ejections_total', 'cause', 'Agents left alone for a while.'],
  ['limited', 'proconsul_gateway_rate_limited_total', 'by', 'Requests refused with 429.'],
  ['stale', 'proconsul_gateway_last_known_good_total', 'event', 'Last-known-good answers.'],
  ['views', 'proconsul_gateway_views_total', 'event', 'Reads answered from kept-fresh views.'],
] as const;

const values = new WeakMap<Counter, Map<string, number>>();

export function createCounters(): Counters {
  return {
    requests: counter(),
    upstreamErrors: counter(),
    retries: counter(),
    collapsed: counter(),
    stale: counter(),
    views: counter(),
    limited: counter(),
    hedges: counter(),
    ejections: counter(),
    inFlight: 0,
  };
}

/** Everything that is counted, as data. */
export function metricFamilies(counters: Counters, gauges: readonly Gauge[]): MetricFamily[] {
  const counted = FAMILIES.map(([key, name, label, help]): MetricFamily => {
    return { name, help, kind: 'sum', label, values: [...(values.get(counters[key]) ?? [])] };
  });
  const inFlight: MetricFamily = {
    name: 'proconsul_gateway_in_flight',
    help: 'Requests in progress.',
    kind: 'gauge',
    label: '',
    values: [['', counters.inFlight]],
  };
  const looked = gauges.map((gauge): MetricFamily => ({ ...gauge, kind: 'gauge', label: 'state' }));
  return [...counted, inFlight, ...looked];
}

/** Prometheus' text format. */
export function renderMetrics(families: readonly MetricFamily[]): string {
  const lines: string[] = [];
  for (const { help, kind, label, name, values: points } of families) {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind === 'sum' ? 'counter' : 'gauge'}`);
    for (const [text, value] of points)
      lines.push(label === '' ? `${name} ${value}` : `${name}{${label}="${text}"} ${value}`);
  }
  return `${lines.join('\n')}\n`;
}

function counter(): Counter {
  const byLabel = new Map<string, number>();
  const self: Counter = {
    add: (label, by = 1) => byLabel.set(label, (byLabel.get(label) ?? 0) + by),
    get: (label) => byLabel.get(label) ?? 0,
  };
  values.set(self, byLabel);
  return self;
}
