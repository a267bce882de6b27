import { describe, expect, it } from 'vitest';
import { noClusterLeader } from '../../../shared/errors.ts';
import { simulatedEnv } from '../../../shared/simulated-env.ts';
import type { HealthCheck, Service } from '../../../shared/types/v1.ts';
import { FakeBackend } from '../testing/fake-backend.ts';
import { aliasResult } from './alias.ts';
import { watchRemoteAlias } from './alias-watch.ts';
import type { CheckResult } from './types.ts';

function check(id: string, status: string, serviceId = 'web', output = ''): HealthCheck {
  return {
    Node: 'n1',
    CheckID: id,
    Name: `name of ${id}`,
    Status: status,
    Notes: '',
    Output: output,
    ServiceID: serviceId,
    ServiceName: serviceId,
    ServiceTags: [],
    Type: 'ttl',
    Definition: {},
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}

const target = { node: 'n1', serviceId: 'web', ownCheckId: 'own' };

describe('an alias check', () => {
  const cases: readonly [string, HealthCheck[], boolean, CheckResult][] = [
    ['no checks', [], true, { status: 'passing', output: 'No checks found.' }],
    ['no service', [], false, { status: 'critical', output: 'Service web could not be found on node n1' }],
    ['all pass', [check('a', 'passing')], true, { status: 'passing', output: 'All checks passing.' }],
    [
      'one warns',
      [check('a', 'warning', 'web', 'hm'), check('b', 'passing')],
      true,
      { status: 'warning', output: 'Aliased check "name of a" failing: hm' },
    ],
    [
      'one is critical',
      [check('a', 'warning'), check('b', 'critical'), check('c', 'passing')],
      true,
      { status: 'critical', output: 'Aliased check "name of b" failing: ' },
    ],
    [
      'another service does not count',
      [check('a', 'critical', 'db')],
      true,
      { status: 'passing', output: 'No checks found.' },
    ],
    [
      'a check of the node counts',
      [check('a', 'critical', '')],
      true,
      { status: 'critical', output: 'Aliased check "name of a" failing: ' },
    ],
    [
      'it is no reason for itself',
      [check('own', 'critical', '')],
      true,
      { status: 'passing', output: 'No checks found.' },
    ],
  ];
  it.each(cases)('%s', (_name, checks, exists, expected) => {
    expect(aliasResult(target, checks, exists)).toEqual(expected);
  });

  it('of a node looks at its own checks only', () => {
    const node = { ...target, serviceId: '' };
    expect(aliasResult(node, [check('a', 'critical'), check('b', 'passing', '')], false).status).toBe(
      'passing',
    );
  });
});

describe('an alias of another node', () => {
  it('follows the catalog, reports trouble from the second failure on, and recovers', async () => {
    const env = simulatedEnv(1);
    const backend = new FakeBackend();
    const results: string[] = [];
    backend.services.set('web', { ID: 'web' } as Service);
    backend.node = { ID: 'x' } as FakeBackend['node'];
    backend.failure = noClusterLeader();
    const stop = watchRemoteAlias({ env, backend, target, datacenter: 'dc1', token: () => '' }, (result) => {
      results.push(`${result.status} ${result.output}`);
      if (result.status === 'passing') stop();
    });
    await env.clock.advanceAsync(500);
    expect(results).toEqual([]);
    await env.clock.advanceAsync(1_000);
    expect(results).toEqual(['critical Failure checking aliased node or service: No cluster leader']);
    backend.failure = undefined;
    await env.clock.advanceAsync(10_000);
    expect(results.at(-1)).toBe('passing No checks found.');
    const { reads } = backend;
    await env.clock.advanceAsync(600_000);
    expect(backend.reads).toBe(reads);
  });
});
