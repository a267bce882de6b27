/** How the endpoints of this folder are put together. */

import { refused } from '../../../shared/errors.ts';
import { applyFilter } from '../../../shared/filter/apply.ts';
import type { FilterKind } from '../../../shared/filter/fields.ts';
import type { ReadEndpoint, WriteEndpoint } from '../../rpc/endpoint.ts';
import type { ListModifiers } from '../../rpc/endpoints.ts';
import { Refusal } from '../../state/change.ts';
import { sortedByDistance } from '../../state/coordinates.ts';
import type { Tables } from '../../state/tables.ts';
import { topic } from '../../state/topics.ts';
import type { Answer } from '../../state/types.ts';
import { isRefused } from '../apply.ts';
import type { Command, HandlerContext, ReadHandler, WriteHandler } from '../handlers.ts';

/** A read whose answer depends on nothing but the tables and the arguments; it is kept until a topic moves. */
export function readFromTables<Args, Result>(
  endpoint: ReadEndpoint<Args, Result>,
  ask: (tables: Tables, args: Args) => Answer<Result>,
): ReadHandler<Args, Result> {
  return {
    endpoint,
    query: (store, args) => {
      try {
        return store.read(questionKey(endpoint.name, args), (tables) => ask(tables, args));
      } catch (thrown) {
        if (thrown instanceof Refusal) throw refused(thrown.message);
        throw thrown;
      }
    },
  };
}

/** A write by one command; what the state refuses becomes the caller's error, anything else the result. */
export function writeByCommand<Args, Result>(
  endpoint: WriteEndpoint<Args, Result>,
  command: (args: Args, context: HandlerContext, tables: Tables) => Command,
  resultOf: (applied: unknown) => Result,
): WriteHandler<Args, Result> {
  return {
    endpoint,
    command: (store, args, context) => command(args, context, store.tables),
    result: (applied) => {
      if (isRefused(applied)) throw refused(applied.refused);
      return resultOf(applied);
    },
  };
}

export const alwaysTrue = (): true => true;

/** Applies `filter` and then `near` to the list of an answer. @throws ConsulError for a bad filter */
export function narrowed<T>(
  tables: Tables,
  answer: Answer<T[]>,
  kind: FilterKind,
  { filter, near }: Pick<ListModifiers, 'filter' | 'near'>,
  nodeOf: (item: T) => string,
): Answer<T[]> {
  if (filter === '' && near === '') return answer;
  const filtered = filter === '' ? answer.value : applyFilter(kind, filter, answer.value);
  return {
    ...answer,
    value: sortedByDistance(tables, near, filtered, nodeOf),
    unwatched: near === '' ? [] : [topic.coordinates],
  };
}

/** Equal for equal arguments: they are plain data, built in one order by their endpoint's caller. */
function questionKey(name: string, args: unknown): string {
  return `${name} ${JSON.stringify(args)}`;
}
