/** The state of one topic and what lately changed in it, so that who saw an earlier state can be told the difference. */

import { changedAt } from '../../shared/changed-at.ts';
import { renderJson } from '../../shared/json.ts';
import type { Entry } from './topics.ts';

/** Changes that came with one answer. */
export interface Batch {
  /** Number of the state that they lead to. */
  readonly seq: number;
  /** Indexes under which that state was seen, the first and the last. */
  readonly fromIndex: number;
  toIndex: number;
  /** Events but the last, and the last, without their `id`. */
  readonly head: string;
  readonly last: string;
  /** Events with the `id` for which they were last put together: most readers have the same. */
  rendered: { readonly id: string; readonly bytes: Uint8Array } | undefined;
}

export interface HistoryBounds {
  readonly maxBatches: number;
  /** Text of the events that are kept. */
  readonly maxBytes: number;
}

/**
 * Invariant: `#batches` have consecutive numbers and end with that of the present state. A reader that has state `n`
 * can go on from there while batch `n + 1` is kept, or `n` is the present state.
 */
export class History {
  readonly #topic: string;
  readonly #bounds: HistoryBounds;
  #state = new Map<string, string>();
  #batches: Batch[] = [];
  #seq = 0;
  #historyBytes = 0;
  #stateBytes = 0;

  constructor(topic: string, bounds: HistoryBounds) {
    this.#topic = topic;
    this.#bounds = bounds;
  }

  /** Number of the present state; 0 before the first answer. */
  get seq(): number {
    return this.#seq;
  }

  /** Index of the present state, 0 before the first answer. */
  get index(): number {
    return this.#batches.at(-1)?.toIndex ?? 0;
  }

  get bytes(): number {
    return this.#stateBytes + this.#historyBytes;
  }

  /** Takes over an answer. @returns whether there is something to tell */
  apply(index: number, entries: readonly Entry[]): boolean {
    const next = new Map<string, string>();
    const puts: { at: number; text: string }[] = [];
    for (const { key, value } of entries) {
      const json = renderJson(value, false);
      next.set(key, json);
      if (this.#seq > 0 && this.#state.get(key) !== json)
        puts.push({ at: changedAt(value), text: event('put', this.#topic, index, key, json) });
    }
    const events = puts.sort((a, b) => a.at - b.at).map(({ text }) => text);
    for (const key of this.#state.keys())
      if (!next.has(key)) events.push(event('delete', this.#topic, index, key, undefined));
    const present = this.#batches.at(-1);
    // Where indexes fell the state was replaced, and an index of before no longer says what its reader has.
    const isReplaced = present !== undefined && index < present.toIndex;
    if (events.length === 0 && present !== undefined && !isReplaced) {
      present.toIndex = index;
      return false;
    }
    this.#state = next;
    this.#stateBytes = 0;
    for (const [key, json] of next) this.#stateBytes += key.length + json.length + 64;
    if (isReplaced) for (const batch of this.#batches) batch.toIndex = batch.fromIndex - 1;
    this.#push(index, events);
    return events.length > 0;
  }

  /** @returns the number of the state that had this index; undefined when that can't be told any more */
  seqOf(index: number): number | undefined {
    return this.#batches.findLast(({ fromIndex, toIndex }) => fromIndex <= index && index <= toIndex)?.seq;
  }

  /** What follows a state: the next batch, `present` when there is none, `lost` when it isn't kept any more. */
  after(seq: number): Batch | 'present' | 'lost' {
    if (seq === this.#seq) return 'present';
    const first = this.#batches[0];
    if (first === undefined || seq + 1 < first.seq || seq > this.#seq) return 'lost';
    return this.#batches[seq + 1 - first.seq] ?? 'lost';
  }

  /** The whole state as one event, without its `id`. */
  snapshot(): string {
    const entries = [...this.#state].map(([key, json]) => `{"key":${JSON.stringify(key)},"value":${json}}`);
    const head = `{"topic":${JSON.stringify(this.#topic)},"index":${this.index},"entries":[`;
    return `event: snapshot\ndata: ${head}${entries.join(',')}]}\n\n`;
  }

  #push(index: number, events: readonly string[]): void {
    const last = events.at(-1) ?? '';
    const head = events.slice(0, -1).join('');
    this.#seq++;
    this.#batches.push({ seq: this.#seq, fromIndex: index, toIndex: index, head, last, rendered: undefined });
    this.#historyBytes += head.length + last.length;
    while (
      this.#batches.length > this.#bounds.maxBatches ||
      (this.#historyBytes > this.#bounds.maxBytes && this.#batches.length > 1)
    ) {
      const gone = this.#batches.shift();
      this.#historyBytes -= (gone?.head.length ?? 0) + (gone?.last.length ?? 0);
    }
  }
}

function event(
  kind: 'put' | 'delete',
  topic: string,
  index: number,
  key: string,
  json: string | undefined,
): string {
  const value = json === undefined ? '' : `,"value":${json}`;
  const head = `{"topic":${JSON.stringify(topic)},"key":${JSON.stringify(key)},"index":${index}`;
  return `event: ${kind}\ndata: ${head}${value}}\n\n`;
}

const encoder = new TextEncoder();

/** The batch as bytes. The `id` goes with its last event, so that who is cut off in the middle gets all of it again. */
export function batchBytes(batch: Batch, id: string): Uint8Array {
  if (batch.rendered?.id !== id)
    batch.rendered = {
      id,
      bytes: encoder.encode(batch.last === '' ? `id: ${id}\n\n` : `${batch.head}id: ${id}\n${batch.last}`),
    };
  return batch.rendered.bytes;
}
