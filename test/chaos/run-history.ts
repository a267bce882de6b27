/** Everything that a run writes down, in a form that can be kept in a file and judged again. */

import { readFileSync, writeFileSync } from 'node:fs';
import type { KvInput, KvOperation, KvOutput } from '../history/kv-model.ts';
import type { Hold } from '../history/locks.ts';
import type { WatchEvent, WatchView } from '../history/watch.ts';

/** What a record was asked, and how: a default read relies on the leader's lease, a consistent one asks a majority. */
export interface ChaosInput extends KvInput {
  readonly isConsistent?: boolean;
}

export interface ChaosOperation extends KvOperation {
  readonly input: ChaosInput;
}

export interface Watch {
  /** The path that was watched. */
  readonly target: string;
  readonly watchers: Readonly<Record<string, readonly WatchEvent[]>>;
  readonly final: WatchView;
}

/** A service that was registered with agents: what it may be at the end, and what it is. */
export interface AgentService {
  readonly id: string;
  /** A port for each state that the last requests allow; null: not registered. */
  readonly allowed: readonly (number | null)[];
  /** The ports of all its instances in the catalog. */
  readonly found: readonly number[];
}

export interface RunHistory {
  readonly seed: number;
  readonly servers: number;
  readonly through: 'gateway' | 'servers';
  /** On keys `kv/…` and `lock/…` of the KV store, and on services of the catalog as `service/…`. Times in ms of the run. */
  readonly operations: readonly ChaosOperation[];
  readonly holds: readonly Hold[];
  readonly watches: readonly Watch[];
  readonly agentServices: readonly AgentService[];
  readonly faults: readonly { readonly at: number; readonly text: string }[];
  /** Requests that certainly had no effect. */
  readonly failed: number;
}

export function writeHistory(file: string, history: RunHistory): void {
  // JSON has no infinity: the end of an operation of unknown outcome is left out.
  const operations = history.operations.map(({ end, ...op }) => (Number.isFinite(end) ? { ...op, end } : op));
  writeFileSync(file, JSON.stringify({ ...history, operations }));
}

/** @throws Error when the file is not one that `writeHistory` has written */
export function readHistory(file: string): RunHistory {
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!isWritten(parsed)) throw new Error(`${file} holds no history of a run`);
  const operations = parsed.operations.map((op) => ({
    ...op,
    output: op.output,
    end: op.end ?? Number.POSITIVE_INFINITY,
  }));
  return { ...parsed, operations };
}

type WrittenOperation = Omit<ChaosOperation, 'end' | 'output'> & {
  readonly end?: number;
  readonly output: KvOutput | undefined;
};
type Written = Omit<RunHistory, 'operations'> & { readonly operations: readonly WrittenOperation[] };

/** The lists are there; what is in them is this program's own. */
function isWritten(parsed: unknown): parsed is Written {
  if (typeof parsed !== 'object' || parsed === null) return false;
  const lists: readonly (keyof RunHistory)[] = ['operations', 'holds', 'watches', 'agentServices', 'faults'];
  return lists.every((name) => Array.isArray((parsed as Record<string, unknown>)[name]));
}
