import { beforeEach, describe, expect, test } from 'vitest';
import { Metrics } from './metrics.ts';
import { type SimulatedEnv, simulatedEnv } from './simulated-env.ts';

let env: SimulatedEnv;
beforeEach(() => {
  env = simulatedEnv(1);
});

/** Up to the next multiple of ten seconds. */
function toBoundary(): Promise<void> {
  return env.clock.advanceAsync(10_000 - (env.clock.nowMs() % 10_000));
}

describe('the report', () => {
  test('is of the last finished interval, names sorted, numbers as Consul’s', async () => {
    const metrics = new Metrics();
    metrics.start(env.clock);
    await toBoundary();
    const beginning = env.clock.nowMs();
    metrics.sample('z.time').add(2);
    for (const ms of [1, 2, 3]) metrics.sample('a.time').add(ms);
    metrics.counter('raft.apply').add();
    metrics.counter('raft.apply').add(4);
    await env.clock.advanceAsync(10_000);
    metrics.counter('raft.apply').add(100);
    const report = metrics.report();
    const stamp = `${new Date(beginning).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
    expect(report.Timestamp).toBe(stamp);
    const numbers = { Count: 3, Rate: 0.6, Sum: 6, Min: 1, Max: 3, Mean: 2, Stddev: 1, Labels: {} };
    expect(report.Samples[0]).toEqual({ Name: 'consul.a.time', ...numbers });
    expect(report.Samples.map(({ Name }) => Name)).toEqual(['consul.a.time', 'consul.z.time']);
    expect(report.Samples[1]?.Stddev).toBe(0);
    expect(report.Counters).toMatchObject([{ Name: 'consul.raft.apply', Count: 2, Sum: 5, Rate: 0.5 }]);
    expect([report.Points, report.Gauges]).toEqual([[], []]);
    await env.clock.advanceAsync(10_000);
    expect(metrics.report().Counters).toMatchObject([{ Count: 1, Sum: 100 }]);
    await env.clock.advanceAsync(10_000);
    expect(metrics.report().Counters).toEqual([]);
  });

  test('in the first ten seconds is what there is so far', () => {
    const metrics = new Metrics();
    metrics.start(env.clock);
    const gauge = metrics.gauge('runtime.alloc_bytes');
    metrics.onCollect(() => gauge.set(42));
    metrics.counter('c').add();
    expect(metrics.report()).toMatchObject({
      Gauges: [{ Name: 'consul.runtime.alloc_bytes', Value: 42, Labels: {} }],
      Counters: [{ Name: 'consul.c', Count: 1 }],
    });
  });

  test('gauges carry the host’s name and stay until they are set anew', async () => {
    const metrics = new Metrics({ hostname: 'h1' });
    metrics.start(env.clock);
    metrics.gauge('raft.applied_index').set(7);
    await env.clock.advanceAsync(40_000);
    expect(metrics.report().Gauges).toEqual([{ Name: 'consul.h1.raft.applied_index', Value: 7, Labels: {} }]);
  });

  test('a gauge without a value is left out', () => {
    const metrics = new Metrics();
    metrics.gauge('autopilot.healthy').set(1);
    metrics.gauge('autopilot.healthy').clear();
    expect(metrics.report().Gauges).toEqual([]);
  });

  test('intervals end with what started them', async () => {
    const metrics = new Metrics();
    const stop = metrics.start(env.clock);
    stop();
    metrics.counter('c').add();
    await env.clock.advanceAsync(60_000);
    expect(metrics.report().Counters).toHaveLength(1);
  });
});

describe('filters', () => {
  test('the longest prefix decides, the default decides the rest', () => {
    const prefixFilter = ['-consul.http', '+consul.http.GET', '+consul.raft'];
    const names = ['http.PUT.v1', 'http.GET.v1', 'raft.apply', 'serf.events'];
    const kept = (isKeptByDefault: boolean) => {
      const metrics = new Metrics({ prefixFilter, isKeptByDefault });
      for (const name of names) metrics.counter(name).add();
      return metrics.report().Counters.map(({ Name }) => Name);
    };
    expect(kept(true)).toEqual(['consul.http.GET.v1', 'consul.raft.apply', 'consul.serf.events']);
    expect(kept(false)).toEqual(['consul.http.GET.v1', 'consul.raft.apply']);
  });

  test('the same name is the same series', () => {
    const metrics = new Metrics({ prefix: 'p' });
    metrics.counter('c').add();
    metrics.counter('c').add();
    expect(metrics.report().Counters).toMatchObject([{ Name: 'p.c', Count: 2 }]);
  });
});

describe('Prometheus', () => {
  test('sees sums since the start and quantiles of the newest samples', async () => {
    const metrics = new Metrics({ prometheusRetentionMs: 60_000 });
    metrics.start(env.clock);
    const sample = metrics.sample('http.GET.v1.kv._');
    for (let i = 1; i <= 100; i++) sample.add(i);
    metrics.counter('raft.apply').add(3);
    metrics.gauge('autopilot.healthy').set(1);
    await env.clock.advanceAsync(10_000);
    sample.add(101);
    metrics.counter('raft.apply').add(2);
    expect(metrics.prometheusText()).toBe(
      [
        '# HELP consul_autopilot_healthy consul_autopilot_healthy',
        '# TYPE consul_autopilot_healthy gauge',
        'consul_autopilot_healthy 1',
        '# HELP consul_raft_apply consul_raft_apply',
        '# TYPE consul_raft_apply counter',
        'consul_raft_apply 5',
        '# HELP consul_http_GET_v1_kv__ consul_http_GET_v1_kv__',
        '# TYPE consul_http_GET_v1_kv__ summary',
        'consul_http_GET_v1_kv__{quantile="0.5"} 51',
        'consul_http_GET_v1_kv__{quantile="0.9"} 91',
        'consul_http_GET_v1_kv__{quantile="0.99"} 100',
        'consul_http_GET_v1_kv___sum 5151',
        'consul_http_GET_v1_kv___count 101',
        '',
      ].join('\n'),
    );
  });

  test('is shown NaN for what is idle, and nothing of what is long gone', async () => {
    const metrics = new Metrics({ prometheusRetentionMs: 30_000 });
    metrics.start(env.clock);
    metrics.sample('s').add(1);
    await env.clock.advanceAsync(20_000);
    expect(metrics.prometheusText()).toContain('consul_s{quantile="0.5"} NaN\n');
    expect(metrics.prometheusText()).toContain('consul_s_count 1\n');
    await env.clock.advanceAsync(60_000);
    expect(metrics.prometheusText()).toBe('');
    metrics.sample('s').add(1);
    await env.clock.advanceAsync(10_000);
    expect(metrics.prometheusText()).toContain('consul_s_count 2\n');
  });

  test('is off by default', () => {
    expect(new Metrics().isPrometheusOn).toBe(false);
  });
});

test('another filter shows other names, with what was counted before', () => {
  const metrics = new Metrics({ prefixFilter: ['-consul.rpc'], hostname: 'h' });
  metrics.counter('rpc.query').add(2);
  metrics.counter('raft.apply').add();
  metrics.gauge('rpc.open').set(3);
  const shown = () => {
    const { Counters, Gauges } = metrics.report();
    return [...Counters, ...Gauges].map((row) => row.Name);
  };
  expect(shown()).toEqual(['consul.raft.apply']);
  metrics.setFilter({ prefixFilter: ['+consul.rpc'], isKeptByDefault: false });
  expect(shown()).toEqual(['consul.rpc.query', 'consul.h.rpc.open']);
});

describe('labels', () => {
  test('tell metrics of one name apart, in both forms', async () => {
    const metrics = new Metrics({ prometheusRetentionMs: 60_000 });
    metrics.start(env.clock);
    for (const node of ['b', 'a']) metrics.counter('api', { node }).add();
    expect(metrics.counter('api', { node: 'a' })).toBe(metrics.counter('api', { node: 'a' }));
    metrics.sample('time', { node: 'a' }).add(3);
    expect(metrics.report().Counters.map(({ Name, Labels }) => [Name, Labels])).toEqual([
      ['consul.api', { node: 'a' }],
      ['consul.api', { node: 'b' }],
    ]);
    expect(metrics.prometheusText().split('\n')).toEqual([
      '# HELP consul_api consul_api',
      '# TYPE consul_api counter',
      'consul_api{node="a"} 1',
      'consul_api{node="b"} 1',
      '# HELP consul_time consul_time',
      '# TYPE consul_time summary',
      'consul_time{node="a",quantile="0.5"} 3',
      'consul_time{node="a",quantile="0.9"} 3',
      'consul_time{node="a",quantile="0.99"} 3',
      'consul_time_sum{node="a"} 3',
      'consul_time_count{node="a"} 1',
      '',
    ]);
  });
});

describe('a sink', () => {
  test('hears every number that is not hidden, of old and new metrics', () => {
    const metrics = new Metrics({ hostname: 'h1', prefixFilter: ['-consul.hidden'] });
    const heard: string[] = [];
    const old = metrics.counter('old');
    const hear =
      (kind: string) =>
      ({ name, plainName }: { name: string; plainName: string }, value: number) =>
        void heard.push(`${kind} ${name} ${plainName} ${value}`);
    metrics.setSink({ counter: hear('c'), sample: hear('s'), gauge: hear('g') });
    old.add();
    metrics.sample('new').add(2);
    metrics.gauge('size').set(3);
    metrics.counter('hidden').add();
    metrics.gauge('hidden').set(1);
    expect(heard).toEqual([
      'c consul.old consul.old 1',
      's consul.new consul.new 2',
      'g consul.h1.size consul.size 3',
    ]);
    metrics.setFilter({});
    metrics.counter('hidden').add();
    expect(heard.at(-1)).toBe('c consul.hidden consul.hidden 1');
  });
});
