import { expect, test } from 'vitest';
import { mergeHealth, mergeHealthWords, mergeObjects } from './merge.ts';

const from = (agent: string, text: string, status = 200) => ({ agent, status, text });

test('objects merge by key; of the same key the worst status stays, then the first agent', () => {
  const merged = mergeObjects([
    from('a', '{"k1":{"Status":"passing"},"k2":{"Status":"passing","from":"a"}}'),
    from('b', '{"k1":{"Status":"critical"},"k2":{"Status":"passing","from":"b"},"k3":{}}'),
    from('c', '{"k1":{"Status":"warning"}}'),
  ]);
  expect(merged).toBe('{"k1":{"Status":"critical"},"k2":{"Status":"passing","from":"a"},"k3":{}}');
  expect(mergeObjects([from('a', '{}'), from('b', '{}')])).toBe('{}');
  expect(mergeObjects([from('a', '{}'), from('b', 'oops')])).toBeUndefined();
});

test('health by name is as bad as its worst instance', () => {
  const entry = (status: string) => `[{"AggregatedStatus":"${status}"}]`;
  const merge = (...statuses: string[]) =>
    mergeHealth(statuses.map((status, i) => from(String(i), entry(status))));
  expect(merge('passing', 'warning')).toMatchObject({ status: 429, reason: 'warning' });
  expect(merge('critical', 'warning')).toMatchObject({ status: 503, reason: 'critical' });
  expect(merge('maintenance', 'critical')).toMatchObject({ status: 503, reason: 'maintenance' });
  expect(merge('passing')?.text).toBe(entry('passing'));
  expect(mergeHealth([from('a', '[]', 404), from('b', entry('passing'))])?.status).toBe(200);
  expect(mergeHealth([from('a', '[]', 404)])).toBeUndefined();
});

test('health words', () => {
  expect(mergeHealthWords([from('a', 'passing'), from('b', 'maintenance', 503)])).toEqual({
    status: 503,
    reason: 'maintenance',
  });
  expect(mergeHealthWords([from('a', 'ServiceName x Not Found', 404)])).toBeUndefined();
});
