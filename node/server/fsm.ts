/** The state machine that the replicated log drives: decodes commands, applies them to the store, snapshots it. */

import type { Clock } from '../../shared/env.ts';
import type { StateMachine } from '../raft/types.ts';
import type { Store } from '../state/store.ts';
import { applyCommand } from './apply.ts';
import { decodeCommand } from './commands.ts';
import type { ServerMetrics } from './server-metrics.ts';

export interface StateMachineMeasure {
  readonly clock: Clock;
  readonly metrics: Pick<ServerMetrics, 'command' | 'fsmApply'>;
}

/** The state machine over a store. Make one per store; nothing else changes the store. */
export function createStateMachine(store: Store, measure?: StateMachineMeasure): StateMachine {
  const apply: StateMachine['apply'] = (data, index) => applyCommand(store, decodeCommand(data), index);
  return {
    apply: measure === undefined ? apply : measured(store, measure),
    applied: () => store.wakeWatchers(),
    snapshot: () => store.snapshot(),
    restore: (chunks) => store.restore(chunks),
  };
}

function measured(store: Store, { clock, metrics }: StateMachineMeasure): StateMachine['apply'] {
  return (data, index) => {
    const startMs = clock.monotonicMs();
    const command = decodeCommand(data);
    const result = applyCommand(store, command, index);
    const tookMs = clock.monotonicMs() - startMs;
    metrics.fsmApply.add(tookMs);
    metrics.command(command.type)?.add(tookMs);
    return result;
  };
}
