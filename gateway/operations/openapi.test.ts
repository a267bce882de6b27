import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Gateway } from '../app.ts';
import { FakePool } from '../testing/fake-pool.ts';
import { openTestApp } from '../testing/harness.ts';
import { GATEWAY_OPERATIONS } from './openapi.ts';

let pool: FakePool;
let gateway: Gateway;

beforeEach(async () => {
  pool = await FakePool.start(['s1'], []);
  gateway = await openTestApp(pool);
});

afterEach(async () => {
  await gateway.stop();
  await pool.stop();
});

/** Served, but not part of the API: whatever goes to the agents, and the web UI. */
const UNDESCRIBED = /^\/(?:\*|ui\b.*|robots\.txt)?$/;

test('the pages that the gateway describes are those that it serves', () => {
  const served = gateway.app.routes.map(({ path }) => path).filter((path) => !UNDESCRIBED.test(path));
  const described = [...GATEWAY_OPERATIONS.map(({ path }) => path), '/openapi.json'];
  expect(new Set(served)).toEqual(new Set(described));
});

test('the description is answered without asking an agent', async () => {
  const before = pool.nodes.map(({ requests }) => requests.length);
  const response = await gateway.app.request('/openapi.json');
  expect(response.headers.get('content-type')).toBe('application/json');
  const { openapi, paths } = (await response.json()) as { openapi: string; paths: Record<string, unknown> };
  expect(openapi).toBe('3.1.0');
  expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/v1/kv/{key}', '/dns-query']));
  expect(pool.nodes.map(({ requests }) => requests.length)).toEqual(before);
});
