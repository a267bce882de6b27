/** What each command of the log does to the store. Pure: nothing but the command, its index and the state decides. */

import type { AutopilotSettings } from '../../shared/types/autopilot.ts';
import type { ConfigEntryDefinition } from '../../shared/types/config-entry.ts';
import type {
  FloatingCheckChange,
  FloatingDeregistration,
  FloatingMove,
  FloatingRegistration,
} from '../../shared/types/floating.ts';
import type { PreparedQueryDefinition } from '../../shared/types/prepared-query.ts';
import type { TxnOp } from '../../shared/types/txn.ts';
import type { DeregisterRequest, RegisterRequest } from '../../shared/types/v1.ts';
import type { KvApplyArgs } from '../rpc/endpoints.ts';
import { setAutopilotConfig } from '../state/autopilot.ts';
import { deregister, register } from '../state/catalog-writes.ts';
import type { Change } from '../state/change.ts';
import { Refusal } from '../state/change.ts';
import { deleteConfigEntry, setConfigEntry } from '../state/config-entries.ts';
import type { CoordinateUpdate } from '../state/coordinates.ts';
import { updateCoordinates } from '../state/coordinates.ts';
import {
  assignFloating,
  changeFloatingChecks,
  deregisterFloating,
  registerFloating,
} from '../state/floating.ts';
import {
  deleteKey,
  deleteKeyIfUnchanged,
  deleteTree,
  lockKey,
  reapTombstones,
  setKey,
  setKeyIfUnchanged,
  unlockKey,
} from '../state/kv.ts';
import { packBytes } from '../state/packed-bytes.ts';
import { deleteQuery, setQuery } from '../state/prepared-queries.ts';
import type { NewSession } from '../state/sessions.ts';
import { createSession, endSession } from '../state/sessions.ts';
import type { Store } from '../state/store.ts';
import { applyTransaction } from '../state/txn.ts';
import { openWriteSession } from '../state/write-sessions.ts';
import type { Command } from './handlers.ts';
import { applyOnce } from './once.ts';
import { RESTORE_STEPS } from './restore-commands.ts';

/** What `apply` returns for a command that the state refuses. Plain data, the same on every server. */
export interface Refused {
  readonly refused: string;
}

export function isRefused(applied: unknown): applied is Refused {
  return typeof applied === 'object' && applied !== null && 'refused' in applied;
}

/**
 * @returns the command's result, or `Refused`
 * @throws Error for a command of an unknown type: a newer server wrote it, and going on without it would corrupt
 */
export function applyCommand(store: Store, command: Command, index: number): unknown {
  if (command.once === undefined) return apply(store, command, index);
  return applyOnce(store, command, index, () => apply(store, command, index));
}

function apply(store: Store, command: Command, index: number): unknown {
  const nowMs = typeof command.nowMs === 'number' ? command.nowMs : 0;
  const applier = APPLIERS.get(command.type);
  const step = applier === undefined ? RESTORE_STEPS.get(command.type) : undefined;
  try {
    if (step !== undefined) return step(store, command, index);
    if (applier === undefined) {
      throw new Error(
        `log command of unknown type "${command.type}" at index ${index}: this server needs a newer release`,
      );
    }
    const run = applier.isAtomic ? store.change : store.transact;
    return run.call(store, index, nowMs, (change) => applier.apply(change, command));
  } catch (thrown) {
    if (thrown instanceof Refusal) return { refused: thrown.message } satisfies Refused;
    throw thrown;
  }
}

interface Applier {
  /** It refuses before it changes anything, if at all, so that nothing ever needs undoing. */
  readonly isAtomic: boolean;
  apply(change: Change, command: Command): unknown;
}

/**
 * Fields are what `commands` and the endpoints' `command` functions put in: they are this program's own data, read
 * back from a log that checks its records.
 */
const APPLIERS: ReadonlyMap<string, Applier> = new Map<string, Applier>([
  ['kv', atomic((change, command) => applyKv(change, command as unknown as KvApplyArgs))],
  [
    'register',
    {
      isAtomic: false,
      apply: (change, { request }) => {
        register(change, request as RegisterRequest);
        return true;
      },
    },
  ],
  [
    'deregister',
    atomic((change, { request }) => {
      deregister(change, request as DeregisterRequest);
      return true;
    }),
  ],
  [
    'floating-register',
    {
      isAtomic: false,
      apply: (change, { registration }) => registerFloating(change, registration as FloatingRegistration),
    },
  ],
  [
    'floating-checks',
    {
      isAtomic: false,
      apply: (change, { wanted }) => changeFloatingChecks(change, wanted as FloatingCheckChange),
    },
  ],
  [
    'floating-assign',
    {
      isAtomic: false,
      apply: (change, { moves }) => assignFloating(change, moves as readonly FloatingMove[]),
    },
  ],
  [
    'floating-deregister',
    atomic((change, { request }) => deregisterFloating(change, request as FloatingDeregistration)),
  ],
  [
    'session-create',
    atomic((change, { session }) => {
      const created = session as NewSession;
      createSession(change, created);
      return created.ID;
    }),
  ],
  [
    'session-destroy',
    atomic((change, { id }) => {
      endSession(change, id as string);
      return true;
    }),
  ],
  // It undoes what it did by itself when an operation fails.
  ['txn', atomic((change, { ops }) => applyTransaction(change, ops as readonly TxnOp[]))],
  [
    'query-set',
    atomic((change, { query }) => {
      const definition = query as PreparedQueryDefinition;
      setQuery(change, definition);
      return definition.ID;
    }),
  ],
  [
    'query-delete',
    atomic((change, { id }) => {
      deleteQuery(change, id as string);
      return id;
    }),
  ],
  [
    'config-entry-set',
    atomic((change, { entry, ifModifyIndex }) =>
      setConfigEntry(change, entry as ConfigEntryDefinition, ifModifyIndex as number | bigint | undefined),
    ),
  ],
  [
    'config-entry-delete',
    atomic((change, { kind, name }) => {
      deleteConfigEntry(change, kind as string, name as string);
      return true;
    }),
  ],
  [
    'tombstone-reap',
    atomic((change, { upToIndex }) => {
      reapTombstones(change, upToIndex as number);
      return true;
    }),
  ],
  [
    'coordinate-update',
    atomic((change, { updates }) => {
      updateCoordinates(change, updates as readonly CoordinateUpdate[]);
      return true;
    }),
  ],
  [
    'write-session-open',
    atomic(({ tables, index, nowMs }, { id }) => {
      openWriteSession(tables, id as string, index, nowMs);
      return id;
    }),
  ],
  [
    'autopilot-set',
    atomic((change, { config, ifModifyIndex }) =>
      setAutopilotConfig(change, config as AutopilotSettings, ifModifyIndex as number | bigint | undefined),
    ),
  ],
]);

function atomic(apply: Applier['apply']): Applier {
  return { isAtomic: true, apply };
}

function applyKv(change: Change, args: KvApplyArgs): boolean {
  const { key, verb } = args;
  const write = { key, value: packBytes(args.value ?? NO_BYTES), flags: args.flags ?? 0 };
  switch (verb) {
    case 'set':
      return setKey(change, write);
    case 'cas':
      return setKeyIfUnchanged(change, write, Number(args.index));
    case 'lock':
      return lockKey(change, write, args.session);
    case 'unlock':
      return unlockKey(change, write, args.session);
    case 'delete':
      return deleteKey(change, key);
    case 'delete-cas':
      return deleteKeyIfUnchanged(change, key, Number(args.index));
    case 'delete-tree':
      return deleteTree(change, key);
    default:
      throw new Error(`log command with unknown KV verb "${String(verb satisfies never)}"`);
  }
}

const NO_BYTES = new Uint8Array(0);
