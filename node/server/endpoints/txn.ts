/** `Txn.*`: several operations as one. */

import { ConsulError } from '../../../shared/errors.ts';
import type { TxnError, TxnKvOp, TxnOp, TxnOutcome } from '../../../shared/types/txn.ts';
import type { TxnArgs } from '../../rpc/txn-endpoints.ts';
import { txnApply, txnRead } from '../../rpc/txn-endpoints.ts';
import { hasLockDelay } from '../../state/kv.ts';
import type { Tables } from '../../state/tables.ts';
import { lockProblem, readTransaction } from '../../state/txn.ts';
import type { WriteHandler } from '../handlers.ts';
import { checkNodeId, namedService } from './catalog.ts';
import { readFromTables, writeByCommand } from './define.ts';

export const readHandler = readFromTables(txnRead, (tables, args) => {
  const problems = problemsOf(tables, args.ops, Number.POSITIVE_INFINITY);
  if (problems === undefined) return readTransaction(tables, args.ops);
  return { value: problems, indexOf: () => 1, topics: [] };
});

export const applyHandler: WriteHandler<TxnArgs, TxnOutcome> = {
  ...writeByCommand(
    txnApply,
    (args, context) => ({
      type: 'txn',
      ops: args.ops.map((op) => completed(op, context.datacenter)),
      nowMs: context.env.clock.nowMs(),
    }),
    (applied) => applied as TxnOutcome,
  ),
  settled: (store, args, context) => problemsOf(store.tables, args.ops, context.env.clock.nowMs()),
};

/** What is wrong with the operations before anything is tried; it is reported alone. */
function problemsOf(tables: Tables, ops: readonly TxnOp[], nowMs: number): TxnOutcome | undefined {
  const errors = ops.flatMap((op, i): TxnError[] => {
    const problem = problemOf(tables, op, nowMs);
    return problem === undefined ? [] : [{ OpIndex: i, What: problem }];
  });
  return errors.length === 0 ? undefined : { Results: null, Errors: errors };
}

function problemOf(tables: Tables, op: TxnOp, nowMs: number): string | undefined {
  if (op.kind === 'kv') return kvProblem(tables, op, nowMs);
  if (op.verb === 'get') return undefined;
  try {
    if (op.kind === 'node' && op.node.Node === '') return 'Must provide node';
    if (op.kind === 'node' && op.node.ID !== '') checkNodeId(op.node.ID);
    if (op.kind === 'service') namedService(op.service);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof ConsulError) return thrown.message;
    throw thrown;
  }
}

function kvProblem(tables: Tables, { key, verb }: TxnKvOp, nowMs: number): string | undefined {
  if (key === '' && verb !== 'delete-tree') return 'Must provide key';
  if (verb === 'lock' && hasLockDelay(tables, key, nowMs)) return lockProblem(tables, key, nowMs);
  return undefined;
}

/** The operation with Consul's defaults filled in. */
function completed(op: TxnOp, datacenter: string): TxnOp {
  switch (op.kind) {
    case 'kv':
      return op;
    case 'node':
      return { ...op, node: { ...op.node, Datacenter: op.node.Datacenter || datacenter } };
    case 'service':
      return op.verb === 'get' ? op : { ...op, service: namedService(op.service) };
    case 'check':
      return op.verb === 'get'
        ? op
        : { ...op, check: { ...op.check, CheckID: op.check.CheckID || op.check.Name } };
    default:
      return op satisfies never;
  }
}
