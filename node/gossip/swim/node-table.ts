/** Every node this one knows of, in the order in which they are probed. */

import { type Random, randomInt, shuffle } from '../../../shared/env.ts';
import type { Versions } from '../codec/message-type.ts';
import type { RemoteState } from '../codec/push-pull.ts';
import type { Suspicion } from './suspicion.ts';

export interface SwimNode {
  readonly name: string;
  address: Uint8Array;
  /** `address` as text. */
  host: string;
  port: number;
  meta: Uint8Array;
  versions: Versions;
  incarnation: number;
  state: RemoteState;
  changedAtMs: number;
  /** Set exactly while `state` is suspect. */
  suspicion: Suspicion | undefined;
}

export const isDeadOrLeft = (node: SwimNode): boolean => node.state === 'dead' || node.state === 'left';

/** Invariant: `#order` and `#byName` hold the same nodes; `#next` is where probing goes on. */
export class NodeTable {
  readonly #byName = new Map<string, SwimNode>();
  readonly #random: Random;
  #order: SwimNode[] = [];
  #next = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): SwimNode | undefined {
    return this.#byName.get(name);
  }

  all(): Iterable<SwimNode> {
    return this.#order;
  }

  /** Inserts at a random place of the probe order, so that newcomers are not all probed last by everyone. */
  add(node: SwimNode): void {
    this.#byName.set(node.name, node);
    const at = randomInt(this.#random, this.#order.length + 1);
    const displaced = this.#order[at];
    this.#order.push(node);
    if (displaced === undefined) return;
    this.#order[at] = node;
    this.#order[this.#order.length - 1] = displaced;
  }

  /**
   * The next node in turn that `isWanted`; undefined when a whole round finds none. When a round ends, nodes that are
   * `isForgotten` leave the table and the rest is shuffled.
   */
  nextInTurn(
    isWanted: (node: SwimNode) => boolean,
    isForgotten: (node: SwimNode) => boolean,
  ): SwimNode | undefined {
    for (let checked = 0; checked <= this.#order.length; ) {
      if (this.#next >= this.#order.length) {
        this.#endRound(isForgotten);
        checked += 1;
        if (this.#order.length === 0) return undefined;
        continue;
      }
      const node = this.#order[this.#next++];
      if (node !== undefined && isWanted(node)) return node;
      checked += 1;
    }
    return undefined;
  }

  /** Up to `count` different random nodes that are `isWanted`, with a bounded number of draws. */
  pick(count: number, isWanted: (node: SwimNode) => boolean): SwimNode[] {
    const picked: SwimNode[] = [];
    const draws = 3 * this.#order.length;
    for (let draw = 0; draw < draws && picked.length < count; draw++) {
      const node = this.#order[randomInt(this.#random, this.#order.length)];
      if (node !== undefined && isWanted(node) && !picked.includes(node)) picked.push(node);
    }
    return picked;
  }

  #endRound(isForgotten: (node: SwimNode) => boolean): void {
    this.#next = 0;
    const kept: SwimNode[] = [];
    for (const node of this.#order) {
      if (isForgotten(node)) this.#byName.delete(node.name);
      else kept.push(node);
    }
    this.#order = shuffle(this.#random, kept);
  }
}
