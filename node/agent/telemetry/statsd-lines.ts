/** Collects metrics between two flushes and writes them in the statsd line protocol, `name:value|type`. */

import type { MetricIdentity, MetricsSink } from '../../../shared/metrics.ts';

/** A packet that fits any Ethernet path; statsd servers split it at the line breaks. */
export const MAX_PACKET_BYTES = 1400;
/** Timers that one flush carries; more are dropped, while counters and gauges stay exact. */
const MAX_SAMPLES = 8192;

export interface StatsdDialect {
  /** DogStatsD: labels and these become tags, and the host's name is not part of a gauge's. undefined: plain statsd. */
  readonly tags?: readonly string[] | undefined;
}

/**
 * Counters are summed and gauges overwritten, so that a flush costs by the number of metrics, not of events.
 *
 * Invariant: nothing is held back that `take` has returned.
 */
export class StatsdLines implements MetricsSink {
  readonly #dialect: StatsdDialect;
  /** Called when something is there after there was nothing. */
  readonly #onFirst: () => void;
  readonly #names = new Map<MetricIdentity, { readonly head: string; readonly tail: string }>();
  readonly #counters = new Map<MetricIdentity, number>();
  readonly #gauges = new Map<MetricIdentity, number>();
  #samples: string[] = [];
  #isEmpty = true;

  constructor(dialect: StatsdDialect, onFirst: () => void) {
    this.#dialect = dialect;
    this.#onFirst = onFirst;
  }

  counter(metric: MetricIdentity, amount: number): void {
    this.#counters.set(metric, (this.#counters.get(metric) ?? 0) + amount);
    this.#filled();
  }

  gauge(metric: MetricIdentity, value: number): void {
    this.#gauges.set(metric, value);
    this.#filled();
  }

  sample(metric: MetricIdentity, value: number): void {
    if (this.#samples.length < MAX_SAMPLES) this.#samples.push(this.#line(metric, value, 'ms'));
    this.#filled();
  }

  /** Everything since the last call, as packets of whole lines. */
  take(): string[] {
    const lines = [
      ...[...this.#counters].map(([metric, sum]) => this.#line(metric, sum, 'c')),
      ...[...this.#gauges].map(([metric, value]) => this.#line(metric, value, 'g')),
      ...this.#samples,
    ];
    this.#counters.clear();
    this.#gauges.clear();
    this.#samples = [];
    this.#isEmpty = true;
    return packed(lines);
  }

  #filled(): void {
    if (!this.#isEmpty) return;
    this.#isEmpty = false;
    this.#onFirst();
  }

  #line(metric: MetricIdentity, value: number, type: 'c' | 'g' | 'ms'): string {
    const { head, tail } = this.#named(metric);
    const isCount = type === 'c' && this.#dialect.tags !== undefined;
    return `${head}${isCount ? Math.trunc(value) : value.toFixed(6)}|${type}${tail}\n`;
  }

  #named(metric: MetricIdentity): { readonly head: string; readonly tail: string } {
    const known = this.#names.get(metric);
    if (known !== undefined) return known;
    const made = this.#name(metric);
    this.#names.set(metric, made);
    return made;
  }

  #name({ name, plainName, labels }: MetricIdentity): { readonly head: string; readonly tail: string } {
    const { tags } = this.#dialect;
    if (tags === undefined)
      return { head: `${plain([name, ...Object.values(labels)].join('.'))}:`, tail: '' };
    const all = [...tags, ...Object.entries(labels).map(([label, value]) => `${label}:${value}`)];
    const tail = all.length === 0 ? '' : `|#${all.map((tag) => tag.replace(/[\s|,]/g, '_')).join(',')}`;
    return { head: `${plain(plainName)}:`, tail };
  }
}

/** What has a meaning in the protocol has none in a name. */
function plain(name: string): string {
  return name.replace(/[\s:|@#]/g, '_');
}

function packed(lines: readonly string[]): string[] {
  const packets: string[] = [];
  let packet = '';
  let length = 0;
  for (const line of lines) {
    const bytes = Buffer.byteLength(line);
    if (length > 0 && length + bytes > MAX_PACKET_BYTES) {
      packets.push(packet);
      packet = '';
      length = 0;
    }
    packet += line;
    length += bytes;
  }
  if (packet !== '') packets.push(packet);
  return packets;
}
