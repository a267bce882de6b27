/** The state machine that the replicated log drives: decodes commands, applies them to the store, snapshots it. */

import type { StateMachine } from '../raft/types.ts';
import type { Store } from '../state/store.ts';
import { applyCommand } from './apply.ts';
import { decodeCommand } from './commands.ts';

/** The state machine over a store. Make one per store; nothing else changes the store. */
export function createStateMachine(store: Store): StateMachine {
  return {
    apply: (data, index) => applyCommand(store, decodeCommand(data), index),
    applied: () => store.wakeWatchers(),
    snapshot: () => store.snapshot(),
    restore: (chunks) => store.restore(chunks),
  };
}
