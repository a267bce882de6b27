/** Writes that carry a request ID: applied once however often they are logged. */

import { badRequest, ConsulError } from '../../shared/errors.ts';
import {
  FORGOTTEN_REQUEST_ID,
  parseRequestId,
  REQUEST_ID_HEADER,
  RESULT_NOT_KEPT,
  type RequestId,
  UNKNOWN_WRITE_SESSION,
} from '../../shared/request-id.ts';
import type { Store } from '../state/store.ts';
import { recallWrite, rememberWrite, type WriteMemory } from '../state/write-sessions.ts';
import type { Command } from './handlers.ts';

/** In a command: session, sequence number, settled below, the proposer's clock. */
export type OnceField = readonly [session: string, sequence: number, settledBelow: number, nowMs: number];

/** What `apply` returns for a command that was neither applied now nor has a known result. Plain data. */
interface NotAgain {
  readonly notAgain: Exclude<WriteMemory['kind'], 'new' | 'known'>;
}

/** @throws ConsulError 400 when the text is no request ID */
export function requestIdOf(text: string): RequestId {
  const id = parseRequestId(text);
  if (id === undefined)
    throw badRequest(
      `${REQUEST_ID_HEADER} must be SESSION.SEQUENCE.SETTLED, as docs/gateway.md describes it`,
    );
  return id;
}

export function onceCommand(command: Command, id: RequestId, nowMs: number): Command {
  const once: OnceField = [id.session, id.sequence, id.settledBelow, nowMs];
  return { ...command, once };
}

/**
 * Applies a command with an `once` field unless that was done already.
 *
 * @param apply applies the command itself
 * @returns the command's result, of now or of the first time, or `NotAgain`
 */
export function applyOnce(store: Store, command: Command, index: number, apply: () => unknown): unknown {
  // The field is what `onceCommand` put in: this program's own data, read back from a log that checks its records.
  const [session, sequence, settledBelow, nowMs] = command.once as OnceField;
  const id = { session, sequence, settledBelow };
  const memory = recallWrite(store.tables, id);
  if (memory.kind === 'known') return memory.result;
  if (memory.kind !== 'new') return { notAgain: memory.kind } satisfies NotAgain;
  const result = apply();
  rememberWrite(store.tables, id, result, index, nowMs);
  return result;
}

/** What the leader knows before it logs anything. @returns undefined: not applied yet @throws ConsulError 409 */
export function recalled(store: Store, id: RequestId): { readonly applied: unknown } | undefined {
  const memory = recallWrite(store.tables, id);
  if (memory.kind === 'new') return undefined;
  if (memory.kind === 'known') return { applied: memory.result };
  throw refusal(memory.kind);
}

/** @throws ConsulError 409 when `apply` has returned `NotAgain` */
export function checkApplied(applied: unknown): unknown {
  if (isNotAgain(applied)) throw refusal(applied.notAgain);
  return applied;
}

function isNotAgain(applied: unknown): applied is NotAgain {
  return typeof applied === 'object' && applied !== null && 'notAgain' in applied;
}

function refusal(kind: NotAgain['notAgain']): ConsulError {
  switch (kind) {
    case 'unknown-session':
      return new ConsulError('conflict', 409, UNKNOWN_WRITE_SESSION);
    case 'forgotten':
      return new ConsulError('conflict', 409, FORGOTTEN_REQUEST_ID);
    case 'result-not-kept':
      return new ConsulError('conflict', 409, RESULT_NOT_KEPT);
  }
}
