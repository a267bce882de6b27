import { describe, expect, test } from 'vitest';
import { checkWriteArguments } from './argument-checks.ts';
import { check, preparedQuery, service, txnCheck, txnKv, txnNode, txnService } from './endpoints/samples.ts';

const KV = { verb: 'set', key: 'a', value: new Uint8Array(1), flags: 0, index: 2n ** 64n - 1n, session: '' };
const CHECK = {
  Node: 'n',
  CheckID: 'c',
  Name: '',
  Status: 'passing',
  Notes: '',
  Output: '',
  ServiceID: '',
  ServiceName: '',
  ServiceTags: null,
  Type: '',
  Definition: {},
};
const REGISTER = {
  Datacenter: '',
  ID: '',
  Node: 'n',
  Address: 'a',
  TaggedAddresses: { lan: 'a' },
  NodeMeta: null,
  Service: null,
  Check: CHECK,
  Checks: [CHECK],
  SkipNodeUpdate: false,
};

describe('checkWriteArguments', () => {
  test.each([
    ['KVS.Apply', KV],
    ['Catalog.Register', REGISTER],
    ['Session.Destroy', { id: 'x' }],
    ['Some.Other', 5],
    [
      'Txn.Apply',
      {
        ops: [
          { ...txnKv('set', 'k'), value: new Uint8Array(1), index: '18446744073709551615' },
          txnNode('set', 'n'),
          txnService('set', 'n', service('s', 's')),
          txnCheck('set', check('c', 'passing')),
        ],
      },
    ],
    ['PreparedQuery.Apply', { op: 'create', query: preparedQuery('q', {}, { Tags: ['x'] }) }],
    ['PreparedQuery.Apply', { op: 'delete', id: 'x' }],
    ['ConfigEntry.Apply', { op: 'cas', entry: { Kind: 'service-defaults', Name: 'x' }, index: 5 }],
  ])('%s passes', (name, args) => {
    expect(() => checkWriteArguments(name, args)).not.toThrow();
  });

  test.each([
    ['KVS.Apply', { ...KV, key: 5 }],
    ['KVS.Apply', { ...KV, value: 'text' }],
    ['KVS.Apply', { ...KV, flags: -1 }],
    ['KVS.Apply', { ...KV, flags: 2n ** 64n }],
    ['KVS.Apply', { ...KV, flags: 1.5 }],
    ['KVS.Apply', []],
    ['Catalog.Register', { ...REGISTER, TaggedAddresses: { lan: 1 } }],
    ['Catalog.Register', { ...REGISTER, Checks: [{ ...CHECK, Output: null }] }],
    ['Catalog.Register', { ...REGISTER, Service: { ID: 'x' } }],
    ['Catalog.Register', {}],
    ['Session.Destroy', { id: null }],
    ['Txn.Apply', { ops: [{ ...txnKv('set', 'k'), index: '-1' }] }],
    ['Txn.Apply', { ops: [{ ...txnKv('set', 'k'), kind: 'zap' }] }],
    ['Txn.Apply', { ops: [null] }],
    ['PreparedQuery.Apply', { op: 'zap', query: preparedQuery('q') }],
    ['PreparedQuery.Apply', { op: 'create', query: { ...preparedQuery('q'), Template: null } }],
    ['ConfigEntry.Apply', { op: 'upsert', entry: { Kind: 5, Name: 'x' } }],
    ['Coordinate.Update', { node: 'n', coordinate: { Vec: ['x'], Error: 1, Adjustment: 0, Height: 0 } }],
    [
      'Coordinate.Update',
      { node: 'n', coordinate: { Vec: [Number.NaN], Error: 1, Adjustment: 0, Height: 0 } },
    ],
  ])('%s with other kinds of values is refused', (name, args) => {
    expect(() => checkWriteArguments(name, args)).toThrow(`malformed arguments for ${name}`);
  });
});
