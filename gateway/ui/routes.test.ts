import { expect, test } from 'vitest';
import { parseRoute, type Route, routePath } from './routes.ts';

test.each<[string, Route]>([
  ['', { page: 'home' }],
  ['dc1', { page: 'services', dc: 'dc1' }],
  ['dc1/', { page: 'services', dc: 'dc1' }],
  ['dc1/services/', { page: 'services', dc: 'dc1' }],
  ['dc1/services/web/instances', { page: 'service', dc: 'dc1', name: 'web' }],
  ['dc1/nodes/n1/health-checks', { page: 'node', dc: 'dc1', name: 'n1' }],
  ['dc1/kv', { page: 'kv', dc: 'dc1', folder: '' }],
  ['dc1/kv/', { page: 'kv', dc: 'dc1', folder: '' }],
  ['dc1/kv/a', { page: 'key', dc: 'dc1', key: 'a' }],
  ['dc1/kv/50%/edit', { page: 'key', dc: 'dc1', key: '50%' }],
  ['dc1/members/x', { page: 'unknown', dc: 'dc1' }],
  ['dc1/intentions', { page: 'unknown', dc: 'dc1' }],
])('%s names a page', (path, route) => {
  expect(parseRoute(path)).toEqual(route);
});

test.each<Route>([
  { page: 'home' },
  { page: 'services', dc: 'dc1' },
  { page: 'service', dc: 'dc1', name: 'a/b?c#d &é%' },
  { page: 'nodes', dc: 'dc1' },
  { page: 'node', dc: 'dc1', name: 'n 1' },
  { page: 'members', dc: 'east' },
  { page: 'kv', dc: 'dc1', folder: '' },
  { page: 'kv', dc: 'dc1', folder: 'a b/ü/' },
  { page: 'key', dc: 'dc1', key: 'a/b?c' },
  { page: 'key', dc: 'dc1', key: 'create' },
  { page: 'key', dc: 'dc1', key: 'a/edit' },
  { page: 'key', dc: 'dc1', key: 'edit' },
  { page: 'new-key', dc: 'dc1', folder: '' },
  { page: 'new-key', dc: 'dc1', folder: 'edit/create/' },
])('every page has a path that leads back to it: %o', (route) => {
  expect(parseRoute(routePath(route))).toEqual(route);
});
