/** What is looked at when a history is over: the operations, the watchers, the locks, and the servers' states. */

import { createHash } from 'node:crypto';
import type { StateMachine } from '../../../node/raft/types.ts';
import { type KvOperation, kvModel } from '../../history/kv-model.ts';
import { checkLinearizable } from '../../history/linearizable.ts';
import { checkLocks, type Hold } from '../../history/locks.ts';
import { checkWatch, type WatchView } from '../../history/watch.ts';
import { Violation } from '../raft-invariants.ts';
import type { ServerAgent } from './agents.ts';
import type { Watcher } from './watchers.ts';

/** Beyond that the search of one key gives up; such a key counts as undecided. */
const MAX_CHECK_STEPS = 300_000;

/** @returns how many keys could not be decided @throws Violation */
export function judgeOperations(operations: readonly KvOperation[]): number {
  const model = kvModel();
  let undecided = 0;
  for (const ofKey of Map.groupBy(operations, ({ key }) => key).values()) {
    const verdict = checkLinearizable(model, ofKey, { maxSteps: MAX_CHECK_STEPS });
    if (verdict.verdict === 'violation')
      throw new Violation(`linearizability of ${verdict.key}:\n${verdict.text}`);
    if (verdict.verdict === 'undecided') undecided++;
  }
  return undecided;
}

/** @throws Violation */
export function judgeWatchers(watchers: readonly Watcher[], final: WatchView): void {
  const events = Object.fromEntries(watchers.map((watcher) => [watcher.name, watcher.events]));
  const [first] = checkWatch(events, final);
  if (first !== undefined) throw new Violation(`watch: ${first.watcher}: ${first.kind}: ${first.text}`);
}

/** @throws Violation */
export function judgeLocks(holds: readonly Hold[]): void {
  const [first] = checkLocks(holds);
  if (first !== undefined) throw new Violation(`lock held twice: ${first.text}`);
}

/** Servers that have applied the same log up to the same entry must be in the same state. */
export class StateComparison {
  /** index → who was first seen there, and in what state. */
  readonly #seen = new Map<number, { readonly server: string; readonly hash: string }>();
  #compared = 0;

  get compared(): number {
    return this.#compared;
  }

  /** Looks at the servers as they are now. @throws Violation */
  async look(servers: readonly ServerAgent[]): Promise<void> {
    const standing = servers.filter(({ appliedIndex, machine }) => machine !== undefined && appliedIndex > 0);
    for (const ofIndex of Map.groupBy(standing, ({ appliedIndex }) => appliedIndex).values()) {
      if (ofIndex.length < 2 && !this.#seen.has(ofIndex[0]?.appliedIndex ?? 0)) continue;
      for (const server of ofIndex) await this.#compare(server);
    }
  }

  async #compare({ appliedIndex, host, machine }: ServerAgent): Promise<void> {
    if (machine === undefined) return;
    const hash = await hashOf(machine);
    const known = this.#seen.get(appliedIndex);
    if (known === undefined) this.#seen.set(appliedIndex, { server: host.name, hash });
    else if (known.server !== host.name) this.#compared++;
    if (known !== undefined && known.hash !== hash)
      throw new Violation(
        `state: ${host.name} and ${known.server} have both applied ${appliedIndex} and differ (${hash} and ${known.hash})`,
      );
  }
}

async function hashOf(machine: StateMachine): Promise<string> {
  const view = machine.snapshot();
  try {
    const hash = createHash('sha256');
    for await (const chunk of view.chunks()) hash.update(chunk);
    return hash.digest('hex').slice(0, 16);
  } finally {
    view.release();
  }
}
