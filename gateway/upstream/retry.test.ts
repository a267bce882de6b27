import { describe, expect, test } from 'vitest';
import { type Failure, replayOf, verdictOf } from './retry.ts';
import { createRetryBudget } from './retry-budget.ts';

const answer = (text: string): Failure => ({ kind: 'answer', text });

describe('the decision table', () => {
  test.each<[string, Failure, string, string, string]>([
    ['refused', { kind: 'not-sent' }, 'elsewhere', 'elsewhere', 'answer'],
    ['broken', { kind: 'broken' }, 'elsewhere', 'answer', 'answer'],
    ['timeout', { kind: 'timeout' }, 'elsewhere', 'answer', 'answer'],
    ['no leader', answer('No cluster leader'), 'later', 'later', 'answer'],
    ['no leader, forwarded', answer('rpc error making call: No cluster leader'), 'later', 'later', 'answer'],
    [
      'no servers',
      answer('rpc error making call: rpc error making call: No known Consul servers'),
      'later',
      'later',
      'answer',
    ],
    ['leadership lost', answer('leadership lost while committing log'), 'later', 'answer', 'answer'],
    ['not ready', answer('Not ready to serve consistent reads'), 'later', 'answer', 'answer'],
    [
      'unreached',
      answer('rpc error making call: rpc error getting client: failed to get conn: refused'),
      'later',
      'later',
      'answer',
    ],
    ['stopping', answer('Agent is shutting down'), 'later', 'answer', 'answer'],
    ['abandoned', { kind: 'abandoned' }, 'elsewhere', 'answer', 'answer'],
    ['validation', answer('Must provide node'), 'answer', 'answer', 'answer'],
    ['quoted', answer('invalid key "No cluster leader"'), 'answer', 'answer', 'answer'],
  ])('%s', (_name, failure, always, ifNotApplied, never) => {
    expect(verdictOf(failure, 'always')).toBe(always);
    expect(verdictOf(failure, 'once')).toBe(always);
    expect(verdictOf(failure, 'if-not-applied')).toBe(ifNotApplied);
    expect(verdictOf(failure, 'never')).toBe(never);
  });
});

test.each([
  ['GET', '/v1/kv/a', 'always'],
  ['PUT', '/v1/kv/a', 'once'],
  ['DELETE', '/v1/kv/a', 'once'],
  ['PUT', '/v1/catalog/register', 'once'],
  ['PUT', '/v1/catalog/deregister', 'once'],
  ['PUT', '/v1/session/create', 'once'],
  ['PUT', '/v1/session/renew/x', 'always'],
  ['PUT', '/v1/session/destroy/x', 'always'],
  ['PUT', '/v1/agent/check/pass/x', 'always'],
  ['PUT', '/v1/agent/service/register', 'if-not-applied'],
  ['DELETE', '/v1/acl/token/x', 'always'],
  ['POST', '/v1/internal/acl/authorize', 'always'],
  ['POST', '/v1/query', 'once'],
])('%s %s is replayed %s', (method, path, replay) => {
  expect(replayOf(method, path)).toBe(replay);
});

test('the budget is a burst, then a trickle that requests and time refill', () => {
  const budget = createRetryBudget({ burst: 2, perSecond: 10, share: 0.5 });
  expect([budget.spend(0), budget.spend(0), budget.spend(0)]).toEqual([true, true, false]);
  expect(budget.spend(100)).toBe(true);
  expect(budget.spend(100)).toBe(false);
  budget.earn();
  budget.earn();
  expect(budget.spend(100)).toBe(true);
  expect(budget.spend(100_000)).toBe(true);
  expect(budget.spend(100_000)).toBe(true);
  expect(budget.spend(100_000)).toBe(false);
});
