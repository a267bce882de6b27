import { describe, expect, test } from 'vitest';
import { NOT_FOUND } from './reply.ts';
import { type RouteMatch, Router, route } from './router.ts';
import { ROUTES } from './routes/table.ts';

const nothing = () => NOT_FOUND;

function pathOf(match: RouteMatch): string | undefined {
  return typeof match === 'object' ? match.path : match;
}

describe('Router', () => {
  const router = new Router([
    route('GET', '/v1/agent/service/', nothing),
    route('PUT', '/v1/agent/service/register', nothing),
    route('PUT', '/v1/agent/service/deregister/', nothing),
    route('GET POST', '/v1/query', nothing),
    route('GET', '/v1/query/', nothing),
    route('GET', '/v1/kv/', nothing),
  ]);

  test.each([
    ['/v1/agent/service/register', '/v1/agent/service/register'],
    ['/v1/agent/service/registers', '/v1/agent/service/'],
    ['/v1/agent/service/deregister/a/b', '/v1/agent/service/deregister/'],
    ['/v1/agent/service/deregister', 'add-slash'],
    ['/v1/kv', 'add-slash'],
    ['/v1/kv/', '/v1/kv/'],
    [`/v1/kv/${'deep/'.repeat(50)}`, '/v1/kv/'],
    ['/v1/query', '/v1/query'],
    ['/v1/query/x', '/v1/query/'],
    ['/v1/query/x/', '/v1/query/'],
    ['/v1/agent', undefined],
    ['/v1/agent/service/register/', '/v1/agent/service/'],
    ['/V1/kv/a', undefined],
    ['/', undefined],
  ])('%s', (path, expected) => {
    expect(pathOf(router.match(path))).toBe(expected);
  });

  test('Allow lists OPTIONS first, then the methods as registered', () => {
    expect(router.match('/v1/query')).toMatchObject({ allow: 'OPTIONS,GET,POST' });
  });

  test('a path twice is a mistake', () => {
    expect(() => new Router([route('GET', '/a', nothing), route('PUT', '/a', nothing)])).toThrow(
      'route /a is defined twice',
    );
  });
});

test('the table of all endpoints builds, and no endpoint claims HEAD or OPTIONS', () => {
  expect(() => new Router(ROUTES)).not.toThrow();
  const methods = new Set<string>(ROUTES.flatMap((each) => each.methods));
  expect([...methods].sort()).toEqual(['DELETE', 'GET', 'POST', 'PUT']);
  expect(ROUTES.every(({ path }) => /^\/(?:v1\/|debug\/|openapi\.json$)/.test(path))).toBe(true);
});
