import { Hono } from 'hono';
import { expect, test } from 'vitest';
import { createLogger, silentLogger } from '../shared/log.ts';
import { assembleUi } from '../shared/ui-bundle.ts';
import { loadUiFiles } from './ui-assets.ts';
import { serveUi } from './ui-pages.ts';

const files = assembleUi((name) => new TextEncoder().encode(name), '/ui/');
const app = new Hono();
if (files !== undefined) serveUi(app, files);
app.all('*', (c) => c.text('agent'));

test.each(['/', '/ui'])('%s leads to the UI', async (path) => {
  const answer = await app.request(path);
  expect([answer.status, answer.headers.get('Location')]).toEqual([301, '/ui/']);
});

test.each([
  ['/ui/', 'index.html', 'text/html; charset=utf-8'],
  ['/ui/dc1/services/web', 'index.html', 'text/html; charset=utf-8'],
  ['/ui/dc1/kv/app.js', 'index.html', 'text/html; charset=utf-8'],
  ['/ui/app.js', 'app.js', 'text/javascript; charset=utf-8'],
  ['/ui/app.css?x', 'app.css', 'text/css; charset=utf-8'],
])('%s is %s', async (path, body, type) => {
  const answer = await app.request(path);
  expect([answer.status, await answer.text(), answer.headers.get('Content-Type')]).toEqual([200, body, type]);
  expect(answer.headers.get('Content-Security-Policy')).toMatch(/^default-src 'self';/);
  expect(answer.headers.get('X-Content-Type-Options')).toBe('nosniff');
});

test('what the browser already has is not sent again', async () => {
  const etag = (await app.request('/ui/app.js')).headers.get('ETag') ?? '';
  const answer = await app.request('/ui/app.js', { headers: { 'If-None-Match': etag } });
  expect([answer.status, await answer.text()]).toEqual([304, '']);
  expect((await app.request('/ui/app.css', { headers: { 'If-None-Match': etag } })).status).toBe(200);
});

test('everything else is the agents’', async () => {
  expect(await (await app.request('/v1/kv/ui/')).text()).toBe('agent');
  expect(await (await app.request('/uix')).text()).toBe('agent');
  expect(await (await app.request('/ui/', { method: 'PUT' })).text()).toBe('agent');
});

test('without a bundle the log names the folders and the page says what to do', async () => {
  const lines: string[] = [];
  const sink = { wants: () => true, write: ({ message }: { message: string }) => lines.push(message) };
  const none = loadUiFiles(
    createLogger('gateway', [sink], () => 0),
    [new URL('file:///none/')],
  );
  expect(lines).toEqual([expect.stringContaining('not built')]);
  const bare = new Hono();
  serveUi(bare, none);
  const answer = await bare.request('/ui/dc1/services');
  expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining('npm run build')]);
  expect(loadUiFiles(silentLogger, [])('app.js')).toBeUndefined();
});
