/** What an agent knows about its placements, from lists and from its own writes, whose answers may come in any order. Pure. */

import type { FloatingPlace } from '../../../shared/types/floating.ts';

/**
 * Invariant: a placement that is known to have gone at an index is not taken at that index or before, whichever answer
 * says it. `#gone` holds only what went after the last list.
 */
export class Knowledge {
  #listIndex = 0;
  #newest = 0;
  #listed: ReadonlyMap<string, number> = new Map();
  readonly #gone = new Map<string, number>();

  /** A list of this index says nothing that isn't known. */
  isOutdated(index: number): boolean {
    return index < this.#newest;
  }

  /** @param index of the list, which is all that is placed here then */
  list(places: readonly FloatingPlace[], index: number): void {
    this.#listIndex = index;
    this.#newest = index;
    this.#listed = new Map(places.map(({ id, generation }) => [id, generation]));
    this.#gone.clear();
  }

  /** The answer to an own write that placed something or changed it. */
  wrote(index: number): void {
    this.#newest = Math.max(this.#newest, index);
  }

  /** The answer to an own write that removed something. @returns whether no list knows better */
  removed(id: string, index: number): boolean {
    this.wrote(index);
    if (index <= this.#listIndex) return false;
    this.#gone.set(id, Math.max(index, this.#gone.get(id) ?? 0));
    return true;
  }

  /** Whether a placement of this generation is what is known, or news. */
  isCurrent({ id, generation }: FloatingPlace): boolean {
    if (generation <= (this.#gone.get(id) ?? 0)) return false;
    return generation > this.#listIndex || this.#listed.get(id) === generation;
  }
}
