/**
 * One key of the KV store as the linearizability checker sees it.
 *
 * The server chooses each ModifyIndex and a write's answer doesn't tell it. Until a read or a successful check-and-set
 * has told it, the model knows what it can't be: anything up to the newest index known before.
 */

import type { Operation } from './history.ts';
import type { Model } from './linearizable.ts';

export interface KvInput {
  readonly kind: 'get' | 'put' | 'cas' | 'delete' | 'delete-cas' | 'acquire' | 'release';
  /**
   * What a put, cas, acquire or release writes. A release without one keeps the value: that is how a session's end
   * frees what it held. Where a session may end without a request of the recorder, add one of unknown outcome.
   */
  readonly value?: string;
  /** What a cas or delete-cas compares with; for a cas, 0 says that the key must not exist. */
  readonly index?: number;
  /** Of an acquire or release. */
  readonly session?: string;
}

export type KvOutput =
  | {
      readonly kind: 'value';
      /** null: no such key; then `modifyIndex` doesn't matter. */
      readonly value: string | null;
      readonly modifyIndex: number;
      /** Who holds the lock; absent when nobody does. */
      readonly session?: string;
    }
  | { readonly kind: 'done'; readonly applied: boolean };

export type KvOperation = Operation<KvInput, KvOutput>;

export interface KvState {
  readonly value: string | null;
  readonly session: string | undefined;
  /** undefined: the server has chosen one, above `above` and not in `not`. 0 when there is no such key. */
  readonly index: number | undefined;
  /** The newest index that the key is known to have had. */
  readonly above: number;
  /** What a failed comparison has ruled out, ascending. */
  readonly not: readonly number[];
}

export interface KvModelOptions {
  /** Whether a free key may refuse a lock for a while after its holder's session has ended. Default: no. */
  readonly hasLockDelays?: boolean;
}

export function kvModel(options: KvModelOptions = {}): Model<KvState, KvInput, KvOutput> {
  const hasLockDelays = options.hasLockDelays ?? false;
  return {
    initial: () => ABSENT,
    step(state, input, output) {
      if (input.kind === 'get') return output === undefined ? [state] : read(state, output);
      if (output?.kind === 'value') return [];
      if (output !== undefined) return written(state, input, output.applied, hasLockDelays);
      // Refused, it leaves all as it was; so "never happened" already stands for that.
      return written(state, input, true, hasLockDelays);
    },
    stateKey: ({ value, session, index, above, not }) =>
      JSON.stringify([value, session ?? null, index ?? null, above, not]),
    describe,
  };
}

const ABSENT: KvState = { value: null, session: undefined, index: 0, above: 0, not: [] };

function read(state: KvState, output: KvOutput): readonly KvState[] {
  if (output.kind !== 'value' || output.value !== state.value) return [];
  if (output.value === null) return [state];
  if (output.session !== state.session || !mayBeAt(state, output.modifyIndex)) return [];
  return [knownAt(state, output.modifyIndex)];
}

function written(
  state: KvState,
  input: KvInput,
  isApplied: boolean,
  hasLockDelays: boolean,
): readonly KvState[] {
  const { kind, index = 0, session } = input;
  const isAbsent = state.value === null;
  switch (kind) {
    case 'get':
      return [];
    case 'put':
      return isApplied ? withValue(state, input.value, state.session) : [];
    case 'delete':
      return isApplied ? [gone(state)] : [];
    case 'cas':
      if (isApplied) {
        return mayBeAt(state, index) ? withValue(knownAt(state, index), input.value, state.session) : [];
      }
      return otherThan(state, index);
    case 'delete-cas':
      // Deleting what isn't there succeeds whatever it is compared with.
      if (isAbsent) return isApplied ? [state] : [];
      if (!isApplied) return otherThan(state, index);
      return mayBeAt(state, index) ? [gone(knownAt(state, index))] : [];
    case 'acquire': {
      const isFree = isAbsent || state.session === undefined;
      if (isApplied) return isFree || state.session === session ? withValue(state, input.value, session) : [];
      return (isFree && hasLockDelays) || (!isFree && state.session !== session) ? [state] : [];
    }
    case 'release': {
      const isHolder = !isAbsent && state.session !== undefined && state.session === session;
      if (isApplied !== isHolder) return [];
      return isApplied ? withValue(state, input.value ?? state.value ?? '', undefined) : [state];
    }
    default:
      throw new Error(`no such operation: ${kind satisfies never}`);
  }
}

/** A write gives a new index. Only one that changes nothing may leave the old one. */
function withValue(
  state: KvState,
  value: string | undefined,
  session: string | undefined,
): readonly KvState[] {
  const after: KvState = { value: value ?? '', session, index: undefined, above: state.above, not: [] };
  return state.value === after.value && state.session === session ? [state, after] : [after];
}

function gone({ above }: KvState): KvState {
  return { ...ABSENT, above };
}

function mayBeAt({ index, above, not }: KvState, other: number): boolean {
  return index === undefined ? other > above && !not.includes(other) : index === other;
}

function knownAt(state: KvState, index: number): KvState {
  return state.index === index ? state : { ...state, index, above: Math.max(state.above, index), not: [] };
}

/** A comparison with this index failed. */
function otherThan(state: KvState, index: number): readonly KvState[] {
  if (state.index === index) return [];
  if (!mayBeAt(state, index)) return [state];
  return [{ ...state, not: [...state.not, index].sort((a, b) => a - b) }];
}

function describe({ input, output }: KvOperation): string {
  const { kind, value, index, session } = input;
  const parts = [
    kind,
    ...(value === undefined ? [] : [JSON.stringify(value)]),
    ...(index === undefined ? [] : [`at ${index}`]),
    ...(session === undefined ? [] : [`by ${session}`]),
  ];
  return `${parts.join(' ')} → ${describeOutput(output)}`;
}

function describeOutput(output: KvOutput | undefined): string {
  if (output === undefined) return '?';
  if (output.kind === 'done') return output.applied ? 'applied' : 'refused';
  if (output.value === null) return 'absent';
  const holder = output.session === undefined ? '' : ` held by ${output.session}`;
  return `${JSON.stringify(output.value)} at ${output.modifyIndex}${holder}`;
}
