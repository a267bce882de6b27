/** Linearizability by trying every order of every choice of operations: slow, obvious, and what the real checker is held against. */

import type { Operation } from './history.ts';
import type { Model } from './linearizable.ts';

/** @param operations of one key, few: n of them cost up to n! orders */
export function isLinearizableByBruteForce<S, I, O>(
  model: Model<S, I, O>,
  operations: readonly Operation<I, O>[],
): boolean {
  const known = operations.filter(({ output }) => output !== undefined);
  const unknown = operations.filter(({ output }) => output === undefined);
  for (const happened of subsets(unknown)) {
    for (const order of permutations([...known, ...happened])) {
      if (respectsTime(order) && explains(model, order)) return true;
    }
  }
  return false;
}

/** No operation comes after one that started when it had already ended. */
function respectsTime<I, O>(order: readonly Operation<I, O>[]): boolean {
  return order.every((op, at) => order.slice(at + 1).every((later) => endOf(later) >= op.start));
}

function endOf<I, O>({ output, end }: Operation<I, O>): number {
  return output === undefined ? Number.POSITIVE_INFINITY : end;
}

function explains<S, I, O>(model: Model<S, I, O>, order: readonly Operation<I, O>[]): boolean {
  const initial = [model.initial(order[0]?.key ?? '')];
  return (
    order.reduce<readonly S[]>(
      (states, { input, output }) => states.flatMap((state) => model.step(state, input, output)),
      initial,
    ).length > 0
  );
}

function* subsets<T>(items: readonly T[]): Generator<T[]> {
  for (let chosen = 0; chosen < 2 ** items.length; chosen++) {
    yield items.filter((_, at) => (chosen >> at) % 2 === 1);
  }
}

function* permutations<T>(items: readonly T[]): Generator<T[]> {
  if (items.length === 0) yield [];
  for (const [at, item] of items.entries()) {
    for (const rest of permutations(items.toSpliced(at, 1))) yield [item, ...rest];
  }
}
