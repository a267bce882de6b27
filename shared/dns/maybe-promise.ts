/** Going on with a value that is either here or promised, without a promise where none is needed. */

import type { MaybePromise } from './lookups.ts';

export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return value instanceof Promise;
}

/** `next(value)` now if the value is here, later if it is promised. What `next` or the promise throws comes through. */
export function chain<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value);
}

/** The result of `attempt`; whatever it throws or rejects with goes to `recover`. */
export function recovering<T>(
  attempt: () => MaybePromise<T>,
  recover: (thrown: unknown) => T,
): MaybePromise<T> {
  try {
    const value = attempt();
    return isPromise(value) ? value.catch(recover) : value;
  } catch (thrown) {
    return recover(thrown);
  }
}

/** `next(values)` now if all values are here, later if any is promised. */
export function together<T, R>(
  values: readonly MaybePromise<T>[],
  next: (values: readonly T[]) => R,
): MaybePromise<R> {
  const here: T[] = [];
  for (const value of values) {
    if (isPromise(value)) return Promise.all(values).then(next);
    here.push(value);
  }
  return next(here);
}
