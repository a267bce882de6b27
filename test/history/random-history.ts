/** Random histories of one key, made by a store that does one thing after another: so they are linearizable, until changed. */

import type { Random } from '../../shared/env.ts';
import { randomInt } from '../../shared/env.ts';
import type { KvInput, KvOperation, KvOutput } from './kv-model.ts';

const KEY = 'k';
const SESSIONS = ['s1', 's2'];
const KINDS: readonly KvInput['kind'][] = [
  'get',
  'get',
  'put',
  'cas',
  'delete',
  'delete-cas',
  'acquire',
  'release',
];

/** The rules of Consul's KV store for one key, written down a second time, without the model's uncertainty. */
class ReferenceKey {
  #record: { value: string; modifyIndex: number; session: string | undefined } | undefined;
  #index = 10;

  /** @param skip how many indexes other keys have taken meanwhile */
  apply(input: KvInput, skip: number): KvOutput {
    const record = this.#record;
    const at = record?.modifyIndex ?? 0;
    this.#index += 1 + skip;
    switch (input.kind) {
      case 'get':
        if (record === undefined) return { kind: 'value', value: null, modifyIndex: 0 };
        return {
          kind: 'value',
          value: record.value,
          modifyIndex: at,
          ...(record.session === undefined ? {} : { session: record.session }),
        };
      case 'put':
        return this.#set(true, input.value, record?.session);
      case 'cas':
        return this.#set(at === input.index, input.value, record?.session);
      case 'acquire':
        return this.#set(
          record?.session === undefined || record.session === input.session,
          input.value,
          input.session,
        );
      case 'release':
        return this.#set(record !== undefined && record.session === input.session, input.value, undefined);
      case 'delete':
      case 'delete-cas': {
        const applies = input.kind === 'delete' || record === undefined || at === input.index;
        if (applies) this.#record = undefined;
        return { kind: 'done', applied: applies };
      }
      default:
        throw new Error(`no such operation: ${input.kind satisfies never}`);
    }
  }

  #set(applies: boolean, value: string | undefined, session: string | undefined): KvOutput {
    const record = this.#record;
    const isChange = record === undefined || record.value !== value || record.session !== session;
    if (applies && isChange) this.#record = { value: value ?? '', session, modifyIndex: this.#index };
    return { kind: 'done', applied: applies };
  }
}

export interface HistoryShape {
  readonly operations: number;
  /** How many operations are under way at a time, about. */
  readonly concurrency: number;
  /** How likely an operation's answer is lost, 0 ≤ p ≤ 1; half of these never happened. */
  readonly lossRate: number;
}

/** Operations in the order of their starts. Values are few, so that equal ones are written more than once. */
export function randomHistory(random: Random, shape: HistoryShape): KvOperation[] {
  const key = new ReferenceKey();
  const seen = [0];
  const history: KvOperation[] = [];
  for (let turn = 0; turn < shape.operations; turn++) {
    const input = randomInput(random, seen, turn);
    const isLost = random.next() < shape.lossRate;
    const happens = !isLost || random.next() < 0.5;
    const start = turn - random.next() * shape.concurrency;
    const end = turn + random.next() * shape.concurrency;
    const output = happens ? key.apply(input, randomInt(random, 2)) : undefined;
    if (output?.kind === 'value') seen.push(output.modifyIndex);
    history.push(
      isLost
        ? { client: turn, key: KEY, input, output: undefined, start, end: Number.POSITIVE_INFINITY }
        : { client: turn, key: KEY, input, output, start, end },
    );
  }
  return history.sort((a, b) => a.start - b.start);
}

/** With one answer that is another one, at random; it may still be linearizable. */
export function withOneLie(random: Random, history: readonly KvOperation[]): KvOperation[] {
  const answered = history.flatMap(({ output }, at) => (output === undefined ? [] : [at]));
  const at = answered[randomInt(random, Math.max(1, answered.length))];
  const others = history.flatMap(({ output }) => (output?.kind === 'value' ? [output] : []));
  return history.map((op, i) =>
    i !== at || op.output === undefined ? op : { ...op, output: lie(random, op.output, others) },
  );
}

function lie(random: Random, output: KvOutput, others: readonly KvOutput[]): KvOutput {
  if (output.kind === 'done') return { kind: 'done', applied: !output.applied };
  const other = others[randomInt(random, others.length)] ?? output;
  switch (randomInt(random, 3)) {
    case 0:
      return other;
    case 1:
      return { kind: 'value', value: null, modifyIndex: 0 };
    default:
      return { ...output, modifyIndex: output.modifyIndex + 1 - randomInt(random, 3) };
  }
}

function randomInput(random: Random, seen: readonly number[], turn: number): KvInput {
  const kind = KINDS[randomInt(random, KINDS.length)] ?? 'get';
  const value = random.next() < 0.3 ? 'same' : `v${turn}`;
  const index = seen[randomInt(random, seen.length)] ?? 0;
  const session = SESSIONS[randomInt(random, SESSIONS.length)] ?? 's1';
  switch (kind) {
    case 'get':
    case 'delete':
      return { kind };
    case 'put':
      return { kind, value };
    case 'cas':
      return { kind, value, index };
    case 'delete-cas':
      return { kind, index };
    default:
      return { kind, value, session };
  }
}
