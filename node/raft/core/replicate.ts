/** What a leader sends at the end of a turn: heartbeats, appends within each peer's window, news of what is committed. */

import type { LogIndex, NodeId } from '../types.ts';
import { asIndex, entryBytes } from './entry.ts';
import type { Append, Stamp } from './messages.ts';
import type { Progress } from './progress.ts';
import { confirmReads, openReadRound } from './read-index.ts';
import { type CoreState, type Leadership, type MadeAppend, send } from './state.ts';

/** Turns all that became due in this turn into messages: one heartbeat round, and appends to whoever can take them. */
export function flushLeader(state: CoreState, leadership: Leadership): void {
  openReadRound(state, leadership);
  if (leadership.isHeartbeatDue) broadcastHeartbeat(state, leadership);
  for (const [id, progress] of leadership.progress) {
    sendAppends(state, leadership, id, progress);
  }
  tellCommitIndex(state, leadership);
  confirmReads(state);
}

/** What is committed goes with the next append; if none leaves for a moment, by itself. */
function tellCommitIndex(state: CoreState, leadership: Leadership): void {
  const delayMs = state.options.timing.commitNoticeMs ?? 0;
  let waits = false;
  for (const [id, progress] of leadership.progress) {
    const known = Math.min(state.commitIndex, progress.match);
    if (known <= progress.toldCommit) continue;
    const isDue = delayMs === 0 || state.nowMs >= (leadership.commitNoticeAtMs ?? Number.POSITIVE_INFINITY);
    // Who is to be dismissed learns it at once: it may be gone in a moment.
    if (isDue || progress.departing !== undefined) sendHeartbeat(state, leadership, id, progress);
    else waits = true;
  }
  if (!waits) leadership.commitNoticeAtMs = undefined;
  else leadership.commitNoticeAtMs ??= state.nowMs + delayMs;
}

export function broadcastHeartbeat(state: CoreState, leadership: Leadership): void {
  leadership.isHeartbeatDue = false;
  leadership.round++;
  for (const [id, progress] of leadership.progress) sendHeartbeat(state, leadership, id, progress);
}

function sendHeartbeat(state: CoreState, leadership: Leadership, id: NodeId, progress: Progress): void {
  const commitIndex = asIndex(Math.min(state.commitIndex, progress.match));
  progress.toldCommit = commitIndex;
  send(state, id, { kind: 'heartbeat', term: state.term, commitIndex, stamp: stampOf(state, leadership) });
}

function sendAppends(state: CoreState, leadership: Leadership, id: NodeId, progress: Progress): void {
  const { limits } = state.options;
  if (progress.state === 'snapshot') return;
  if (progress.state === 'probe') {
    if (!progress.isProbeOut) sendAppend(state, leadership, id, progress, limits.maxEntriesPerAppend);
    return;
  }
  if (progress.isCheckDue) {
    progress.isCheckDue = false;
    sendAppend(state, leadership, id, progress, 0);
  }
  while (progress.next <= state.log.lastIndex && progress.hasRoom(limits) && progress.state === 'replicate')
    sendAppend(state, leadership, id, progress, limits.maxEntriesPerAppend);
}

/** Sends entries from `progress.next` on, or a snapshot when they are compacted. */
function sendAppend(
  state: CoreState,
  leadership: Leadership,
  id: NodeId,
  progress: Progress,
  maxEntries: number,
): void {
  const append = appendAfter(state, leadership, asIndex(progress.next - 1), maxEntries);
  if (append === undefined) {
    sendSnapshot(state, id, progress);
    return;
  }
  const { message, bytes } = append;
  const last = message.entries[message.entries.length - 1];
  if (progress.state === 'probe') progress.isProbeOut = true;
  else if (last !== undefined) progress.sent(last.index, bytes, state.nowMs);
  progress.toldCommit = asIndex(Math.max(progress.toldCommit, Math.min(state.commitIndex, progress.match)));
  send(state, id, message);
}

/**
 * The append of what follows `prevIndex`, the same object for all peers that stand there in this turn, so that it is
 * encoded once. Undefined when that part of the log is compacted.
 */
function appendAfter(
  state: CoreState,
  leadership: Leadership,
  prevIndex: LogIndex,
  maxEntries: number,
): MadeAppend | undefined {
  const { log, commitIndex, nowMs } = state;
  const before = leadership.lastAppend;
  const isSame =
    before !== undefined &&
    before.maxEntries === maxEntries &&
    before.logEnd === log.lastIndex &&
    before.message.prevIndex === prevIndex &&
    before.message.commitIndex === commitIndex &&
    before.message.stamp.round === leadership.round &&
    before.message.stamp.sentAtMs === nowMs;
  if (isSame) return before;
  const prevTerm = log.termAt(prevIndex);
  if (prevTerm === undefined) return undefined;
  const entries = log.from(prevIndex + 1, maxEntries, state.options.limits.maxBytesPerAppend);
  const message: Append = {
    kind: 'append',
    term: state.term,
    prevIndex,
    prevTerm,
    entries,
    commitIndex,
    stamp: stampOf(state, leadership),
  };
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  leadership.lastAppend = { message, bytes, maxEntries, logEnd: log.lastIndex };
  return leadership.lastAppend;
}

function sendSnapshot(state: CoreState, id: NodeId, progress: Progress): void {
  const { snapshot } = state;
  if (snapshot === undefined) return;
  progress.becomeSnapshot(snapshot.index);
  send(state, id, { kind: 'install-snapshot', term: state.term, meta: snapshot });
}

function stampOf(state: CoreState, leadership: Leadership): Stamp {
  return { round: leadership.round, sentAtMs: state.nowMs };
}
