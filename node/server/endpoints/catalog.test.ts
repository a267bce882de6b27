import { beforeEach, describe, expect, it } from 'vitest';
import type { RegisterRequest } from '../../../shared/types/v1.ts';
import {
  catalogDeregister,
  catalogListDatacenters,
  catalogListNodes,
  catalogListServices,
  catalogNodeServiceList,
  catalogNodeServices,
  catalogRegister,
  catalogServiceNodes,
  coordinateListNodes,
  coordinateUpdate,
  healthChecksInState,
  healthNodeChecks,
  healthServiceChecks,
  healthServiceNodes,
  NO_MODIFIERS,
} from '../../rpc/endpoints.ts';
import { checkTypeOf } from './check-type.ts';
import { Harness } from './harness.ts';
import { check, deregistration, healthArgs, registration, service, serviceArgs } from './samples.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});

const register = (...args: Parameters<typeof registration>) =>
  harness.write(catalogRegister, registration(...args));
const refusal = (...args: Parameters<typeof registration>) =>
  harness.refusal(catalogRegister, registration(...args));
const deregister = (...args: Parameters<typeof deregistration>) =>
  harness.write(catalogDeregister, deregistration(...args));
const nodeNames = () => harness.value(catalogListNodes, NO_MODIFIERS).map(({ Node }) => Node);
const nodeRecord = (name: string) =>
  harness.value(catalogListNodes, NO_MODIFIERS).find(({ Node }) => Node === name);

const ID1 = 'aaaaaaaa-0000-0000-0000-000000000001';
const ID2 = 'AAAAAAAA-0000-0000-0000-000000000002';

describe('wire form', () => {
  beforeEach(() => {
    register('n1', {
      ID: ID1,
      TaggedAddresses: { wan: '192.0.2.1', lan: '10.0.0.1' },
      NodeMeta: { rack: 'r1', empty: '' },
      Service: service('db1', 'db', {
        Tags: ['main', 'v9'],
        Address: '10.0.0.7',
        Port: 5432,
        Meta: { engine: 'pg' },
        TaggedAddresses: { lan: { Address: '10.0.0.7', Port: 5432 } },
        Weights: { Passing: 3, Warning: 1 },
        EnableTagOverride: true,
      }),
      Checks: [
        check('up', 'passing', { ServiceID: 'db1', Notes: 'n', Output: 'o' }),
        check('disk', '', { Name: 'disk space' }),
      ],
    });
  });

  const NODE =
    `{"ID":"${ID1}","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1","TaggedAddresses":` +
    '{"lan":"10.0.0.1","wan":"192.0.2.1"},"Meta":{"empty":"","rack":"r1"},"CreateIndex":11,"ModifyIndex":11}';
  const SERVICE =
    '{"ID":"db1","Service":"db","Tags":["main","v9"],"Address":"10.0.0.7","TaggedAddresses":{"lan":' +
    '{"Address":"10.0.0.7","Port":5432}},"Meta":{"engine":"pg"},"Port":5432,"Weights":{"Passing":3,"Warning":1},' +
    '"EnableTagOverride":true,"Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{},"CreateIndex":11,"ModifyIndex":11}';
  const UP =
    '{"Node":"n1","CheckID":"up","Name":"up","Status":"passing","Notes":"n","Output":"o","ServiceID":"db1",' +
    '"ServiceName":"db","ServiceTags":["main","v9"],"Type":"","Definition":{},"CreateIndex":11,"ModifyIndex":11}';
  const DISK =
    '{"Node":"n1","CheckID":"disk","Name":"disk space","Status":"critical","Notes":"","Output":"","ServiceID":"",' +
    '"ServiceName":"","ServiceTags":[],"Type":"","Definition":{},"CreateIndex":11,"ModifyIndex":11}';

  it.each([
    ['nodes', () => harness.value(catalogListNodes, NO_MODIFIERS), `[${NODE}]`],
    [
      'node services by ID',
      () => harness.value(catalogNodeServices, { node: 'n1', filter: '' }),
      `{"Node":${NODE},"Services":{"db1":${SERVICE}}}`,
    ],
    [
      'node services as a list',
      () => harness.value(catalogNodeServiceList, { node: 'N1', filter: '' }),
      `{"Node":${NODE},"Services":[${SERVICE}]}`,
    ],
    [
      'checks of a node',
      () => harness.value(healthNodeChecks, { node: 'n1', filter: '' }),
      `[${DISK},${UP}]`,
    ],
    [
      'checks of a service',
      () => harness.value(healthServiceChecks, { service: 'DB', ...NO_MODIFIERS }),
      `[${UP}]`,
    ],
    [
      'checks in a state',
      () => harness.value(healthChecksInState, { state: 'critical', ...NO_MODIFIERS }),
      `[${DISK}]`,
    ],
    [
      'no checks in a state of other case',
      () => harness.value(healthChecksInState, { state: 'CRITICAL', ...NO_MODIFIERS }),
      '[]',
    ],
    [
      'health of a service, checks of the node first',
      () => harness.value(healthServiceNodes, healthArgs('db')),
      `[{"Node":${NODE},"Service":${SERVICE},"Checks":[${DISK},${UP}]}]`,
    ],
    ['service names', () => harness.value(catalogListServices, { nodeMeta: {} }), '{"db":["main","v9"]}'],
    ['datacenters', () => harness.value(catalogListDatacenters, {}), '["dc1"]'],
  ])('of %s', (_, ask, expected) => {
    expect(JSON.stringify(ask())).toBe(expected);
  });

  it('of instances, flat', () => {
    expect(JSON.stringify(harness.value(catalogServiceNodes, serviceArgs('db'))[0])).toBe(
      `{"ID":"${ID1}","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1","TaggedAddresses":{"lan":"10.0.0.1",` +
        '"wan":"192.0.2.1"},"NodeMeta":{"empty":"","rack":"r1"},"ServiceKind":"","ServiceID":"db1","ServiceName":"db",' +
        '"ServiceTags":["main","v9"],"ServiceAddress":"10.0.0.7","ServiceTaggedAddresses":{"lan":{"Address":"10.0.0.7",' +
        '"Port":5432}},"ServiceWeights":{"Passing":3,"Warning":1},"ServiceMeta":{"engine":"pg"},"ServicePort":5432,' +
        '"ServiceEnableTagOverride":true,"ServiceProxy":{"MeshGateway":{},"Expose":{}},"ServiceConnect":{},' +
        '"CreateIndex":11,"ModifyIndex":11}',
    );
  });

  it('of what was not given', () => {
    register('n2', { Service: service('x', 'x') });
    expect(nodeRecord('n2')).toMatchObject({ ID: '', TaggedAddresses: null, Meta: null });
    expect(harness.value(catalogServiceNodes, serviceArgs('x'))[0]).toMatchObject({
      TaggedAddresses: null,
      NodeMeta: null,
      ServiceTags: [],
      ServiceMeta: {},
    });
    expect(harness.value(healthServiceNodes, healthArgs('x'))[0]?.Service).toMatchObject({
      Tags: [],
      Meta: null,
    });
    register('n3');
    expect(harness.value(catalogNodeServices, { node: 'n3', filter: '' })?.Services).toEqual({});
    expect(harness.value(catalogNodeServiceList, { node: 'n3', filter: '' }).Services).toBeNull();
    expect(harness.value(catalogNodeServices, { node: 'n9', filter: '' })).toBeNull();
    expect(harness.value(catalogNodeServiceList, { node: 'n9', filter: '' })).toEqual({
      Node: null,
      Services: null,
    });
  });
});

describe('registration', () => {
  it.each([
    [{ Node: '' }, 'Must provide node'],
    [{ Address: '' }, 'Must provide address if SkipNodeUpdate is not set'],
    [{ ID: 'short' }, 'Bad node ID: uuid string is wrong length'],
    [{ ID: 'x'.repeat(36) }, 'Bad node ID: uuid is improperly formatted'],
    [{ Service: service('x', '') }, 'Must provide service name with ID'],
    [
      { Service: service('', '') },
      'failed inserting service: failed inserting service: object missing primary index',
    ],
    [{ Service: service('', 'x', { Address: '0.0.0.0' }) }, 'Invalid service address'],
    [{ Service: service('', 'x', { Address: '::' }) }, 'Invalid service address'],
    [{ Check: check('c', '', { Node: 'y' }) }, 'check node "y" does not match node "n1"'],
    [
      { Check: check('c', '', { ServiceID: 'none' }) },
      'failed inserting check: Missing service registration on node "n1"',
    ],
    [
      { Service: service('y', 'y', { Meta: { 'a b': '1' } }) },
      "failed inserting service: Invalid Service Meta for node n1 and serviceID y: Couldn't load metadata pair ('a b', '1'): Key contains invalid characters",
    ],
  ] as [Partial<RegisterRequest>, string][])('with %j is refused: %s', (rest, text) => {
    expect(refusal('n1', rest)).toBe(`500 ${text}`);
    expect(nodeNames()).toEqual([]);
  });

  it('is all or nothing', async () => {
    register('n1', { Service: service('a', 'a') });
    const before = await harness.snapshot();
    const bad = {
      Address: '10.9.9.9',
      Service: service('a', 'renamed'),
      Checks: [check('fine', 'passing'), check('c', '', { ServiceID: 'none' })],
    };
    expect(refusal('n1', bad)).toContain('Missing service registration');
    expect(await harness.snapshot()).toEqual(before);
  });

  it('fills in what was left out', () => {
    register('n1', {
      Service: service('', 'web', { Weights: { Passing: -1, Warning: 0 } }),
      Checks: [
        check('', '', { Name: 'by name' }),
        check('t', 'passing', { Definition: { TCP: 'x:1', Interval: '10s' } }),
      ],
    });
    expect(harness.value(catalogServiceNodes, serviceArgs('web'))[0]).toMatchObject({
      ServiceID: 'web',
      Datacenter: 'dc1',
      ServiceWeights: { Passing: 1, Warning: 1 },
    });
    expect(harness.value(healthNodeChecks, { node: 'n1', filter: '' })).toMatchObject([
      { CheckID: 'by name', Status: 'critical', Type: '' },
      { CheckID: 't', Type: 'tcp' },
    ]);
  });

  it('changes only what differs', () => {
    const full = {
      NodeMeta: { a: '1', b: '2' },
      Service: service('web1', 'web', { Tags: ['x'] }),
      Check: check('c', 'passing', { ServiceID: 'web1' }),
    };
    register('n1', full);
    const created = harness.index;
    register('n1', { ...full, NodeMeta: { b: '2', a: '1' } });
    register('n1', { ...full, Check: check('c', 'warning', { ServiceID: 'web1' }) });
    const [entry] = harness.value(healthServiceNodes, healthArgs('web'));
    expect(entry?.Node.ModifyIndex).toBe(created);
    expect(entry?.Service.ModifyIndex).toBe(created);
    expect(entry?.Checks[0]).toMatchObject({
      CreateIndex: created,
      ModifyIndex: harness.index,
      Status: 'warning',
    });
  });

  it('replaces a node whole, unless told to skip it', () => {
    register('n1', { NodeMeta: { a: '1' } });
    register('n1', { Address: '10.9.9.9', NodeMeta: { a: '2' }, SkipNodeUpdate: true });
    expect(nodeRecord('n1')).toMatchObject({ Address: '10.0.0.1', Meta: { a: '1' } });
    register('n1', { Address: '10.9.9.9' });
    expect(nodeRecord('n1')).toMatchObject({ Address: '10.9.9.9', Meta: null });
    register('new', { Address: '', SkipNodeUpdate: true });
    expect(nodeNames()).toContain('new');
  });

  it('looks names up in any case and stores them as given last', () => {
    register('Node-A', { Service: service('Web1', 'Web') });
    register('node-a', { Address: '10.9.9.9', Service: service('WEB1', 'web') });
    expect(nodeNames()).toEqual(['node-a']);
    expect(harness.value(catalogServiceNodes, serviceArgs('WEB')).map(({ ServiceID }) => ServiceID)).toEqual([
      'WEB1',
    ]);
    expect(harness.value(catalogListServices, { nodeMeta: {} })).toEqual({ web: [] });
  });

  it('moves an instance to its new name', () => {
    register('n1', { Service: service('same', 'tw') });
    register('n2', { Service: service('same', 'tw') });
    register('n2', { Service: service('same', 'tx', { Port: 3 }) });
    expect(harness.value(catalogServiceNodes, serviceArgs('tw')).map(({ Node }) => Node)).toEqual(['n1']);
    expect(harness.value(catalogServiceNodes, serviceArgs('tx'))).toHaveLength(1);
    deregister('n1', { ServiceID: 'same' });
    expect(harness.value(catalogListServices, { nodeMeta: {} })).toEqual({ tx: [] });
  });

  it('survives names like those of object internals and names with separators', () => {
    register('__proto__', { NodeMeta: { constructor: 'x' }, Service: service('__proto__', '__proto__') });
    register('a\0b', { Service: service('c', 'constructor') });
    register('a', { Service: service('b\0c', 'x\0y') });
    expect(Object.keys(harness.value(catalogListServices, { nodeMeta: {} }))).toEqual([
      '__proto__',
      'constructor',
      'x\0y',
    ]);
    expect(harness.value(catalogServiceNodes, serviceArgs('x'))).toEqual([]);
    expect(harness.value(catalogNodeServiceList, { node: 'a', filter: '' }).Services).toHaveLength(1);
    expect(harness.value(catalogServiceNodes, serviceArgs('x', { nodeMeta: { toString: 'x' } }))).toEqual([]);
  });
});

describe('node IDs', () => {
  const alive = { Check: check('serfHealth', 'passing') };

  it('rename their node: what it had under the old name goes', () => {
    register('old', { ID: ID1, Service: service('web1', 'web'), ...alive });
    const created = harness.index;
    register('new', { ID: ID1 });
    expect(nodeNames()).toEqual(['new']);
    expect(nodeRecord('new')).toMatchObject({ CreateIndex: created, ModifyIndex: harness.index });
    expect(harness.value(catalogServiceNodes, serviceArgs('web'))).toEqual([]);
    expect(harness.value(healthChecksInState, { state: 'any', ...NO_MODIFIERS })).toEqual([]);
  });

  it('keep what the node has when only the case of its name changes', () => {
    register('node', { ID: ID1, Service: service('web1', 'web'), ...alive });
    register('Node', { ID: ID1 });
    expect(nodeNames()).toEqual(['Node']);
    expect(harness.value(healthServiceNodes, healthArgs('web'))).toMatchObject([{ Node: { Node: 'Node' } }]);
  });

  it('cannot take the name of a live node', () => {
    register('x', { ID: ID2, ...alive });
    expect(refusal('x', { ID: ID1 })).toBe(
      `500 failed inserting node: Error while renaming Node ID: "${ID1}": Node name x is reserved by node ${ID2} with name x (10.0.0.1)`,
    );
    register('y', { ID: ID1 });
    expect(refusal('x', { ID: ID1 })).toContain(
      `Error while renaming Node ID: "${ID1}" (10.0.0.1): Node name x`,
    );
  });

  it('may take the name of a node that is critical, has no agent, or has no ID', () => {
    register('critical', { ID: ID2, Check: check('serfHealth', 'critical') });
    expect(refusal('critical', { ID: ID1 })).toBeUndefined();
    register('external', { ID: ID2 });
    expect(refusal('external', { ID: ID1 })).toBeUndefined();
    register('anonymous', alive);
    expect(refusal('anonymous', { ID: ID2 })).toBeUndefined();
    expect(nodeNames()).toEqual(['anonymous', 'external']);
  });

  it('find a node by a prefix that fits only one', () => {
    register('n1', { ID: ID1 });
    const find = (node: string) => harness.value(catalogNodeServiceList, { node, filter: '' }).Node?.Node;
    expect([find('aa'), find('AAAA'), find(ID1), find('a'), find('bb')]).toEqual([
      'n1',
      'n1',
      'n1',
      undefined,
      undefined,
    ]);
    register('n2', { ID: ID2 });
    expect([find('aa'), find(ID1), find(ID2.toLowerCase())]).toEqual([undefined, 'n1', 'n2']);
    register('aa');
    expect(find('aa')).toBe('aa');
  });
});

describe('deregistration', () => {
  beforeEach(() => {
    register('n1', {
      Service: service('web1', 'web'),
      Checks: [check('node', 'passing'), check('up', 'passing', { ServiceID: 'web1' })],
    });
  });
  const checks = () =>
    harness.value(healthNodeChecks, { node: 'n1', filter: '' }).map(({ CheckID }) => CheckID);

  it('of a service takes its checks along; a check named beside it is ignored', () => {
    deregister('n1', { ServiceID: 'WEB1', CheckID: 'node' });
    expect(checks()).toEqual(['node']);
    expect(harness.value(catalogListServices, { nodeMeta: {} })).toEqual({});
  });

  it('of a check leaves the rest', () => {
    deregister('N1', { CheckID: 'NODE' });
    expect(checks()).toEqual(['up']);
  });

  it('of a node takes everything along', () => {
    harness.write(coordinateUpdate, {
      node: 'n1',
      coordinate: { Vec: Array(8).fill(0), Error: 1, Adjustment: 0, Height: 0 },
    });
    deregister('n1');
    const { tables } = harness.store;
    for (const table of [
      'nodes',
      'instances',
      'instancesByName',
      'serviceTags',
      'checks',
      'checksByState',
      'coordinates',
    ] as const) {
      expect([table, tables[table].size]).toEqual([table, 0]);
    }
  });

  it('of what is unknown is fine; without a node it is refused', () => {
    expect(deregister('none')).toBe(true);
    expect(deregister('none', { ServiceID: 'x' })).toBe(true);
    expect(deregister('n1', { CheckID: 'x' })).toBe(true);
    expect(harness.refusal(catalogDeregister, deregistration(''))).toBe('500 Must provide node');
  });
});

describe('narrowing', () => {
  beforeEach(() => {
    register('a', {
      NodeMeta: { zone: 'z1', kind: 'small' },
      Service: service('w', 'web', { Tags: ['T1', 'x'] }),
    });
    register('b', { NodeMeta: { zone: 'z1', kind: 'big' }, Service: service('w', 'web', { Tags: ['t1'] }) });
    register('c', { Service: service('w', 'web'), Check: check('up', 'warning', { ServiceID: 'w' }) });
    const at = (node: string, x: number) =>
      harness.write(coordinateUpdate, {
        node,
        coordinate: { Vec: [x, 0, 0, 0, 0, 0, 0, 0], Error: 0.1, Adjustment: 0, Height: 0.0001 },
      });
    at('a', 0.3);
    at('b', 0.12);
    at('nobody', 1);
  });
  const found = (rest: object) =>
    harness.value(catalogServiceNodes, serviceArgs('web', rest)).map(({ Node }) => Node);

  it.each([
    [{ tags: ['t1'] }, ['a', 'b']],
    [{ tags: ['T1', 'X'] }, ['a']],
    [{ tags: ['none'] }, []],
    [{ nodeMeta: { zone: 'z1' } }, ['a', 'b']],
    [{ nodeMeta: { zone: 'z1', kind: 'big' } }, ['b']],
    [{ nodeMeta: { zone: '' } }, []],
    [{ near: 'b' }, ['b', 'a', 'c']],
    [{ near: 'A' }, ['a', 'b', 'c']],
    [{ near: 'c' }, ['a', 'b', 'c']],
    [{ near: 'none' }, ['a', 'b', 'c']],
    [{ kind: 'ingress' }, []],
  ])('by %j gives %j', (rest, expected) => {
    expect(found(rest)).toEqual(expected);
  });

  it('applies to nodes, service names, checks and health alike', () => {
    const nodeMeta = { zone: 'z1' };
    expect(
      harness.value(catalogListNodes, { ...NO_MODIFIERS, nodeMeta, near: 'b' }).map(({ Node }) => Node),
    ).toEqual(['b', 'a']);
    expect(harness.value(catalogListServices, { nodeMeta })).toEqual({ web: ['T1', 'x', 't1'] });
    expect(harness.value(healthServiceChecks, { service: 'web', ...NO_MODIFIERS, nodeMeta })).toEqual([]);
    expect(
      harness
        .value(healthServiceNodes, healthArgs('web', { passingOnly: true }))
        .map(({ Node }) => Node.Node),
    ).toEqual(['a', 'b']);
  });

  it('applies filters before sorting, and refuses bad ones even on empty lists', () => {
    expect(found({ filter: 'NodeMeta.zone == z1', near: 'b' })).toEqual(['b', 'a']);
    expect(
      harness
        .value(healthServiceNodes, healthArgs('web', { filter: 'Checks is empty' }))
        .map(({ Node }) => Node.Node),
    ).toEqual(['a', 'b']);
    const onNode = (filter: string) => harness.value(catalogNodeServiceList, { node: 'a', filter }).Services;
    expect(onNode('x in Tags')).toHaveLength(1);
    expect(onNode('y in Tags')).toEqual([]);
    const bad = { ...NO_MODIFIERS, filter: 'Nope == 1' };
    const text = 'Failed to create boolean expression evaluator: Selector "Nope" is not valid';
    expect(() => harness.read(catalogListNodes, bad)).toThrow(text);
    expect(() => harness.read(catalogServiceNodes, serviceArgs('none', bad))).toThrow(text);
    expect(() => harness.read(catalogNodeServices, { node: 'none', filter: bad.filter })).toThrow(text);
    expect(() => harness.read(healthNodeChecks, { node: 'none', filter: bad.filter })).toThrow(text);
    expect(() => harness.read(healthChecksInState, { state: 'any', ...bad })).toThrow(text);
  });

  it('follows coordinates as they change, without waking anyone for it', () => {
    const args = serviceArgs('web', { near: 'c' });
    const before = harness.read(catalogServiceNodes, args);
    let wakes = 0;
    harness.store.watch(before.topics, () => wakes++);
    harness.write(coordinateUpdate, {
      node: 'c',
      coordinate: { Vec: [0.11, 0, 0, 0, 0, 0, 0, 0], Error: 0.1, Adjustment: 0, Height: 0 },
    });
    const after = harness.read(catalogServiceNodes, args);
    expect(after.value.map(({ Node }) => Node)).toEqual(['c', 'b', 'a']);
    expect([after.index, wakes]).toEqual([before.index, 0]);
  });

  it('finds proxies and native instances for the mesh', () => {
    register('a', {
      Service: service('p', 'web-proxy', {
        Kind: 'connect-proxy',
        Proxy: { DestinationServiceName: 'Web', MeshGateway: {}, Expose: {} },
      }),
    });
    register('b', { Service: service('n', 'web', { Connect: { Native: true } }) });
    const connect = harness.value(
      healthServiceNodes,
      healthArgs('web', { kind: 'connect', tags: ['ignored'] }),
    );
    expect(connect.map(({ Service }) => Service.ID)).toEqual(['p', 'n']);
    expect(connect[0]?.Service.Kind).toBe('connect-proxy');
  });
});

describe('coordinates', () => {
  const zero = { Vec: Array<number>(8).fill(0), Error: 1, Adjustment: 0, Height: 0 };

  it('are kept for known nodes', () => {
    register('N1');
    harness.write(coordinateUpdate, { node: 'n1', coordinate: zero });
    harness.write(coordinateUpdate, { node: 'nope', coordinate: zero });
    expect(harness.value(coordinateListNodes, {})).toEqual([{ Node: 'N1', Segment: '', Coord: zero }]);
  });

  it('must have our dimensions and be finite', () => {
    const update = (coordinate: typeof zero) => harness.refusal(coordinateUpdate, { node: 'n1', coordinate });
    expect(update({ ...zero, Vec: [1, 2] })).toBe('500 incompatible coordinate');
    expect(update({ ...zero, Height: Number.NaN })).toBe('500 invalid coordinate');
  });
});

it.each([
  [{ HTTP: 'http://x', Interval: '10s' }, 'http'],
  [{ GRPC: 'x', Interval: '10s' }, 'grpc'],
  [{ TTL: 1 }, 'ttl'],
  [{ ScriptArgs: ['x'], Interval: '1s' }, 'script'],
  [{ ScriptArgs: ['x'], Interval: '1s', DockerContainerID: 'd' }, 'docker'],
  [{ AliasService: 'x' }, 'alias'],
  [{ HTTP: 'http://x' }, ''],
  [{}, ''],
])('a check defined by %j is of type %j', (definition, type) => {
  expect(checkTypeOf(definition)).toBe(type);
});
