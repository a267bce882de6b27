/** Answers that must not be shared: nobody gets what was answered to another token, encoding or path. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Gateway } from './app.ts';
import { FakePool } from './testing/fake-pool.ts';
import { openTestApp } from './testing/harness.ts';

let pool: FakePool;
let gateway: Gateway;

/** Agents that answer with what decides about an answer: the token that they would take, the encoding, the path. */
beforeEach(async () => {
  pool = await FakePool.start(['s1', 's2']);
  pool.override = (_node, request, response) => {
    const { headers, url = '' } = request;
    const query = new URL(url, 'http://fake').searchParams;
    const bearer = /^Bearer (.*)$/i.exec(headers.authorization ?? '')?.[1];
    const token = query.get('token') || headers['x-consul-token'] || bearer || 'anonymous';
    const encoding = headers['accept-encoding'] ?? 'none';
    const path = url.split('?', 1)[0];
    response.writeHead(200, { 'X-Consul-Index': '7', 'Content-Type': 'text/plain' });
    setTimeout(() => response.end(`${token}|${encoding}|${path}`), 20);
    return true;
  };
  gateway = await openTestApp(pool, { retryDeadlineMs: 300 });
});
afterEach(async () => {
  await gateway.stop();
  await pool.stop();
});

const CALLERS: readonly (readonly [path: string, headers: Record<string, string>, answer: string])[] = [
  ['/v1/kv/a', {}, 'anonymous|none|/v1/kv/a'],
  ['/v1/kv/a', { 'X-Consul-Token': 'one' }, 'one|none|/v1/kv/a'],
  ['/v1/kv/a', { 'X-Consul-Token': 'two' }, 'two|none|/v1/kv/a'],
  ['/v1/kv/a?token=three', {}, 'three|none|/v1/kv/a'],
  ['/v1/kv/a?token=three', { 'X-Consul-Token': 'one' }, 'three|none|/v1/kv/a'],
  ['/v1/kv/a?token=', { 'X-Consul-Token': 'four' }, 'four|none|/v1/kv/a'],
  ['/v1/kv/a?%74oken=five', {}, 'five|none|/v1/kv/a'],
  ['/v1/kv/a', { Authorization: 'Bearer six' }, 'six|none|/v1/kv/a'],
  ['/v1/kv/a', { Authorization: 'Bearer one' }, 'one|none|/v1/kv/a'],
  ['/v1/kv/a', { 'X-Consul-Token': 'one', 'Accept-Encoding': 'gzip' }, 'one|gzip|/v1/kv/a'],
  [
    '/v1/kv/a',
    { Host: 'elsewhere', 'X-Forwarded-Host': 'evil', 'X-Original-URL': '/v1/kv/b' },
    'anonymous|none|/v1/kv/a',
  ],
  ['/v1/kv/A', {}, 'anonymous|none|/v1/kv/A'],
  ['/v1/kv/a%2Fb', {}, 'anonymous|none|/v1/kv/a%2Fb'],
  ['/v1/kv/a/b', {}, 'anonymous|none|/v1/kv/a/b'],
];

const ask = async (path: string, headers: Record<string, string>) => {
  const response = await gateway.app.request(path, { headers });
  return { text: await response.text(), isStale: response.headers.get('x-proconsul-stale') === 'true' };
};

test.each(['', 'stale', 'index=3&wait=1s', 'cached'])('concurrent reads with ?%s', async (mode) => {
  const asked = [...CALLERS, ...CALLERS, ...CALLERS].map(async ([path, headers, answer]) => {
    const joined = mode === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${mode}`;
    return [(await ask(joined, headers)).text, answer];
  });
  for (const [text, answer] of await Promise.all(asked)) expect(text).toBe(answer);
});

test('last-known-good answers', async () => {
  const stale = (path: string) => `${path}${path.includes('?') ? '&' : '?'}stale`;
  for (const [path, headers] of CALLERS) await ask(stale(path), headers);
  await Promise.all(['s1', 's2'].map((name) => pool.kill(name)));
  const recalled = await Promise.all(CALLERS.map(([path, headers]) => ask(stale(path), headers)));
  expect(recalled).toEqual(CALLERS.map(([, , text]) => ({ text, isStale: true })));
  const stranger = await ask('/v1/kv/a?stale', { 'X-Consul-Token': 'nobody' });
  expect(stranger.isStale).toBe(false);
  expect(stranger.text).toContain('No Consul agent could be reached');
});
