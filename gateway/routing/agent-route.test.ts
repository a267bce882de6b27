import { expect, test } from 'vitest';
import { agentRoute } from './agent-route.ts';

test.each([
  ['PUT', 'service/register', { kind: 'register-service' }],
  ['PUT', 'service/deregister/a/b', { kind: 'service', id: 'a/b', isBlind: true }],
  ['PUT', 'service/maintenance/a', { kind: 'service', id: 'a', isBlind: false }],
  ['GET', 'service/a', { kind: 'service', id: 'a', isBlind: false }],
  ['GET', 'service/register', { kind: 'service', id: 'register', isBlind: false }],
  ['GET', 'health/service/id/a', { kind: 'service', id: 'a', isBlind: false }],
  ['GET', 'health/service/name/a', { kind: 'merge', of: 'health-by-name' }],
  ['PUT', 'check/pass/a', { kind: 'check', id: 'a', isBlind: false }],
  ['PUT', 'check/deregister/a', { kind: 'check', id: 'a', isBlind: true }],
  ['GET', 'check/pass/a', { kind: 'one' }],
  ['PUT', 'check/pass/', { kind: 'one' }],
  ['PUT', 'service/deregister', { kind: 'one' }],
  ['GET', 'services', { kind: 'merge', of: 'services' }],
  ['GET', 'members', { kind: 'one' }],
  ['PUT', 'join/10.0.0.1', { kind: 'one' }],
  ['PUT', 'maintenance', { kind: 'every' }],
  ['PUT', 'token/default', { kind: 'every' }],
  ['PUT', 'leave', { kind: 'refuse' }],
  ['GET', 'leave', { kind: 'one' }],
])('%s /v1/agent/%s', (method, path, route) => {
  expect(agentRoute(method, `/v1/agent/${path}`)).toEqual(route);
});
