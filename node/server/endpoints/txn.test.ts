import { beforeEach, describe, expect, it } from 'vitest';
import type { TxnOp, TxnOutcome } from '../../../shared/types/txn.ts';
import {
  catalogNodeServices,
  catalogRegister,
  healthServiceNodes,
  kvApply,
  kvGet,
  kvList,
  sessionCreate,
  sessionDestroy,
} from '../../rpc/endpoints.ts';
import { txnApply, txnRead } from '../../rpc/txn-endpoints.ts';
import { Harness } from './harness.ts';
import {
  check,
  healthArgs,
  kvWrite,
  registration,
  service,
  sessionArgs,
  txnCheck,
  txnKv,
  txnNode,
  txnService,
} from './samples.ts';

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
  harness.write(catalogRegister, registration('n1', { Service: service('w', 'web', { Port: 80 }) }));
});

const apply = (...ops: TxnOp[]): TxnOutcome => harness.write(txnApply, { ops });
const read = (...ops: TxnOp[]): TxnOutcome => harness.value(txnRead, { ops });
const problems = (outcome: TxnOutcome) => outcome.Errors?.map(({ OpIndex, What }) => `${OpIndex} ${What}`);
const bytes = (text: string) => new TextEncoder().encode(text);
const entry = (key: string) => harness.value(kvGet, { key })[0];

describe('a transaction', () => {
  it('writes everything at one index, and sees its own writes', () => {
    const outcome = apply(
      txnKv('set', 'a', { value: bytes('1'), flags: 2n ** 64n - 1n }),
      txnNode('set', 'n2', { Address: '10.0.0.2' }),
      txnService('set', 'n2', service('db1', 'db')),
      txnCheck('set', check('up', 'passing', { Node: 'n2', ServiceID: 'db1' })),
      txnKv('get', 'a'),
    );
    expect(outcome.Errors).toBeNull();
    const { index } = harness;
    expect(outcome.Results).toMatchObject([
      { KV: { Key: 'a', Value: null, ModifyIndex: index } },
      { Node: { Node: 'n2', Datacenter: 'dc1', ModifyIndex: index } },
      { Service: { ID: 'db1', Tags: null, ModifyIndex: index } },
      { Check: { CheckID: 'up', ServiceName: 'db', ServiceTags: null, ModifyIndex: index } },
      { KV: { Key: 'a', Value: 'MQ==', Flags: 2n ** 64n - 1n } },
    ]);
    expect(harness.value(healthServiceNodes, healthArgs('db'))).toMatchObject([
      { Node: { Node: 'n2' }, Service: { ID: 'db1' }, Checks: [{ CheckID: 'up' }] },
    ]);
  });

  it('with a failing operation changes nothing at all and tells every failure', async () => {
    harness.write(kvApply, kvWrite('set', 'keep', 'x'));
    const before = await harness.snapshot();
    const outcome = apply(
      txnKv('set', 'new', { value: bytes('1') }),
      txnKv('delete-tree', ''),
      txnNode('delete', 'n1'),
      txnKv('cas', 'new', { index: '1' }),
      txnKv('get', 'missing'),
      txnService('set', 'n1', service('w', 'web')),
      txnNode('hop', 'n1'),
    );
    expect(outcome.Results).toBeNull();
    expect(problems(outcome)).toEqual([
      '3 failed to set key "new", index is stale',
      `4 key "missing" doesn't exist`,
      '5 Missing node registration',
      '6 unknown Node verb "hop"',
    ]);
    expect(await harness.snapshot()).toEqual(before);
    expect(entry('keep')).toMatchObject({ Key: 'keep' });
  });

  it('with a malformed operation is not even logged', () => {
    const logged = harness.log.length;
    const outcome = apply(
      txnKv('set', ''),
      txnKv('set', 'fine'),
      txnKv('get-tree', ''),
      txnNode('set', ''),
      txnNode('set', 'n', { ID: 'zz' }),
      txnService('set', 'n1', service('id', '')),
      txnService('set', 'n1', service('', 'x', { Address: '0.0.0.0' })),
    );
    expect(problems(outcome)).toEqual([
      '0 Must provide key',
      '2 Must provide key',
      '3 Must provide node',
      '4 Bad node ID: uuid string is wrong length',
      '5 Must provide service name with ID',
      '6 Invalid service address',
    ]);
    expect(harness.log.length).toBe(logged);
  });
});

describe('key verbs', () => {
  it('lock and unlock for a session', () => {
    const session = harness.write(sessionCreate, sessionArgs('n1', { lockDelayNs: 5e9 }));
    const other = harness.write(sessionCreate, sessionArgs('n1'));
    expect(apply(txnKv('lock', 'l', { session })).Results).toMatchObject([
      { KV: { LockIndex: 1, Session: session } },
    ]);
    expect(problems(apply(txnKv('lock', 'l', { session: other })))).toEqual([
      '0 failed to lock key "l", lock is already held',
    ]);
    expect(problems(apply(txnKv('unlock', 'l', { session: other })))).toEqual([
      `0 failed to unlock key "l", lock isn't held, or is held by another session`,
    ]);
    expect(problems(apply(txnKv('check-session', 'l', { session: other }), txnKv('set', 'x')))).toEqual([
      `0 failed session check for key "l", current session "${session}" != "${other}"`,
    ]);
    expect(problems(apply(txnKv('lock', 'm')))).toEqual(['0 missing session']);
    harness.write(sessionDestroy, { id: session });
    expect(problems(apply(txnKv('lock', 'l', { session: other })))).toEqual([
      '0 failed to lock key "l" due to lock delay',
    ]);
    harness.env.clock.advance(5001);
    expect(apply(txnKv('lock', 'l', { session: other })).Errors).toBeNull();
  });

  it('delete, a tree too, but not what is at another index', () => {
    for (const key of ['a/1', 'a/2', 'b']) harness.write(kvApply, kvWrite('set', key, 'x'));
    expect(problems(apply(txnKv('delete-cas', 'b', { index: '1' })))).toEqual([
      '0 failed to delete key "b", index is stale',
    ]);
    const index = String(entry('b')?.ModifyIndex);
    expect(
      apply(
        txnKv('delete-tree', 'a/'),
        txnKv('delete-cas', 'b', { index }),
        txnKv('delete', 'none'),
        txnKv('delete-cas', 'none', { index: '7' }),
      ),
    ).toEqual({ Results: [], Errors: null });
    expect(harness.value(kvList, { prefix: '' })).toEqual([]);
  });

  it('only read', () => {
    harness.write(kvApply, kvWrite('set', 'k', 'v'));
    const { index } = harness;
    expect(
      read(
        txnKv('get', 'k'),
        txnKv('get-tree', 'k'),
        txnKv('get-tree', 'nothing'),
        txnKv('check-index', 'k', { index: String(index) }),
        txnKv('check-not-exists', 'none'),
        txnKv('get-or-empty', 'none'),
      ),
    ).toMatchObject({
      Results: [
        { KV: { Value: 'dg==' } },
        { KV: { Value: 'dg==' } },
        { KV: { Key: 'k', Value: null } },
        { KV: { Key: 'none', Value: null, CreateIndex: 0, ModifyIndex: 0 } },
      ],
      Errors: null,
    });
    expect(
      problems(
        read(
          txnKv('check-index', 'k', { index: '18446744073709551615' }),
          txnKv('check-index', 'none'),
          txnKv('check-session', 'none'),
          txnKv('check-not-exists', 'k'),
          txnKv('fly', 'k'),
        ),
      ),
    ).toEqual([
      `0 failed index check for key "k", current modify index ${index} != 18446744073709551615`,
      `1 failed to check index, key "none" doesn't exist`,
      `2 failed to check session, key "none" doesn't exist`,
      '3 key "k" exists',
      '4 unknown KV verb "fly"',
    ]);
  });

  it('are read anew after a change', () => {
    const before = read(txnKv('get-or-empty', 'k'));
    expect(read(txnKv('get-or-empty', 'k'))).toBe(before);
    harness.write(kvApply, kvWrite('set', 'k', 'v'));
    expect(read(txnKv('get-or-empty', 'k')).Results).toMatchObject([{ KV: { Value: 'dg==' } }]);
  });
});

describe('catalog verbs', () => {
  const services = () => harness.value(catalogNodeServices, { node: 'n1', filter: '' })?.Services;

  it('change only what is at the given index', () => {
    const now = String(services()?.w?.ModifyIndex);
    const changed = service('w', 'web', { Port: 81 });
    expect(problems(apply(txnService('cas', 'n1', changed, '1')))).toEqual([
      '0 failed to set service "w" on node "n1", index is stale',
    ]);
    expect(problems(apply(txnService('cas', 'n1', changed, '0')))).toHaveLength(1);
    expect(apply(txnService('cas', 'n1', changed, now)).Results).toMatchObject([{ Service: { Port: 81 } }]);
    expect(apply(txnCheck('cas', check('c', 'passing', { Node: 'n1' }))).Errors).toBeNull();
    expect(problems(apply(txnNode('cas', 'n1', {}, '3')))).toEqual([
      '0 failed to set node "n1", index is stale',
    ]);
  });

  it('delete, and with an index only what is there', () => {
    const now = String(services()?.w?.ModifyIndex);
    expect(problems(apply(txnService('delete-cas', 'n1', service('none', 'web'), '0')))).toEqual([
      '0 failed to delete service "none" on node "n1", index is stale',
    ]);
    expect(apply(txnService('delete-cas', 'n1', service('w', 'web'), now)).Results).toEqual([]);
    expect(services()).toEqual({});
    expect(apply(txnCheck('delete', check('none', '', { Node: 'n1' })), txnNode('delete', 'n9'))).toEqual({
      Results: [],
      Errors: null,
    });
    expect(problems(apply(txnService('delete', 'n1', service('', ''))))).toBeUndefined();
    expect(services()).toEqual({});
  });

  it('get, or say what is missing', () => {
    expect(read(txnNode('get', 'N1'), txnService('get', 'n1', service('w', ''))).Results).toMatchObject([
      { Node: { Node: 'n1' } },
      { Service: { ID: 'w' } },
    ]);
    expect(
      problems(
        read(
          txnNode('get', 'nope'),
          txnService('get', 'n1', service('nope', '')),
          txnCheck('get', check('nope', '', { Node: 'n1' })),
        ),
      ),
    ).toEqual([
      `0 node "nope" doesn't exist`,
      `1 service "nope" on node "n1" doesn't exist`,
      `2 check "nope" on node "n1" doesn't exist`,
    ]);
  });
});
