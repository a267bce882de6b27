import { expect, test } from 'vitest';
import { Metrics } from './metrics.ts';
import { metricsDump } from './metrics-dump.ts';
import { simulatedEnv } from './simulated-env.ts';

test('finished intervals are printed line by line, oldest first', async () => {
  const { clock } = simulatedEnv(1);
  await clock.advanceAsync(10_000 - (clock.nowMs() % 10_000));
  const metrics = new Metrics({ hostname: 'n1' });
  metrics.start(clock);
  expect(metricsDump(metrics.reports())).toBe('');
  metrics.gauge('runtime.num_goroutines').set(92);
  metrics.counter('raft.apply').add(2);
  metrics.counter('client.api.catalog_register', { node: 'n1' }).add();
  for (const ms of [1, 2, 3]) metrics.sample('raft.commitTime').add(ms);
  await clock.advanceAsync(20_000);
  const [first, second] = metrics.reports().map(({ Timestamp }) => `[${Timestamp}]`);
  expect(metricsDump(metrics.reports()).split('\n')).toEqual([
    `${first}[G] 'consul.n1.runtime.num_goroutines': 92.000`,
    `${first}[C] 'consul.client.api.catalog_register.n1': Count: 1 Sum: 1.000`,
    `${first}[C] 'consul.raft.apply': Count: 1 Sum: 2.000`,
    `${first}[S] 'consul.raft.commitTime': Count: 3 Min: 1.000 Mean: 2.000 Max: 3.000 Stddev: 1.000 Sum: 6.000`,
    `${second}[G] 'consul.n1.runtime.num_goroutines': 92.000`,
    '',
  ]);
});

test('a minute is kept', async () => {
  const { clock } = simulatedEnv(1);
  const metrics = new Metrics();
  metrics.start(clock);
  await clock.advanceAsync(200_000);
  expect(metrics.reports()).toHaveLength(6);
});
