import { expect, test } from 'vitest';
import { splitTarget } from '../proxy/target.ts';
import { classify } from './classify.ts';

const kind = (method: string, target: string) => classify(method, splitTarget(target));

test.each([
  ['GET', '/v1/kv/a', 'leader'],
  ['GET', '/v1/kv/a?consistent', 'leader'],
  ['GET', '/v1/kv/a?stale', 'any'],
  ['GET', '/v1/kv/a?max_stale=5s', 'any'],
  ['GET', '/v1/kv/a?max_stale=zz', 'leader'],
  ['GET', '/v1/health/service/web?cached', 'stable'],
  ['GET', '/v1/status/leader', 'any'],
  ['GET', '/v1/agent/self', 'stable'],
  ['GET', '/v1/event/list', 'stable'],
  ['GET', '/ui/index.html', 'stable'],
  ['PUT', '/v1/kv/a', 'leader'],
  ['PUT', '/v1/session/create', 'client'],
  ['PUT', '/v1/kv//a', 'any'],
  ['GET', '/v1/kv/%zz', 'any'],
])('%s %s prefers %s', (method, target, prefer) => {
  expect(kind(method, target).prefer.kind).toBe(prefer);
});

test('the same cached question prefers the same agent whatever its token', () => {
  const ask = (token: string) => kind('GET', `/v1/health/service/web?cached&token=${token}`).prefer;
  expect(ask('a')).toEqual(ask('b'));
});

test('only reads that are equal for everyone are shared', () => {
  expect(kind('GET', '/v1/health/service/web').isShareable).toBe(true);
  expect(kind('GET', '/v1/query/q/execute').isShareable).toBe(false);
  expect(kind('GET', '/v1/agent/self').isShareable).toBe(false);
  expect(kind('GET', '/v1/snapshot').isShareable).toBe(false);
  expect(kind('HEAD', '/v1/kv/a').isShareable).toBe(false);
  expect(kind('PUT', '/v1/kv/a').isShareable).toBe(false);
});

test('streams are handed on, the rest is collected', () => {
  expect(kind('GET', '/v1/agent/monitor?loglevel=debug').delivery).toBe('stream');
  expect(kind('GET', '/v1/snapshot').delivery).toBe('stream');
  expect(kind('GET', '/v1/kv/a').delivery).toBe('whole');
});

test('how stale an answer may be', () => {
  expect(kind('GET', '/v1/kv/a').maxStaleMs).toBeUndefined();
  expect(kind('GET', '/v1/kv/a?stale').maxStaleMs).toBe(Number.POSITIVE_INFINITY);
  expect(kind('GET', '/v1/kv/a?stale&max_stale=2s').maxStaleMs).toBe(2000);
});
