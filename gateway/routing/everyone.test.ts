import { afterEach, beforeEach, expect, test } from 'vitest';
import { realEnv } from '../../shared/env.ts';
import type { Gateway } from '../app.ts';
import { FakePool } from '../testing/fake-pool.ts';
import { openTestApp } from '../testing/harness.ts';

let pool: FakePool;
let gateway: Gateway;

beforeEach(async () => {
  pool = await FakePool.start(['s1'], ['c1', 'c2']);
  gateway = await openTestApp(pool);
  for (const name of ['c1', 'c2'])
    pool.node(name).services.set(`on-${name}`, { ID: `on-${name}`, Service: 'x', Port: 1 });
});

afterEach(async () => {
  await gateway.stop();
  await pool.stop();
});

test('an agent that hangs is left out of a list after two seconds, and named', async () => {
  pool.node('c2').state = 'frozen';
  const startedMs = realEnv.clock.monotonicMs();
  const response = await gateway.app.request('/v1/agent/services');
  expect(realEnv.clock.monotonicMs() - startedMs).toBeLessThan(4000);
  expect(Object.keys((await response.json()) as object)).toEqual(['on-c1']);
  expect(response.headers.get('x-proconsul-missing-agents')).toBe('c2');
});

test('an agent that died is left out at once', async () => {
  await pool.kill('c2');
  const response = await gateway.app.request('/v1/agent/services');
  expect(Object.keys((await response.json()) as object)).toEqual(['on-c1']);
});

test('without any agent the answer says what to do', async () => {
  for (const name of ['s1', 'c1', 'c2']) await pool.kill(name);
  const response = await gateway.app.request('/v1/agent/checks');
  expect(response.status).toBe(503);
  expect(await response.text()).toContain('GATEWAY_NODES');
});
