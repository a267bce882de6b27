import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RunningGateway } from './start.ts';
import { eventually, FakePool } from './testing/fake-pool.ts';
import { startTestGateway } from './testing/harness.ts';

let pool: FakePool;
let gateway: RunningGateway;

beforeEach(async () => {
  pool = await FakePool.start(['s1', 's2', 's3']);
  gateway = await startTestGateway(pool);
});

afterEach(async () => {
  await gateway.stop();
  await pool.stop();
});

const questions = (part: string) =>
  pool.nodes.flatMap(({ requests }) => requests.filter((line) => line.includes(part)));

test('a stream over a socket tells changes, survives the leader, and ends when the gateway stops', async () => {
  const response = await fetch(`${gateway.url}/v1/watch?kv=a`);
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(response.headers.get('x-accel-buffering')).toBe('no');
  let text = '';
  let isOver = false;
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
    isOver = true;
  })();
  await eventually(() => text.includes('event: snapshot'), 'the snapshot');
  pool.cluster.put('a', 'one');
  await eventually(() => text.includes(btoa('one')), 'the first change');
  await pool.kill('s1');
  pool.cluster.setLeader('s2');
  pool.cluster.put('a', 'two');
  await eventually(() => text.includes(btoa('two')), 'the change under a new leader');
  expect(text.match(/event: put/g)?.length).toBe(2);
  await gateway.stop();
  await reading;
  expect(isOver).toBe(true);
});

test('a stream that nobody reads any more is not kept', async () => {
  const controller = new AbortController();
  const response = await fetch(`${gateway.url}/v1/watch?kv=a`, { signal: controller.signal });
  expect(response.status).toBe(200);
  controller.abort();
  await eventually(() => questions('/v1/kv/a').length > 0, 'the wait');
  const metrics = async () => (await fetch(`${gateway.url}/metrics`)).text();
  while (!(await metrics()).includes('proconsul_gateway_streams{state="open"} 0'));
});

test('reads that may be stale come from a view after a few, and from an agent when the view falls short', async () => {
  pool.cluster.put('a', 'one');
  const read = (headers: Record<string, string> = {}) => fetch(`${gateway.url}/v1/kv/a?stale`, { headers });
  for (let i = 0; i < 3; i++) await (await read()).text();
  await eventually(() => questions('index=').length > 0, 'the view’s wait');
  const before = questions('/v1/kv/a').length;
  for (let i = 0; i < 20; i++) expect(await (await read()).text()).toContain(btoa('one'));
  expect(questions('/v1/kv/a').length).toBe(before);
  const index = pool.cluster.index;
  expect(await (await read({ 'X-Consul-Index': String(index) })).text()).toContain(btoa('one'));
  expect(questions('/v1/kv/a').length).toBe(before);
  await (await read({ 'X-Proconsul-Min-Index': String(index + 1) })).text();
  expect(questions('/v1/kv/a')).toContain('GET /v1/kv/a');
  expect((await read({ 'X-Proconsul-Min-Index': 'x' })).status).toBe(400);
  pool.cluster.put('a', 'two');
  while (!(await (await read()).text()).includes(btoa('two')));
});
