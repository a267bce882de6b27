/** What the agent itself counts: its process, and the members of its gossip pools. */

import { hostname } from 'node:os';
import { PerformanceObserver } from 'node:perf_hooks';
import { Metrics, type MetricsFilter } from '../../shared/metrics.ts';
import type { TelemetrySettings } from '../config/config.ts';
import type { GossipPool } from '../gossip/types.ts';

export function createMetrics(settings: TelemetrySettings): Metrics {
  return new Metrics({
    prefix: settings.prefix,
    hostname: settings.disableHostname ? undefined : hostname(),
    ...metricsFilter(settings),
    prometheusRetentionMs: settings.prometheusRetentionMs,
  });
}

export function metricsFilter(settings: TelemetrySettings): MetricsFilter {
  return { prefixFilter: settings.prefixFilter, isKeptByDefault: settings.filterDefault };
}

/** Follows the process. @returns ends that */
export function collectRuntime(metrics: Metrics): () => void {
  const gauge = (name: string) => metrics.gauge(`runtime.${name}`);
  const [allocated, system] = [gauge('alloc_bytes'), gauge('sys_bytes')];
  const [handles, runs, pauses] = [
    gauge('num_goroutines'),
    gauge('total_gc_runs'),
    gauge('total_gc_pause_ns'),
  ];
  const pause = metrics.sample('runtime.gc_pause_ns');
  let gcRuns = 0;
  let gcPauseNs = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      const ns = Math.round(duration * 1e6);
      gcRuns++;
      gcPauseNs += ns;
      pause.add(ns);
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  metrics.onCollect(() => {
    const memory = process.memoryUsage();
    allocated.set(memory.heapUsed);
    system.set(memory.rss);
    handles.set(process.getActiveResourcesInfo().length);
    runs.set(gcRuns);
    pauses.set(gcPauseNs);
  });
  return () => observer.disconnect();
}

const MEMBER_COUNTERS = {
  'member-join': 'serf.member.join',
  'member-leave': 'serf.member.left',
  'member-failed': 'serf.member.failed',
  'member-update': 'serf.member.update',
  'member-reap': 'serf.member.reap',
} as const;

/** Follows a pool until it is shut down. */
export function collectPool(metrics: Metrics, pool: GossipPool): void {
  const counters = new Map(
    Object.entries(MEMBER_COUNTERS).map(([kind, name]) => [kind, metrics.counter(name)]),
  );
  const events = metrics.counter('serf.events');
  pool.subscribe((event) => {
    if (event.kind === 'user') events.add();
    else counters.get(event.kind)?.add(event.members.length);
  });
}

const QUEUES = { Event: 'event_queue', Intent: 'intent_queue', Query: 'query_queue' } as const;

/** Looks at a pool's queues and health before every report. */
export function collectPoolStats(metrics: Metrics, pool: GossipPool): void {
  const queues = Object.entries(QUEUES).map(
    ([name, row]) => [row, metrics.sample(`serf.queue.${name}`)] as const,
  );
  const health = metrics.gauge('memberlist.health.score');
  metrics.onCollect(() => {
    const stats = pool.stats();
    for (const [row, sample] of queues) sample.add(Number(stats[row] ?? 0));
    health.set(Number(stats.health_score ?? 0));
  });
}
