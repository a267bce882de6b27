/** The collectors of `telemetry`: statsd, statsite and DogStatsD, fed from the agent's metrics. */

import type { Clock, Timer } from '../../../shared/env.ts';
import type { Logger } from '../../../shared/log.ts';
import type { Metrics, MetricsSink } from '../../../shared/metrics.ts';
import type { TelemetrySettings } from '../../config/config.ts';
import { type PacketSender, tcpSender, udpSender } from './senders.ts';
import { type StatsdDialect, StatsdLines } from './statsd-lines.ts';

/** From the first number of a batch until the batch goes out. */
const FLUSH_MS = 100;

export interface TelemetryTransports {
  readonly udp: typeof udpSender;
  readonly tcp: typeof tcpSender;
}

/** Passes metrics on to every collector that is configured. @returns sends what is left and ends it */
export function startTelemetrySinks(
  settings: TelemetrySettings,
  metrics: Metrics,
  clock: Clock,
  log: Logger,
  transports: TelemetryTransports = { udp: udpSender, tcp: tcpSender },
): () => void {
  const { statsd, statsite, dogstatsd, dogstatsdTags } = settings;
  const { udp, tcp } = transports;
  const batches = [
    ...(statsd === undefined ? [] : [new Batches({}, udp(statsd, clock, log), clock)]),
    ...(statsite === undefined ? [] : [new Batches({}, tcp(statsite, clock, log), clock)]),
    ...(dogstatsd === undefined
      ? []
      : [new Batches({ tags: dogstatsdTags }, udp(dogstatsd, clock, log), clock)]),
  ];
  if (batches.length === 0) return () => undefined;
  metrics.setSink(toAll(batches.map(({ lines }) => lines)));
  return () => {
    for (const each of batches) each.close();
  };
}

/** Invariant: `#timer` is set while, and only while, there are lines that have not been sent. */
class Batches {
  readonly lines: StatsdLines;
  readonly #sender: PacketSender;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(dialect: StatsdDialect, sender: PacketSender, clock: Clock) {
    this.#sender = sender;
    this.lines = new StatsdLines(dialect, () => {
      if (!this.#isClosed) this.#timer = clock.setTimer(FLUSH_MS, () => this.#flush());
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#flush();
    this.#sender.close();
  }

  #flush(): void {
    this.#timer = undefined;
    for (const packet of this.lines.take()) this.#sender.send(packet);
  }
}

function toAll(sinks: readonly MetricsSink[]): MetricsSink {
  const [only] = sinks;
  if (only !== undefined && sinks.length === 1) return only;
  return {
    counter(metric, amount) {
      for (const sink of sinks) sink.counter(metric, amount);
    },
    sample(metric, value) {
      for (const sink of sinks) sink.sample(metric, value);
    },
    gauge(metric, value) {
      for (const sink of sinks) sink.gauge(metric, value);
    },
  };
}
