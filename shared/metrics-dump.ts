/** The text that SIGUSR1 prints: one line a metric and interval, in the form of Consul's in-memory sink. */

import type { Labels, MetricsReport, SampleRow } from './metrics.ts';

/** @param reports finished intervals, oldest first */
export function metricsDump(reports: readonly MetricsReport[]): string {
  return reports.flatMap(linesOf).join('');
}

function linesOf({ Timestamp, Gauges, Counters, Samples }: MetricsReport): string[] {
  const line = (kind: 'G' | 'C' | 'S', name: string, labels: Labels, numbers: string) =>
    `[${Timestamp}][${kind}] '${[name, ...Object.values(labels)].join('.')}': ${numbers}\n`;
  return [
    ...Gauges.map(({ Name, Labels, Value }) => line('G', Name, Labels, Value.toFixed(3))),
    ...Counters.map((row) => line('C', row.Name, row.Labels, numbersOf(row))),
    ...Samples.map((row) => line('S', row.Name, row.Labels, numbersOf(row))),
  ];
}

/** What all values have in common needs no spread. */
function numbersOf({ Count, Min, Mean, Max, Stddev, Sum }: SampleRow): string {
  const sum = `Sum: ${Sum.toFixed(3)}`;
  if (Stddev === 0) return `Count: ${Count} ${sum}`;
  const [min, mean, max, stddev] = [Min, Mean, Max, Stddev].map((value) => value.toFixed(3));
  return `Count: ${Count} Min: ${min} Mean: ${mean} Max: ${max} Stddev: ${stddev} ${sum}`;
}
