/** `KVS.*`: the keys. */

import { refused } from '../../../shared/errors.ts';
import type { KvApplyArgs } from '../../rpc/endpoints.ts';
import { kvApply, kvGet, kvList, kvListKeys } from '../../rpc/endpoints.ts';
import { entriesUnder, keyEntry, keysStarting } from '../../state/kv-queries.ts';
import type { Command } from '../handlers.ts';
import { readFromTables, writeByCommand } from './define.ts';

export const getHandler = readFromTables(kvGet, (tables, args) => keyEntry(tables, args.key));

export const listHandler = readFromTables(kvList, (tables, args) => entriesUnder(tables, args.prefix));

export const listKeysHandler = readFromTables(kvListKeys, (tables, args) =>
  keysStarting(tables, args.prefix, args.separator),
);

export const applyHandler = writeByCommand(
  kvApply,
  (args, context) => kvCommand(args, context.env.clock.nowMs()),
  (applied) => applied === true,
);

/** Only what the verb needs, since this is the most frequent entry of the log. */
function kvCommand(args: KvApplyArgs, nowMs: number): Command {
  const { verb, key, value, flags, index, session } = args;
  if (key === '' && verb !== 'delete-tree') throw refused('Must provide key');
  switch (verb) {
    case 'set':
      return { type: 'kv', verb, key, value, flags };
    case 'cas':
      return { type: 'kv', verb, key, value, flags, index };
    case 'lock':
      return { type: 'kv', verb, key, value, flags, session, nowMs };
    case 'unlock':
      return { type: 'kv', verb, key, value, flags, session };
    case 'delete':
    case 'delete-tree':
      return { type: 'kv', verb, key };
    case 'delete-cas':
      return { type: 'kv', verb, key, index };
    default:
      throw refused(`unknown KV verb ${JSON.stringify(verb satisfies never)}`);
  }
}
