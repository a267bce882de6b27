/** Transactions over keys and the catalog. */

import type { TxnOp, TxnOutcome } from '../../shared/types/txn.ts';
import { readEndpoint, writeEndpoint } from './endpoint.ts';

export interface TxnArgs {
  readonly ops: readonly TxnOp[];
}

/** Atomic: all operations take effect at one index, or none does. Failed operations are part of the result. */
export const txnApply = writeEndpoint<TxnArgs, TxnOutcome>('Txn.Apply');
/** Only operations that write nothing. */
export const txnRead = readEndpoint<TxnArgs, TxnOutcome>('Txn.Read');
