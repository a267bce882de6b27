import { expect, test } from 'vitest';
import { type MetricFamily, startMetricsExport } from './otlp-metrics.ts';
import { simulatedEnv } from './simulated-env.ts';

test('metrics are sent every interval and once at the end; a failure is told once', async () => {
  const { clock } = simulatedEnv(1);
  const sent: { url: string; headers: Record<string, string>; body: unknown }[] = [];
  const errors: string[] = [];
  let status = 200;
  let requests = 0;
  const collect = (): MetricFamily[] => [
    { name: 'requests', help: 'Answers.', kind: 'sum', label: 'code', values: [['2xx', ++requests]] },
    { name: 'open', help: 'Open.', kind: 'gauge', label: '', values: [['', 3]] },
  ];
  const running = startMetricsExport({
    endpoint: 'http://collector:4318/',
    headers: 'x-key=a%20b, other=c',
    serviceName: 'gw',
    instance: 'h:1',
    intervalMs: 1000,
    collect,
    clock,
    onError: (reason) => errors.push(reason),
    fetch: async (url, init) => {
      const headers = init?.headers as Record<string, string>;
      sent.push({ url: String(url), headers, body: JSON.parse(String(init?.body)) });
      return new Response('{}', { status });
    },
  });
  await clock.advanceAsync(999);
  expect(sent).toEqual([]);
  await clock.advanceAsync(1);
  expect(sent[0]).toMatchObject({
    url: 'http://collector:4318/v1/metrics',
    headers: { 'Content-Type': 'application/json', 'x-key': 'a b', other: 'c' },
    body: {
      resourceMetrics: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'gw' } }, {}] },
          scopeMetrics: [
            {
              metrics: [
                {
                  name: 'requests',
                  sum: {
                    aggregationTemporality: 2,
                    isMonotonic: true,
                    dataPoints: [
                      { asDouble: 1, attributes: [{ key: 'code', value: { stringValue: '2xx' } }] },
                    ],
                  },
                },
                { name: 'open', gauge: { dataPoints: [{ asDouble: 3, attributes: [] }] } },
              ],
            },
          ],
        },
      ],
    },
  });
  status = 503;
  await clock.advanceAsync(2000);
  expect(errors).toEqual(['the collector answered 503']);
  status = 200;
  await clock.advanceAsync(1000);
  await running.stop();
  expect(sent).toHaveLength(5);
  await clock.advanceAsync(5000);
  expect(sent).toHaveLength(5);
});
