/** Work on many callers in bounded slices, one per turn of the event loop, so that others get their turn between. */

import type { Clock } from '../../shared/env.ts';

/** What is answered in one turn: some ten milliseconds of writing. */
export const SLICE = 256;

/** Calls `each` for every item in order: the first slice at once, the others one a turn. `items` must not change meanwhile. */
export function inSlices<T>(items: readonly T[], each: (item: T) => void, clock: Clock, from = 0): void {
  const end = Math.min(items.length, from + SLICE);
  for (let i = from; i < end; i++) each(items[i] as T);
  if (end < items.length) clock.setTimer(0, () => inSlices(items, each, clock, end), true);
}
