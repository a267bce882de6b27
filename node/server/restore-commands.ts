/** The log commands by which a user's snapshot replaces the state: their constructors, and what they do. */

import type { Store } from '../state/store.ts';
import type { Command } from './handlers.ts';

/** Ends whatever restore was under way. @param id UUID chosen by the leader */
export function beginRestoreCommand(id: string): Command {
  return { type: 'restore-begin', id };
}

/** @param sequence counts from 0 */
export function restorePieceCommand(id: string, sequence: number, bytes: Uint8Array): Command {
  return { type: 'restore-piece', id, sequence, bytes };
}

/** Replaces the state. `apply` returns the change index of that. @param snapshotIndex what the snapshot says of itself */
export function finishRestoreCommand(id: string, pieces: number, snapshotIndex: number): Command {
  return { type: 'restore-finish', id, pieces, snapshotIndex };
}

/** Forgets the pieces, unless another restore has begun. */
export function abortRestoreCommand(id: string): Command {
  return { type: 'restore-abort', id };
}

/** Fields are what the constructors put in. */
export type RestoreStep = (store: Store, command: Command, logIndex: number) => unknown;

export const RESTORE_STEPS: ReadonlyMap<string, RestoreStep> = new Map<string, RestoreStep>([
  [
    'restore-begin',
    (store, { id }) => {
      store.beginRestore(id as string);
      return true;
    },
  ],
  [
    'restore-piece',
    (store, { id, sequence, bytes }) => {
      store.addRestorePiece(id as string, sequence as number, bytes as Uint8Array);
      return true;
    },
  ],
  [
    'restore-finish',
    (store, { id, pieces, snapshotIndex }, logIndex) =>
      store.finishRestore(id as string, pieces as number, snapshotIndex as number, logIndex),
  ],
  [
    'restore-abort',
    (store, { id }) => {
      store.abortRestore(id as string);
      return true;
    },
  ],
]);
