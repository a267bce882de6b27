import { expect, test } from 'vitest';
import { callerLeft, NEVER_CANCELLED } from '../collapse/interest.ts';
import { type Answer, EMPTY, NO_BODY } from '../exchange/exchange.ts';
import { classify } from '../routing/classify.ts';
import { createStopping, endingEarly } from './early-end.ts';
import type { Forward, Incoming } from './forward.ts';
import { splitTarget, withoutQueryValue } from './target.ts';

const ANSWER: Answer = { status: 200, headers: [], body: EMPTY };

const incoming = (target: string): Incoming => ({
  method: 'GET',
  target,
  headers: [],
  body: NO_BODY,
  kind: classify('GET', splitTarget(target)),
  cancel: NEVER_CANCELLED,
});

function upstream() {
  const asked: string[] = [];
  const left: string[] = [];
  const forward: Forward = ({ target, kind, cancel }) => {
    asked.push(target);
    if (kind.blocking === undefined) return Promise.resolve(ANSWER);
    return new Promise((_, reject) => {
      cancel.onCancel(() => {
        left.push(target);
        reject(callerLeft());
      });
    });
  };
  return { asked, left, forward };
}

test('a stop gives waits up and asks the same without waiting', async () => {
  const stopping = createStopping();
  const { asked, left, forward } = upstream();
  const route = endingEarly(forward, stopping);
  const waits = [
    route(incoming('/v1/kv/a?index=7&wait=5m&stale')),
    route(incoming('/v1/agent/service/x?hash=abc&wait=1m')),
  ];
  expect(asked).toEqual(['/v1/kv/a?index=7&wait=5m&stale', '/v1/agent/service/x?hash=abc&wait=1m']);
  stopping.stop();
  expect(await Promise.all(waits)).toEqual([ANSWER, ANSWER]);
  expect(left).toHaveLength(2);
  expect(asked.slice(2)).toEqual(['/v1/kv/a?stale', '/v1/agent/service/x']);
  expect(await route(incoming('/v1/kv/b?%69ndex=7'))).toBe(ANSWER);
  expect(asked.at(-1)).toBe('/v1/kv/b');
});

test('a wait that fails before the stop fails; other requests are not touched', async () => {
  const stopping = createStopping();
  const route = endingEarly(() => Promise.reject(callerLeft()), stopping);
  await expect(route(incoming('/v1/kv/a?index=7'))).rejects.toThrow('went away');
  await expect(route(incoming('/v1/kv/a'))).rejects.toThrow('went away');
  stopping.stop();
});

test.each([
  ['/v1/kv/a', '/v1/kv/a'],
  ['/v1/kv/a?index=1', '/v1/kv/a'],
  ['/v1/kv/a?x&index=1&y=2&index', '/v1/kv/a?x&y=2'],
  ['/v1/kv/a?indexes=1', '/v1/kv/a?indexes=1'],
])('%s without its index', (target, without) => {
  expect(withoutQueryValue(target, 'index')).toBe(without);
});
