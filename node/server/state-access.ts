/** The state behind its handlers, watched over so that the query engine never serves what has changed. */

import type { StateMachine } from '../raft/types.ts';
import type { ReadEndpoint } from '../rpc/endpoint.ts';
import type { Store } from '../state/store.ts';
import type { AnyReadHandler } from './handlers.ts';
import type { QueryEngine } from './query-engine.ts';

/**
 * The state machine, telling the engine of every command before anybody can read, and of every restore.
 *
 * @param store    what the state machine drives
 * @param restored called when a command has replaced the whole state
 */
export function watchedStateMachine(
  inner: StateMachine,
  engine: QueryEngine<AnyReadHandler>,
  store: Pick<Store, 'generation'>,
  restored: () => void,
): StateMachine {
  let generation = store.generation;
  return {
    apply(data, index, term) {
      engine.stateChanged();
      return inner.apply(data, index, term);
    },
    applied(lastIndex) {
      inner.applied(lastIndex);
      if (store.generation === generation) return;
      generation = store.generation;
      engine.restored();
      restored();
    },
    snapshot: () => inner.snapshot(),
    async restore(chunks) {
      await inner.restore(chunks);
      generation = store.generation;
      engine.restored();
    },
  };
}

/** A read of this server's own state for its own purposes. @throws ConsulError */
export function readState<Args, Result>(
  engine: QueryEngine<AnyReadHandler>,
  handlers: ReadonlyMap<string, AnyReadHandler>,
  endpoint: ReadEndpoint<Args, Result>,
  args: Args,
): Result {
  const handler = handlers.get(endpoint.name);
  if (handler === undefined) throw new Error(`no handler for ${endpoint.name}`);
  // The endpoint's name fixes the type of its result.
  return engine.current(handler, args).result.value as Result;
}
