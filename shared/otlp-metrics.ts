/** Sends metrics to an OpenTelemetry collector as OTLP over HTTP in its JSON form, without the SDK. */

import type { Clock, Timer } from './env.ts';

/** One metric with one label; `sum` only rises. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly kind: 'sum' | 'gauge';
  /** '' when its only value has no label. */
  readonly label: string;
  readonly values: readonly (readonly [label: string, value: number])[];
}

export interface MetricsExportOptions {
  /** As in `OTEL_EXPORTER_OTLP_ENDPOINT`; `/v1/metrics` is added. */
  readonly endpoint: string;
  /** As in `OTEL_EXPORTER_OTLP_HEADERS`: `name=value,name=value`, values percent-encoded. */
  readonly headers: string;
  readonly serviceName: string;
  readonly instance: string;
  readonly intervalMs: number;
  readonly collect: () => readonly MetricFamily[];
  readonly clock: Clock;
  readonly onError: (reason: string) => void;
  /** The runtime's own unless a test brings another. */
  readonly fetch?: typeof fetch;
}

export interface MetricsExport {
  /** Sends once more, within 3 s. Never rejects. */
  stop(): Promise<void>;
}

export const DEFAULT_METRIC_INTERVAL_MS = 60_000;
const SEND_LIMIT_MS = 3000;

/** Sends what there is every interval, one request at a time. Told of failures once, until it works again. */
export function startMetricsExport(options: MetricsExportOptions): MetricsExport {
  const { clock } = options;
  const startMs = clock.nowMs();
  let timer: Timer | undefined;
  let isStopped = false;
  let isFailing = false;

  const send = async (): Promise<void> => {
    const problem = await post(options, metricsJson(options, startMs));
    if (problem !== undefined && !isFailing) options.onError(problem);
    isFailing = problem !== undefined;
  };
  const schedule = () => {
    timer = clock.setTimer(options.intervalMs, () => {
      void send().then(() => {
        if (!isStopped) schedule();
      });
    });
  };
  schedule();
  return {
    stop: async () => {
      isStopped = true;
      timer?.cancel();
      await send();
    },
  };
}

/** @returns why it failed; undefined when it didn't */
async function post(options: MetricsExportOptions, body: string): Promise<string | undefined> {
  const call = options.fetch ?? fetch;
  const controller = new AbortController();
  const limit = options.clock.setTimer(SEND_LIMIT_MS, () => controller.abort(new Error('no answer in time')));
  try {
    const response = await call(`${options.endpoint.replace(/\/+$/, '')}/v1/metrics`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...parseHeaders(options.headers) },
      body,
      signal: controller.signal,
    });
    await response.arrayBuffer();
    return response.ok ? undefined : `the collector answered ${response.status}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    limit.cancel();
  }
}

function parseHeaders(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.split('=', 2));
  const named = pairs.filter(([name = '', value]) => name.trim() !== '' && value !== undefined);
  return Object.fromEntries(named.map(([name = '', value = '']) => [name.trim(), unescaped(value.trim())]));
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not escaped after all: it is sent as it stands.
    return text;
  }
}

/** 2: cumulative, counted since the start. */
const CUMULATIVE = 2;

function metricsJson({ clock, collect, instance, serviceName }: MetricsExportOptions, startMs: number) {
  const times = { startTimeUnixNano: nanos(startMs), timeUnixNano: nanos(clock.nowMs()) };
  const metrics = collect().map(({ help, kind, label, name, values }) => {
    const dataPoints = values.map(([text, value]) => ({
      ...times,
      attributes: label === '' ? [] : [attribute(label, text)],
      asDouble: value,
    }));
    const shape =
      kind === 'gauge'
        ? { gauge: { dataPoints } }
        : { sum: { dataPoints, aggregationTemporality: CUMULATIVE, isMonotonic: true } };
    return { name, description: help, ...shape };
  });
  const resource = {
    attributes: [attribute('service.name', serviceName), attribute('service.instance.id', instance)],
  };
  const scopeMetrics = [{ scope: { name: serviceName }, metrics }];
  return JSON.stringify({ resourceMetrics: [{ resource, scopeMetrics }] });
}

function attribute(key: string, stringValue: string) {
  return { key, value: { stringValue } };
}

function nanos(ms: number): string {
  return `${Math.round(ms)}000000`;
}
