/** What was asked for and answered, and what must therefore be true of every state that is committed. */

import { nameKey } from '../../node/state/byte-text.ts';
import { instancesOn } from '../../node/state/instances.ts';
import type { Store } from '../../node/state/store.ts';

/** How long a request whose outcome nobody knows may still take effect. */
const DOUBT_MS = 20_000;

interface Asked {
  readonly kind: 'register' | 'deregister';
  readonly startMs: number;
  endMs: number;
  isDone: boolean;
}

export class Violation extends Error {
  override readonly name = 'Violation';
}

/** Watches floating services by ID. What nobody asked for must not happen, and what was answered must hold. */
export class History {
  readonly #asked = new Map<string, Asked[]>();
  readonly #ids: readonly string[];
  readonly #nowMs: () => number;

  constructor(ids: readonly string[], nowMs: () => number) {
    this.#ids = ids;
    this.#nowMs = nowMs;
  }

  /** Follows a request to its end. */
  async follow(kind: Asked['kind'], id: string, request: Promise<unknown>): Promise<boolean> {
    const asked: Asked = { kind, startMs: this.#nowMs(), endMs: Number.POSITIVE_INFINITY, isDone: false };
    this.#asked.set(id, [...(this.#asked.get(id) ?? []), asked]);
    try {
      await request;
      asked.isDone = true;
      asked.endMs = this.#nowMs();
    } catch {
      asked.endMs = this.#nowMs() + DOUBT_MS;
    }
    return asked.isDone;
  }

  /** 'gone' after an acknowledged deregistration, 'there' after an acknowledged registration, while nothing contradicts. */
  expectation(id: string): 'gone' | 'there' | undefined {
    const asked = this.#asked.get(id) ?? [];
    if (asked.length === 0) return 'gone';
    for (const [kind, other, expected] of [
      ['deregister', 'register', 'gone'],
      ['register', 'deregister', 'there'],
    ] as const) {
      const done = asked.findLast((request) => request.kind === kind && request.isDone);
      if (done === undefined) continue;
      if (!asked.some((request) => request.kind === other && request.endMs > done.startMs)) return expected;
    }
    return undefined;
  }

  /** @throws Violation */
  check({ tables }: Store): void {
    const homes = new Map<string, string[]>();
    tables.nodes.scan('', undefined, ({ key, node, checks }) => {
      for (const { service, checks: own } of instancesOn(tables, key)) {
        if (!this.#ids.includes(service.ID)) continue;
        homes.set(service.ID, [...(homes.get(service.ID) ?? []), node.Node]);
        const critical = [...checks, ...own].find(({ Status }) => Status === 'critical');
        if (critical !== undefined)
          throw new Violation(`${service.ID} is critical on ${node.Node} by ${critical.CheckID}`);
      }
      return true;
    });
    for (const id of this.#ids) {
      const found = homes.get(id) ?? [];
      const placed = tables.floating.get(nameKey(id))?.node;
      if (found.length > 1) throw new Violation(`${id} is doubled: ${found.join(', ')}`);
      if (found[0] !== placed) throw new Violation(`${id} is at ${found[0]} and placed at ${placed}`);
      const expected = this.expectation(id);
      if (expected === 'gone' && placed !== undefined) throw new Violation(`${id} is back from the dead`);
      if (expected === 'there' && placed === undefined) throw new Violation(`${id} is lost`);
    }
  }
}
