/** Runs the agent's checks: one timer for all of them, probes within a bound, results judged before they are told. */

import { formatDurationMs } from '../../../shared/durations.ts';
import type { Env, Timer } from '../../../shared/env.ts';
import type { Logger } from '../../../shared/log.ts';
import type { CheckDefinition } from '../../../shared/types/definitions.ts';
import { checkKind } from './check-kind.ts';
import { messageOf } from './go-errors.ts';
import { MIN_INTERVAL_MS, type ProbeKind, probeKind } from './probe.ts';
import { CheckSchedule, type ScheduleEffect, type ScheduleInput } from './schedule.ts';
import { type Counters, initialCounters, judge } from './thresholds.ts';
import { TtlDeadlines } from './ttl-deadlines.ts';
import { type CheckProbe, type CheckResult, critical } from './types.ts';

export interface CheckMonitorOptions {
  readonly env: Env;
  readonly log: Logger;
  /** Probes that may be under way at the same time, ≥ 1. */
  readonly maxRunning: number;
  readonly createProbe: (kind: ProbeKind, definition: CheckDefinition) => CheckProbe;
  /** A result that counts; called also when nothing changed. */
  readonly report: (checkId: string, result: CheckResult) => void;
  /** A TTL passed without an update. */
  readonly expired: (checkId: string) => void;
}

export interface CheckMonitor {
  /** Starts or replaces a check. TTL and probe kinds only; others are ignored. */
  watch(checkId: string, definition: CheckDefinition): void;
  unwatch(checkId: string): void;
  hasTtl(checkId: string): boolean;
  /** @returns false when the check has no TTL */
  renewTtl(checkId: string): boolean;
  /** Script checks and TTL checks being watched. */
  counts(): { readonly scripts: number; readonly ttls: number };
  /** Cancels everything; nothing is reported afterwards. */
  stop(): void;
}

interface Watched {
  readonly kind: ProbeKind;
  readonly definition: CheckDefinition;
  readonly probe: CheckProbe;
  counters: Counters;
}

export function createCheckMonitor(options: CheckMonitorOptions): CheckMonitor {
  const { env, log } = options;
  const schedule = new CheckSchedule(options.maxRunning);
  const ttls = new TtlDeadlines();
  const watched = new Map<string, Watched>();
  const running = new Map<number, AbortController>();
  let isStopped = false;
  let timer: Timer | undefined;
  let timerDueMs = Number.POSITIVE_INFINITY;

  const now = () => env.clock.monotonicMs();

  function step(input: ScheduleInput): void {
    if (isStopped) return;
    for (const effect of schedule.step(input, now())) apply(effect);
    arm();
  }

  function apply(effect: ScheduleEffect): void {
    switch (effect.kind) {
      case 'start':
        void run(effect.id, effect.run);
        return;
      case 'cancel':
        running.get(effect.run)?.abort();
        return;
      default:
        effect satisfies never;
    }
  }

  async function run(id: string, runNumber: number): Promise<void> {
    const check = watched.get(id);
    const controller = new AbortController();
    running.set(runNumber, controller);
    if (check !== undefined) {
      const result = await check.probe(controller.signal).catch((error) => critical(messageOf(error)));
      if (!controller.signal.aborted && watched.get(id) === check) conclude(id, check, result);
    }
    running.delete(runNumber);
    step({ kind: 'finished', run: runNumber });
  }

  function conclude(id: string, check: Watched, result: CheckResult): void {
    const verdict = judge(check.counters, check.definition, result);
    check.counters = verdict.counters;
    logVerdict(log, id, check, result, verdict.applies);
    if (verdict.applies) options.report(id, result);
  }

  /** Keeps the one timer at the earliest deadline. A later deadline leaves it: firing early is harmless. */
  function arm(): void {
    const dueMs = Math.min(
      schedule.nextDueMs() ?? Number.POSITIVE_INFINITY,
      ttls.nextDueMs() ?? Number.POSITIVE_INFINITY,
    );
    if (dueMs >= timerDueMs || isStopped) return;
    timer?.cancel();
    timerDueMs = dueMs;
    timer = env.clock.setTimer(Math.max(0, dueMs - now()), onTimer);
  }

  function onTimer(): void {
    timerDueMs = Number.POSITIVE_INFINITY;
    if (isStopped) return;
    for (const id of ttls.step(now())) {
      log.warn('Check missed TTL, is now critical', { check: id });
      options.expired(id);
    }
    step({ kind: 'tick' });
  }

  return {
    watch(checkId, definition) {
      if (isStopped) return;
      if (checkKind(definition) === 'ttl') {
        forgetProbe(checkId);
        ttls.set(checkId, definition.ttlMs, now());
        arm();
        return;
      }
      ttls.remove(checkId);
      const kind = probeKind(definition);
      if (kind === undefined) {
        forgetProbe(checkId);
        return;
      }
      if (definition.intervalMs < MIN_INTERVAL_MS)
        log.warn('check has interval below minimum', {
          check: checkId,
          minimum_interval: formatDurationMs(MIN_INTERVAL_MS),
        });
      const intervalMs = Math.max(MIN_INTERVAL_MS, definition.intervalMs);
      const probe = options.createProbe(kind, definition);
      watched.set(checkId, { kind, definition, probe, counters: initialCounters(definition) });
      step({ kind: 'add', id: checkId, intervalMs, firstDelayMs: env.random.next() * intervalMs });
    },
    unwatch(checkId) {
      ttls.remove(checkId);
      forgetProbe(checkId);
    },
    hasTtl: (checkId) => ttls.has(checkId),
    renewTtl(checkId) {
      const isKnown = ttls.renew(checkId, now());
      arm();
      return isKnown;
    },
    counts: () => ({
      scripts: [...watched.values()].filter((check) => check.kind === 'script').length,
      ttls: ttls.size,
    }),
    stop() {
      isStopped = true;
      timer?.cancel();
      for (const controller of running.values()) controller.abort();
      watched.clear();
    },
  };

  function forgetProbe(checkId: string): void {
    if (watched.delete(checkId)) step({ kind: 'remove', id: checkId });
  }
}

function logVerdict(
  log: Logger,
  check: string,
  watched: Watched,
  result: CheckResult,
  applies: boolean,
): void {
  const { counters, definition } = watched;
  if (applies) {
    if (result.status === 'critical') log.warn('Check is now critical', { check });
    else log.debug('Check status updated', { check, status: result.status });
  } else if (result.status === 'critical') {
    log.warn('Check failed but has not reached failure threshold', {
      check,
      failure_count: counters.failures,
      failure_threshold: definition.failuresBeforeCritical,
    });
  } else {
    log.warn('Check passed but has not reached success threshold', {
      check,
      success_count: counters.successes,
      success_threshold: definition.successBeforePassing,
    });
  }
}
