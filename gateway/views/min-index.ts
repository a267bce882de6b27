/** Reads that must not be older than what the caller has seen, wherever it saw it. */

import { badRequest } from '../../shared/errors.ts';
import { type Answer, type HeaderList, headerOf, isWhole } from '../exchange/exchange.ts';
import type { Forward, Incoming } from '../proxy/forward.ts';
import { splitTarget } from '../proxy/target.ts';
import { classify } from '../routing/classify.ts';
import { indexOf } from './follow.ts';
import { leaderTarget } from './question.ts';

/**
 * The index that a request says its caller has seen: `X-Proconsul-Min-Index`, or an answer's `X-Consul-Index` sent back.
 *
 * @returns undefined when it says nothing
 * @throws ConsulError 400 when it is no index
 */
export function minIndexOf(headers: HeaderList): number | undefined {
  const text = headerOf(headers, 'x-proconsul-min-index') ?? headerOf(headers, 'x-consul-index');
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest('X-Proconsul-Min-Index must be an index, such as that of X-Consul-Index.');
  return Number(text);
}

/**
 * Does a read; when a server that may be behind answers it with a lower index than `minIndex`, the leader is asked.
 * An index is that of what was read, so a lower one may also mean that nothing of it changed: the leader knows.
 */
export async function readAtLeast(incoming: Incoming, minIndex: number, read: Forward): Promise<Answer> {
  const answer = await read(incoming);
  const target = leaderTarget(incoming.target);
  const found = indexOf(answer);
  if (target === incoming.target || found === undefined || found >= minIndex || !mayBeBehind(incoming))
    return answer;
  if (!isWhole(answer)) answer.body.cancel().catch(() => undefined);
  return read({ ...incoming, target, kind: classify(incoming.method, splitTarget(target)) });
}

function mayBeBehind({ kind, target }: Incoming): boolean {
  return kind.isRead && /[?&](?:stale|max_stale|cached)(?:=|&|$)/.test(target);
}
