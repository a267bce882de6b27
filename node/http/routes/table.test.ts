import { describe, expect, test } from 'vitest';
import { openApiDocument } from '../../../shared/api/openapi.ts';
import { OPERATIONS } from '../../../shared/api/operations.ts';
import { type CompiledRoute, Router } from '../router.ts';
import { ROUTES } from './table.ts';

const router = new Router(ROUTES);

/** The route that a request for the operation finds. */
function routeOf(path: string): CompiledRoute {
  const match = router.match(path.replace(/\{\w+\}/g, 'x'));
  if (match === undefined || match === 'add-slash') throw new Error(`${path} has no route`);
  return match;
}

describe('the routes and the table of operations say the same', () => {
  test.each(OPERATIONS.map(({ method, path }) => `${method} ${path}`))('%s has a route', (line) => {
    const [method = '', path = ''] = line.split(' ');
    const found = routeOf(path);
    expect(found.methods).toContain(method);
    // What varies lies behind a prefix and is not the route itself: `/v1/kv` alone would be another operation.
    expect(path.startsWith(found.path.endsWith('/') ? found.path : path)).toBe(true);
  });

  test('every route is described, with every method', () => {
    const described = OPERATIONS.map(({ method, path }) => `${method} ${routeOf(path).path}`);
    const served = ROUTES.flatMap(({ methods, path }) => methods.map((method) => `${method} ${path}`));
    expect(served.filter((line) => !described.includes(line))).toEqual([]);
  });

  test('the description covers every operation once', () => {
    const { paths } = openApiDocument(OPERATIONS) as { paths: Record<string, Record<string, object>> };
    const lines = Object.entries(paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(lines.toSorted()).toEqual(OPERATIONS.map(({ method, path }) => `${method} ${path}`).toSorted());
  });
});
