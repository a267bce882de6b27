/** What a recorded run proves or refutes: a pure function of its history. */

import { type KvModelOptions, kvModel } from '../history/kv-model.ts';
import { checkLinearizable } from '../history/linearizable.ts';
import { checkLocks } from '../history/locks.ts';
import { checkWatch } from '../history/watch.ts';
import type { ChaosOperation, RunHistory } from './run-history.ts';
import { isAsTold } from './service-clients.ts';

export interface Judgement {
  readonly name: string;
  readonly isFine: boolean;
  /** What was looked at, or what is wrong. */
  readonly text: string;
}

/** More violations than that are counted and not shown. */
const SHOWN = 5;

export function judge(history: RunHistory): Judgement[] {
  const { operations } = history;
  const strict = operations.filter(({ input }) => input.kind !== 'get' || input.isConsistent === true);
  const isLock = ({ key }: ChaosOperation) => key.startsWith('lock/');
  const isService = ({ key }: ChaosOperation) => key.startsWith('service/');
  const isKey = (op: ChaosOperation) => !isLock(op) && !isService(op);
  return [
    judgeOrder('keys: writes and consistent reads', strict.filter(isKey)),
    judgeOrder('keys: default reads too', operations.filter(isKey)),
    judgeOrder('catalog: writes and consistent reads', strict.filter(isService)),
    judgeOrder('catalog: default reads too', operations.filter(isService)),
    judgeOrder('locks: acquire, release, consistent reads', strict.filter(isLock), { hasLockDelays: true }),
    judgeHolds(history),
    ...history.watches.map(judgeWatch),
    judgeAgentServices(history),
  ];
}

function judgeOrder(
  name: string,
  operations: readonly ChaosOperation[],
  options?: KvModelOptions,
): Judgement {
  const result = checkLinearizable(kvModel(options), operations);
  const keys = new Set(operations.map(({ key }) => key)).size;
  switch (result.verdict) {
    case 'linearizable':
      return { name, isFine: true, text: `linearizable (${operations.length} operations on ${keys})` };
    case 'undecided':
      // Neither proven nor refuted is not proven.
      return { name, isFine: false, text: `undecided for ${result.key}: too many open outcomes` };
    case 'violation':
      return { name, isFine: false, text: result.text };
    default:
      throw new Error(`no such verdict: ${result satisfies never}`);
  }
}

function judgeHolds({ holds }: RunHistory): Judgement {
  const violations = checkLocks(holds);
  const time = holds.reduce((sum, { from, to }) => sum + Math.max(0, to - from), 0);
  return {
    name: 'locks: one holder at a time',
    isFine: violations.length === 0,
    text:
      violations.length === 0
        ? `${holds.length} holds, ${Math.round(time / 1000)} s held for certain`
        : shown(violations.map(({ text }) => text)),
  };
}

function judgeWatch({ target, watchers, final }: RunHistory['watches'][number]): Judgement {
  const violations = checkWatch(watchers, final);
  const events = Object.values(watchers).reduce((sum, each) => sum + each.length, 0);
  return {
    name: `watch ${target}`,
    isFine: violations.length === 0,
    text:
      violations.length === 0
        ? `${events} events to ${Object.keys(watchers).length} watchers, none lost, twice or backward`
        : shown(violations.map(({ kind, watcher, text }) => `${watcher}: ${kind}: ${text}`)),
  };
}

function judgeAgentServices({ agentServices }: RunHistory): Judgement {
  const wrong = agentServices.filter((service) => !isAsTold(service));
  return {
    name: 'services of agents',
    isFine: wrong.length === 0,
    text:
      wrong.length === 0
        ? `${agentServices.length} as last told`
        : shown(
            wrong.map(
              ({ id, allowed, found }) =>
                `${id}: the catalog has ports [${found.join()}], told ${allowed.map((port) => port ?? 'removed').join(' or ')}`,
            ),
          ),
  };
}

function shown(lines: readonly string[]): string {
  const more = lines.length - SHOWN;
  return [...lines.slice(0, SHOWN), ...(more > 0 ? [`… and ${more} more`] : [])].join('\n');
}
