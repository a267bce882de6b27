import { beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { type SimulatedEnv, simulatedEnv } from '../../../shared/simulated-env.ts';
import { type CheckDefinition, EMPTY_CHECK_DEFINITION } from '../../../shared/types/definitions.ts';
import { type CheckMonitor, createCheckMonitor } from './monitor.ts';
import { type CheckResult, critical, passing } from './types.ts';

let env: SimulatedEnv;
let monitor: CheckMonitor;
let reports: string[];
let expired: string[];
let runs: number[];
let results: (signal: AbortSignal) => Promise<CheckResult>;

beforeEach(() => {
  env = simulatedEnv(3);
  reports = [];
  expired = [];
  runs = [];
  results = () => Promise.resolve(passing('ok'));
  monitor = createCheckMonitor({
    env,
    log: silentLogger,
    maxRunning: 4,
    createProbe: () => (signal) => {
      runs.push(env.clock.monotonicMs());
      return results(signal);
    },
    report: (id, result) => reports.push(`${id} ${result.status} ${result.output}`),
    expired: (id) => expired.push(id),
  });
});

const define = (fields: Partial<CheckDefinition>): CheckDefinition => ({
  ...EMPTY_CHECK_DEFINITION,
  ...fields,
});

describe('probes', () => {
  it('run first within the interval and then at the interval', async () => {
    monitor.watch('a', define({ tcp: 'x:1', intervalMs: 10_000 }));
    await env.clock.advanceAsync(35_000);
    const [first = -1, second = -1] = runs;
    expect(first).toBeGreaterThanOrEqual(0);
    expect(first).toBeLessThan(10_000);
    expect(second - first).toBe(10_000);
    expect(reports.slice(0, 1)).toEqual(['a passing ok']);
  });

  it('are staggered, not all at once', async () => {
    for (let i = 0; i < 20; i++) monitor.watch(`c${i}`, define({ tcp: 'x:1', intervalMs: 10_000 }));
    await env.clock.advanceAsync(9_999);
    expect(new Set(runs).size).toBeGreaterThan(10);
  });

  it('run at most once a second', async () => {
    monitor.watch('a', define({ tcp: 'x:1', intervalMs: 100 }));
    await env.clock.advanceAsync(10_500);
    expect(runs.length).toBeGreaterThanOrEqual(9);
    expect(runs.length).toBeLessThanOrEqual(11);
  });

  it('count before they change the status', async () => {
    const statuses = [passing('1'), critical('2'), critical('3')];
    results = () => Promise.resolve(statuses[runs.length - 1] ?? passing('more'));
    monitor.watch('a', define({ tcp: 'x:1', intervalMs: 1000, failuresBeforeCritical: 2 }));
    await env.clock.advanceAsync(2_999);
    expect(reports).toEqual(['a passing 1', 'a critical 3']);
  });

  it('are aborted and not reported when the check goes', async () => {
    let aborted = false;
    results = (signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          resolve(critical('late'));
        });
      });
    monitor.watch('a', define({ tcp: 'x:1', intervalMs: 1000 }));
    await env.clock.advanceAsync(1_000);
    expect(runs).toHaveLength(1);
    monitor.unwatch('a');
    await env.clock.advanceAsync(10_000);
    expect(aborted).toBe(true);
    expect(runs).toHaveLength(1);
    expect(reports).toEqual([]);
  });

  it('that throw are critical, not fatal', async () => {
    results = () => Promise.reject(new Error('bug'));
    monitor.watch('a', define({ tcp: 'x:1', intervalMs: 1000 }));
    await env.clock.advanceAsync(1_000);
    expect(reports).toEqual(['a critical bug']);
  });

  it('end with the agent', async () => {
    monitor.watch('a', define({ tcp: 'x:1', intervalMs: 1000 }));
    monitor.watch('t', define({ ttlMs: 1000 }));
    monitor.stop();
    await env.clock.advanceAsync(10_000);
    expect(runs).toEqual([]);
    expect(expired).toEqual([]);
  });
});

describe('TTLs', () => {
  it('expire without an update, and not with one', async () => {
    monitor.watch('t', define({ ttlMs: 1000 }));
    await env.clock.advanceAsync(900);
    expect(monitor.renewTtl('t')).toBe(true);
    await env.clock.advanceAsync(900);
    expect(expired).toEqual([]);
    await env.clock.advanceAsync(200);
    expect(expired).toEqual(['t']);
    await env.clock.advanceAsync(10_000);
    expect(expired).toEqual(['t']);
    monitor.renewTtl('t');
    await env.clock.advanceAsync(1_000);
    expect(expired).toEqual(['t', 't']);
  });

  it('share the timer with probes', async () => {
    monitor.watch('slow', define({ tcp: 'x:1', intervalMs: 3_600_000 }));
    monitor.watch('t', define({ ttlMs: 500 }));
    await env.clock.advanceAsync(500);
    expect(expired).toEqual(['t']);
  });

  it('are gone when the check becomes another kind', async () => {
    monitor.watch('t', define({ ttlMs: 500 }));
    monitor.watch('t', define({ tcp: 'x:1', intervalMs: 1000 }));
    expect(monitor.hasTtl('t')).toBe(false);
    expect(monitor.renewTtl('t')).toBe(false);
    await env.clock.advanceAsync(1_000);
    expect(expired).toEqual([]);
    monitor.watch('t', define({ ttlMs: 500 }));
    const before = runs.length;
    await env.clock.advanceAsync(10_000);
    expect(runs).toHaveLength(before);
  });

  it('are counted', () => {
    monitor.watch('t', define({ ttlMs: 500 }));
    monitor.watch('s', define({ scriptArgs: ['true'], intervalMs: 1000 }));
    monitor.watch('p', define({ tcp: 'x:1', intervalMs: 1000 }));
    expect(monitor.counts()).toEqual({ scripts: 1, ttls: 1 });
  });
});
