/** What a server does that cannot write its log: it neither leads nor asks to, until the disk works again. */

import { becomeFollower, restartElectionTimer } from './roles.ts';
import { type CoreState, isSoleVoter } from './state.ts';
import { startTransfer } from './transfer.ts';

/** How many election times a disk must work again before this server is as good a leader as any. */
const AILING_ELECTIONS = 20;

/**
 * The disk takes no more (full, or a write that does not return), or it does so again.
 *
 * What a follower could not store it does not acknowledge in any case: its answers wait for the write. A leader hands
 * over, to a server that has all entries; if none takes over within an election time, it steps down (`tickLeader`).
 */
export function onStorage(state: CoreState, isStuck: boolean): void {
  const { storage } = state;
  if (storage.isStuck === isStuck) return;
  storage.isStuck = isStuck;
  storage.ailingUntilMs = state.nowMs + AILING_ELECTIONS * state.options.timing.electionMs;
  if (isStuck) giveUpLead(state);
  else if (state.role === 'follower') restartElectionTimer(state);
}

/** Nobody gains when this is the only server that may lead. */
function giveUpLead(state: CoreState): void {
  const { leadership } = state;
  if (leadership === undefined) {
    if (state.role !== 'follower') becomeFollower(state, state.term, undefined);
    return;
  }
  if (isSoleVoter(state)) return;
  state.outbox.notice({ kind: 'storage-stuck', term: state.term });
  if (startTransfer(state, leadership, undefined) !== undefined) becomeFollower(state, state.term, undefined);
}

/** The transfer of a leader that cannot store came to nothing: followers elect one by themselves. */
export function stepDownIfStuck(state: CoreState): void {
  if (!state.storage.isStuck || state.leadership === undefined || isSoleVoter(state)) return;
  becomeFollower(state, state.term, undefined);
}
