/** Leadership transfer: bring a peer up to date, then ask it to start an election at once (Raft thesis, §3.10). */

import type { NodeId } from '../types.ts';
import { isVoterIn, voterIds } from './configuration.ts';
import { type CoreState, type Leadership, send } from './state.ts';

/**
 * Starts a transfer; no proposal is taken until it is done or aborted after one election time.
 *
 * @returns why not, or undefined when it is under way
 */
export function startTransfer(
  state: CoreState,
  leadership: Leadership,
  to: NodeId | undefined,
): string | undefined {
  const target = to ?? bestSuccessor(state, leadership);
  if (target === undefined) return 'cannot find peer';
  if (target === state.options.id) return 'cannot transfer leadership to itself';
  if (!isVoterIn(state.configurations.current.peers, target))
    return `cannot transfer leadership to "${target}", which is no voter`;
  if (leadership.transfer !== undefined) {
    return leadership.transfer.to === target ? undefined : 'leadership transfer is already in progress';
  }
  leadership.transfer = {
    to: target,
    deadlineMs: state.nowMs + state.options.timing.electionMs,
    isAsked: false,
  };
  transferIfCaughtUp(state);
  return undefined;
}

export function transferIfCaughtUp(state: CoreState): void {
  const { leadership } = state;
  const transfer = leadership?.transfer;
  if (leadership === undefined || transfer === undefined || transfer.isAsked) return;
  if (leadership.progress.get(transfer.to)?.match !== state.log.lastIndex) return;
  transfer.isAsked = true;
  askToTakeOver(state, leadership, transfer.to);
}

export function askToTakeOver(state: CoreState, leadership: Leadership, to: NodeId): void {
  send(state, to, { kind: 'timeout-now', term: state.term, round: leadership.round });
}

/**
 * Gives up. The request may still be under way and wins votes even of those who hear this leader, so the lease
 * stays off until the target has answered a later round: from then on it ignores the request.
 */
export function abortTransfer(state: CoreState, leadership: Leadership): void {
  const { transfer } = leadership;
  if (transfer === undefined) return;
  leadership.transfer = undefined;
  if (transfer.isAsked) {
    leadership.transferFence = { to: transfer.to, round: leadership.round + 1 };
    leadership.isHeartbeatDue = true;
  }
  state.outbox.notice({ kind: 'transfer-aborted', to: transfer.to });
}

/** Whether a request to take over may be under way. */
export function isTransferPossible(leadership: Leadership): boolean {
  if (leadership.transfer !== undefined) return true;
  const fence = leadership.transferFence;
  if (fence === undefined) return false;
  return (leadership.progress.get(fence.to)?.ackedRound ?? 0) < fence.round;
}

/** The voter whose log is furthest, other than this server. */
export function bestSuccessor(state: CoreState, leadership: Leadership): NodeId | undefined {
  let best: NodeId | undefined;
  for (const id of voterIds(state.configurations.current.peers)) {
    if (id === state.options.id) continue;
    const match = leadership.progress.get(id)?.match ?? 0;
    if (best === undefined || match > (leadership.progress.get(best)?.match ?? 0)) best = id;
  }
  return best;
}
