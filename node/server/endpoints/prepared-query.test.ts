import { beforeEach, describe, expect, it } from 'vitest';
import type { PreparedQueryDefinition, QueryService } from '../../../shared/types/prepared-query.ts';
import { catalogRegister, coordinateUpdate, sessionCreate, sessionDestroy } from '../../rpc/endpoints.ts';
import type { QueryExecuteArgs } from '../../rpc/query-endpoints.ts';
import {
  preparedQueryApply,
  preparedQueryExecute,
  preparedQueryExecuteRemote,
  preparedQueryExplain,
  preparedQueryGet,
  preparedQueryList,
} from '../../rpc/query-endpoints.ts';
import { Harness, streamOf } from './harness.ts';
import { check, preparedQuery, registration, service, sessionArgs } from './samples.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});

const create = (query: PreparedQueryDefinition) => harness.write(preparedQueryApply, { op: 'create', query });
const refusal = (query: PreparedQueryDefinition) =>
  harness.refusal(preparedQueryApply, { op: 'create', query });
const explain = (query: string) => harness.value(preparedQueryExplain, { query });
const TEMPLATE = { Type: 'name_prefix_match', Regexp: '', RemoveEmptyTags: false };
const UNKNOWN_ID = '3f6c9a2e-0000-4000-8000-333333333333';

describe('a prepared query', () => {
  it('has its keys in wire order and null for what was not given', () => {
    const id = create(preparedQuery('q', {}, { NodeMeta: { b: '1', a: '2' } }));
    expect(JSON.stringify(harness.value(preparedQueryGet, { id }))).toBe(
      `[{"ID":"${id}","Name":"q","Session":"","Token":"",` +
        '"Template":{"Type":"","Regexp":"","RemoveEmptyTags":false},' +
        '"Service":{"Service":"web","Failover":{"NearestN":0,"Datacenters":null},"OnlyPassing":false,' +
        '"IgnoreCheckIDs":null,"Near":"","Tags":null,"NodeMeta":{"a":"2","b":"1"},"ServiceMeta":null,' +
        `"Connect":false},"DNS":{"TTL":""},"CreateIndex":${harness.index},"ModifyIndex":${harness.index}}]`,
    );
  });

  it('is replaced, keeps its CreateIndex, and frees its old name', () => {
    const id = create(preparedQuery('old'));
    const created = harness.index;
    harness.write(preparedQueryApply, { op: 'update', query: preparedQuery('new', { ID: id }) });
    expect(harness.value(preparedQueryGet, { id: id.toUpperCase() })).toMatchObject([
      { Name: 'new', CreateIndex: created, ModifyIndex: harness.index },
    ]);
    expect(() => explain('old')).toThrow('Query not found');
    create(preparedQuery('old'));
    expect(harness.value(preparedQueryList, {})).toHaveLength(2);
    harness.write(preparedQueryApply, { op: 'delete', id });
    expect(harness.value(preparedQueryList, {})).toMatchObject([{ Name: 'old' }]);
  });

  it.each<[Partial<PreparedQueryDefinition>, Partial<QueryService>, string]>([
    [{ ID: UNKNOWN_ID }, {}, 'ID must be empty when creating a new prepared query'],
    [{ Name: '' }, {}, 'Invalid prepared query: Must be bound to a session'],
    [{}, { Service: '' }, 'Invalid prepared query: Must provide a Service name to query'],
    [
      {},
      { Failover: { NearestN: -1, Datacenters: null } },
      "Invalid prepared query: Bad NearestN '-1', must be >= 0",
    ],
    [{ DNS: { TTL: 'x' } }, {}, 'Invalid prepared query: Bad DNS TTL \'x\': time: invalid duration "x"'],
    [{ DNS: { TTL: '-5s' } }, {}, "Invalid prepared query: DNS TTL '-5000000000', must be >=0"],
    [{ Session: 'junk' }, {}, 'invalid session: index error: UUID must be 36 characters'],
    [{ Session: UNKNOWN_ID }, {}, `invalid session "${UNKNOWN_ID}"`],
    [{ Template: { ...TEMPLATE, Type: 'zz' } }, {}, "failed compiling template: Bad Template.Type 'zz'"],
    [{ Name: 'TAKEN' }, {}, "name 'TAKEN' aliases an existing query name"],
  ])('is refused with %j %j: %s', (rest, looksFor, text) => {
    create(preparedQuery('taken'));
    expect(refusal(preparedQuery('q', rest, looksFor))).toBe(`500 ${text}`);
    expect(harness.value(preparedQueryList, {})).toHaveLength(1);
  });

  it('can only be changed when it is there', () => {
    const update = (ID: string) =>
      harness.refusal(preparedQueryApply, { op: 'update', query: preparedQuery('q', { ID }) });
    const missing = `500 Cannot modify non-existent prepared query: '${UNKNOWN_ID}'`;
    const junk =
      '500 Prepared Query lookup failed: failed prepared query lookup: index error: UUID must be 36 characters';
    expect(update(UNKNOWN_ID)).toBe(missing);
    expect(update('junk')).toBe(junk);
    expect(harness.refusal(preparedQueryApply, { op: 'delete', id: UNKNOWN_ID })).toBe(missing);
    expect(() => harness.value(preparedQueryGet, { id: UNKNOWN_ID })).toThrow('Query not found');
    expect(() => harness.value(preparedQueryGet, { id: 'junk' })).toThrow('UUID must be 36 characters');
  });

  it('may not be called like the ID of another', () => {
    const id = create(preparedQuery('q'));
    expect(refusal(preparedQuery(id))).toBe(`500 name '${id}' aliases an existing query ID`);
  });

  it('ends with its session', () => {
    harness.write(catalogRegister, registration('n1'));
    const session = harness.write(sessionCreate, sessionArgs('n1'));
    create(preparedQuery('', { Session: session.toUpperCase() }));
    create(preparedQuery('other'));
    harness.write(sessionDestroy, { id: session });
    expect(harness.value(preparedQueryList, {})).toMatchObject([{ Name: 'other' }]);
    expect(harness.store.tables.preparedQueriesBySession.size).toBe(0);
  });
});

describe('a name', () => {
  it('leads to the query of that ID, then of that name, then to the longest template', async () => {
    const id = create(preparedQuery('geo-exact', {}, { Service: 'exact' }));
    create(preparedQuery('', { Template: TEMPLATE }, { Service: 'any' }));
    create(preparedQuery('geo-', { Template: TEMPLATE }, { Service: 'geo' }));
    const long = create(preparedQuery('GEO-db', { Template: TEMPLATE }, { Service: '\u0024{name.suffix}' }));
    const expectResolved = () => {
      expect(explain(id).Service.Service).toBe('exact');
      expect(explain('Geo-Exact').Service.Service).toBe('exact');
      expect(explain('geo-x').Service.Service).toBe('geo');
      expect(explain('other').Service.Service).toBe('any');
      expect(explain('geo-db1')).toMatchObject({ ID: long, Name: 'GEO-db', Service: { Tags: [] } });
      expect(() => explain(long)).toThrow('prepared query templates can only be resolved up by name');
    };
    expectResolved();
    // Templates are compiled anew from a snapshot.
    await harness.machine.restore(streamOf(await harness.snapshot()));
    expectResolved();
    expect(refusal(preparedQuery('', { Template: TEMPLATE }))).toBe(
      '500 a query template with an empty name already exists',
    );
  });

  it('of nothing is not found', () => {
    expect(() => explain('')).toThrow('Query not found');
    expect(() => explain(UNKNOWN_ID)).toThrow('Query not found');
  });
});

describe('an execution', () => {
  const instances: readonly (readonly [string, string, string, string[]])[] = [
    ['a', 'near', 'passing', ['Primary', 'all']],
    ['b', 'near', 'warning', ['all']],
    ['c', 'far', 'critical', ['all']],
  ];
  beforeEach(() => {
    for (const [node, zone, status, tags] of instances) {
      const request = registration(node, {
        Address: `10.0.0.${node}`,
        NodeMeta: { zone },
        Service: service('w', 'web', { Tags: tags, Meta: { rank: node } }),
        Check: check('up', status, { ServiceID: 'w' }),
      });
      harness.write(catalogRegister, request);
    }
  });

  const ASK: QueryExecuteArgs = { query: 'q', connect: false, near: '', agentNode: 'b', sourceAddress: '' };
  const execute = (rest: Partial<QueryExecuteArgs> = {}) =>
    harness.value(preparedQueryExecute, { ...ASK, ...rest });
  const found = (looksFor: Partial<QueryService>) => {
    const id = create(preparedQuery('q', {}, looksFor));
    const names = execute().nodes.map((entry) => entry.Node.Node);
    harness.write(preparedQueryApply, { op: 'delete', id });
    return names.join('');
  };

  it('finds what is healthy enough and fits', () => {
    expect(found({})).toBe('ab');
    expect(found({ Service: 'WEB' })).toBe('ab');
    expect(found({ OnlyPassing: true })).toBe('a');
    expect(found({ IgnoreCheckIDs: ['up'] })).toBe('abc');
    expect(found({ Tags: ['PRIMARY'] })).toBe('a');
    expect(found({ Tags: ['all', '!primary'] })).toBe('b');
    expect(found({ NodeMeta: { zone: 'near' } })).toBe('ab');
    expect(found({ NodeMeta: { zone: 'far' } })).toBe('');
    expect(found({ ServiceMeta: { rank: 'b' } })).toBe('b');
    expect(found({ Connect: true })).toBe('');
  });

  it('is the same answer until something that it looked at changes', () => {
    create(preparedQuery('q', {}, { Near: '_agent' }));
    const before = execute();
    harness.write(catalogRegister, registration('elsewhere'));
    expect(execute()).toBe(before);
    harness.write(catalogRegister, registration('a', { Check: check('node', 'critical') }));
    expect(execute().nodes).toHaveLength(1);
  });

  it('knows distances from what it is to be near to', () => {
    create(preparedQuery('q', {}, { IgnoreCheckIDs: ['up'], Near: '_agent' }));
    expect(execute()).toMatchObject({ near: 'b', ranks: null });
    const at = (node: string, x: number) =>
      harness.write(coordinateUpdate, {
        node,
        coordinate: { Vec: [x, 0, 0, 0, 0, 0, 0, 0], Error: 0, Adjustment: 0, Height: 0 },
      });
    at('b', 0);
    at('c', 0);
    expect(execute().ranks).toEqual([1, 0, 0]);
    expect(execute({ near: 'C' })).toMatchObject({ near: 'C', ranks: [1, 0, 0] });
    expect(execute({ near: '_ip' })).toMatchObject({ near: '', wantsSource: true });
    const asked = execute({ near: '_ip', sourceAddress: '10.0.0.c' });
    expect(asked).toMatchObject({ near: 'c', wantsSource: false, ranks: [1, 0, 0] });
    expect(execute({ near: '_ip', sourceAddress: '10.9.9.9' })).toMatchObject({ near: '', ranks: null });
  });

  it('for another datacenter knows no distance', () => {
    const { Service: wanted, DNS: dns } = preparedQuery('q', { DNS: { TTL: '3s' } }, { Near: '_ip' });
    const matches = harness.value(preparedQueryExecuteRemote, { service: wanted, dns, connect: false });
    expect(matches).toMatchObject({ near: '', wantsSource: false, dns: { TTL: '3s' } });
    expect(matches.nodes).toHaveLength(2);
  });

  it('of an unknown query fails', () => {
    expect(() => execute({ query: 'none' })).toThrow('Query not found');
  });
});
