import { describe, expect, it } from 'vitest';
import { EMPTY_PROXY, type HealthCheck, type Service } from '../../../shared/types/v1.ts';
import { type Inventory, type Operation, SyncCore } from './core.ts';

function service(id: string, fields: Partial<Service> = {}): Service {
  return {
    ID: id,
    Service: id,
    Tags: [],
    Address: '',
    Meta: null,
    Port: 0,
    Weights: { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
    Proxy: EMPTY_PROXY,
    Connect: {},
    CreateIndex: 0,
    ModifyIndex: 0,
    ...fields,
  };
}

function check(id: string, fields: Partial<HealthCheck> = {}): HealthCheck {
  return {
    Node: 'n1',
    CheckID: id,
    Name: id,
    Status: 'critical',
    Notes: '',
    Output: '',
    ServiceID: '',
    ServiceName: '',
    ServiceTags: [],
    Type: 'ttl',
    Definition: {},
    CreateIndex: 0,
    ModifyIndex: 0,
    ...fields,
  };
}

function inventory(services: Service[], checks: HealthCheck[] = []): Inventory {
  return {
    services: new Map(services.map((item) => [item.ID, item])),
    checks: new Map(checks.map((item) => [item.CheckID, item])),
  };
}

function brief(operation: Operation): string {
  switch (operation.kind) {
    case 'register-service':
      return ['register', operation.service, ...operation.checks].join(' ');
    case 'register-check':
      return `check ${operation.check}`;
    case 'deregister-service':
      return `deregister ${operation.service}`;
    case 'deregister-check':
      return `deregister-check ${operation.check}`;
    case 'update-node':
      return 'node';
    default:
      return operation satisfies never;
  }
}

/** Restores the local items, compares, and says what is to be sent. */
function operationsAfterCompare(local: Inventory, remote: Inventory, compareOutput = false): string[] {
  const core = new SyncCore();
  for (const id of local.services.keys()) core.serviceSet(id, false);
  for (const item of local.checks.values()) core.checkSet(item.CheckID, item.ServiceID, false);
  core.compare(local, remote, { compareOutput, nodeIsSame: true });
  return core.take(100).map(brief);
}

describe('the comparison with the catalog', () => {
  const web = service('web', { Port: 80, Tags: ['a'], Meta: { v: '1' } });
  const mem = check('mem', { Status: 'passing', Output: 'ok' });
  const webCheck = check('c', { ServiceID: 'web', ServiceName: 'web', ServiceTags: ['a'] });
  const cases: readonly [string, Inventory, Inventory, string[]][] = [
    ['nothing anywhere', inventory([]), inventory([]), []],
    ['all the same', inventory([web], [mem]), inventory([web], [mem]), []],
    ['indexes do not count', inventory([web]), inventory([{ ...web, CreateIndex: 5, ModifyIndex: 9 }]), []],
    [
      'null and empty are one',
      inventory([service('a')]),
      inventory([service('a', { Meta: {}, Tags: null })]),
      [],
    ],
    ['missing service', inventory([web]), inventory([]), ['register web']],
    ['missing service with its check', inventory([web], [webCheck]), inventory([]), ['register web c']],
    ['missing check only', inventory([web], [webCheck]), inventory([web]), ['check c']],
    ['other port', inventory([web]), inventory([{ ...web, Port: 81 }]), ['register web']],
    [
      'other order of tags',
      inventory([service('a', { Tags: ['x', 'y'] })]),
      inventory([service('a', { Tags: ['y', 'x'] })]),
      ['register a'],
    ],
    ['other meta', inventory([web]), inventory([{ ...web, Meta: { v: '1', w: '' } }]), ['register web']],
    [
      'other weights',
      inventory([web]),
      inventory([{ ...web, Weights: { Passing: 2, Warning: 1 } }]),
      ['register web'],
    ],
    [
      'other proxy',
      inventory([web]),
      inventory([{ ...web, Proxy: { ...EMPTY_PROXY, DestinationServiceName: 'x' } }]),
      ['register web'],
    ],
    ['unknown service', inventory([]), inventory([web]), ['deregister web']],
    ['unknown service with its check', inventory([]), inventory([web], [webCheck]), ['deregister web']],
    ['unknown check', inventory([web]), inventory([web], [webCheck]), ['deregister-check c']],
    ['the servers own items stay', inventory([]), inventory([service('consul')], [check('serfHealth')]), []],
    ['other status', inventory([], [mem]), inventory([], [{ ...mem, Status: 'warning' }]), ['check mem']],
    ['other output only', inventory([], [mem]), inventory([], [{ ...mem, Output: 'old' }]), []],
    [
      'a local item named like the servers own',
      inventory([service('consul', { Port: 1 })]),
      inventory([service('consul')]),
      ['register consul'],
    ],
  ];
  it.each(cases)('%s', (_name, local, remote, expected) => {
    expect(operationsAfterCompare(local, remote)).toEqual(expected);
  });

  it('looks at the output when output is not deferred', () => {
    const remote = inventory([], [{ ...mem, Output: 'old' }]);
    expect(operationsAfterCompare(inventory([], [mem]), remote, true)).toEqual(['check mem']);
  });

  it('takes tags over from the catalog where the service allows it, and nothing else', () => {
    const core = new SyncCore();
    const local = inventory(
      [service('web', { Tags: ['mine'], EnableTagOverride: true })],
      [check('c', { ServiceID: 'web', ServiceName: 'web', ServiceTags: ['mine'] })],
    );
    const remote = inventory(
      [service('web', { Tags: ['theirs'], EnableTagOverride: true })],
      [check('c', { ServiceID: 'web', ServiceName: 'web', ServiceTags: ['theirs'] })],
    );
    core.serviceSet('web', false);
    core.checkSet('c', 'web', false);
    expect(core.compare(local, remote, { compareOutput: false, nodeIsSame: true })).toEqual(['web']);
    expect(core.take(10)).toEqual([]);
  });

  it('does not take tags over while an own change waits to be told', () => {
    const core = new SyncCore();
    core.serviceSet('web', true);
    const mine = inventory([service('web', { Tags: ['new'], EnableTagOverride: true })]);
    const theirs = inventory([service('web', { Tags: ['old'], EnableTagOverride: true })]);
    expect(core.compare(mine, theirs, { compareOutput: false, nodeIsSame: true })).toEqual([]);
    expect(core.take(10).map(brief)).toEqual(['register web']);
  });

  it('updates the node when it differs, once', () => {
    const core = new SyncCore();
    core.compare(inventory([]), inventory([]), { compareOutput: false, nodeIsSame: false });
    const [operation] = core.take(10);
    expect(operation).toEqual({ kind: 'update-node' });
    expect(core.take(10)).toEqual([]);
    core.finished({ kind: 'update-node' }, 'done', core.nodeVersionToTell);
    expect(core.nodeVersionToTell).toBe(0);
    expect(core.take(10)).toEqual([]);
  });
});

describe('the order of operations', () => {
  it('sends a new service with its new checks in one request', () => {
    const core = new SyncCore();
    core.serviceSet('web', true);
    core.checkSet('a', 'web', true);
    core.checkSet('b', 'web', true);
    core.checkSet('mem', '', true);
    expect(core.take(10).map(brief)).toEqual(['register web a b', 'check mem']);
    expect(core.take(10)).toEqual([]);
  });

  it('holds a check back while its service is under way', () => {
    const core = new SyncCore();
    core.serviceSet('web', true);
    const [registration] = core.take(10);
    core.checkSet('a', 'web', true);
    expect(core.take(10)).toEqual([]);
    if (registration !== undefined) core.finished(registration, 'done', 0);
    expect(core.take(10).map(brief)).toEqual(['check a']);
  });

  it('does not deregister a service while a check of it is under way, so that the check cannot bring it back', () => {
    const core = new SyncCore();
    core.serviceSet('web', false);
    core.checkSet('a', 'web', false);
    core.compare(
      inventory([service('web')], [check('a', { ServiceID: 'web', ServiceName: 'web' })]),
      inventory([service('web')]),
      {
        compareOutput: false,
        nodeIsSame: true,
      },
    );
    const [late] = core.take(10);
    expect(late).toMatchObject({ kind: 'register-check', check: 'a' });
    core.serviceRemoved('web', ['a']);
    expect(core.take(10)).toEqual([]);
    if (late !== undefined) core.finished(late, 'done', 0);
    expect(core.take(10).map(brief)).toEqual(['deregister web']);
  });

  it('sends again what changed while it was under way, but never twice at once', () => {
    const core = new SyncCore();
    core.serviceSet('web', true);
    const [first] = core.take(10);
    core.serviceSet('web', true);
    core.serviceRemoved('web', []);
    expect(core.take(10)).toEqual([]);
    if (first !== undefined) core.finished(first, 'done', 0);
    expect(core.take(10).map(brief)).toEqual(['deregister web']);
  });

  it('removes the checks of a service that came back without them before it was deregistered', () => {
    const core = new SyncCore();
    core.serviceSet('web', true);
    core.checkSet('a', 'web', true);
    core.checkSet('b', 'web', true);
    for (const operation of core.take(10)) core.finished(operation, 'done', 0);
    core.serviceRemoved('web', ['a', 'b']);
    core.serviceSet('web', true);
    core.checkSet('b', 'web', true);
    const [registration, ...others] = core.take(10);
    expect([registration, ...others].map((operation) => operation && brief(operation))).toEqual([
      'register web b',
    ]);
    if (registration !== undefined) core.finished(registration, 'done', 0);
    expect(core.take(10).map(brief)).toEqual(['deregister-check a']);
  });

  it('tells a check of an unverified service together with the service', () => {
    const core = new SyncCore();
    core.serviceSet('web', false);
    core.checkSet('a', 'web', true);
    expect(core.take(10).map(brief)).toEqual(['register web a']);
  });

  it('keeps what nobody answered, and forgets what was given up or refused until the next comparison', () => {
    const core = new SyncCore();
    const outcomes = { kept: 'failed', blocked: 'given-up', bad: 'refused' } as const;
    for (const id of Object.keys(outcomes)) core.serviceSet(id, true);
    for (const operation of core.take(10))
      if (operation.kind === 'register-service')
        core.finished(operation, outcomes[operation.service as keyof typeof outcomes], 0);
    expect(core.take(10).map(brief)).toEqual(['register kept']);
    const local = inventory([service('kept'), service('blocked'), service('bad')]);
    core.compare(local, inventory([]), { compareOutput: false, nodeIsSame: true });
    expect(core.take(10).map(brief).sort()).toEqual(['register bad', 'register blocked']);
  });

  it('respects the limit', () => {
    const core = new SyncCore();
    for (let i = 0; i < 10; i++) core.serviceSet(`s${i}`, true);
    expect(core.take(3)).toHaveLength(3);
    expect(core.take(100)).toHaveLength(7);
  });

  it('registers a service again that the catalog lost', () => {
    const core = new SyncCore();
    core.serviceSet('web', false);
    core.compare(inventory([service('web')]), inventory([service('web')]), {
      compareOutput: false,
      nodeIsSame: true,
    });
    core.checkSet('a', 'web', true);
    const [lost] = core.take(10);
    if (lost !== undefined) core.finished(lost, 'refused', 0);
    core.serviceIsMissing('web');
    core.checkSet('a', 'web', true);
    expect(core.take(10).map(brief)).toEqual(['register web a']);
  });
});

describe('waiting for an item', () => {
  it('ends when the version that was asked about was tried, not an earlier one', () => {
    const core = new SyncCore();
    let tried = 0;
    core.serviceSet('web', true);
    const [old] = core.take(10);
    core.serviceSet('web', true);
    core.onServiceTried('web', () => tried++);
    if (old !== undefined) core.finished(old, 'done', 0);
    expect(tried).toBe(0);
    const [current] = core.take(10);
    if (current !== undefined) core.finished(current, 'failed', 0);
    expect(tried).toBe(1);
  });

  it('is over at once for what is told already or unknown', () => {
    const core = new SyncCore();
    let tried = 0;
    core.onServiceTried('nope', () => tried++);
    core.serviceSet('web', true);
    const [operation] = core.take(10);
    if (operation !== undefined) core.finished(operation, 'done', 0);
    core.onServiceTried('web', () => tried++);
    expect(tried).toBe(2);
  });

  it('ends for everything that is not under way when nobody answers', () => {
    const core = new SyncCore();
    let tried = 0;
    core.serviceSet('a', true);
    core.serviceSet('b', true);
    core.take(1);
    core.onServiceTried('a', () => tried++);
    core.onServiceTried('b', () => tried++);
    core.abandonWaiters();
    expect(tried).toBe(1);
    expect(core.pending).toBe(1);
  });
});
