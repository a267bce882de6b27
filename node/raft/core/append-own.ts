/** A leader's own appends: entries of its term at the end of its log. */

import type { LogIndex } from '../types.ts';
import { decodePeers } from './configuration.ts';
import { asIndex, type EntryKind, entryBytes, type LogEntry } from './entry.ts';
import { Progress } from './progress.ts';
import type { CoreState } from './state.ts';

/** Appends one entry; followers and disk get it with the next `ready`. @returns its index */
export function appendOwn(state: CoreState, kind: EntryKind, data: Uint8Array): LogIndex {
  const index = asIndex(state.log.lastIndex + 1);
  const entry: LogEntry = { index, term: state.term, kind, data };
  state.log.append(entry);
  state.outbox.entriesChangedFrom(index);
  if (state.leadership !== undefined) state.leadership.uncommittedBytes += entryBytes(entry);
  if (kind === 'configuration') adoptConfiguration(state, entry);
  return index;
}

/** Puts a configuration entry in force, on leaders and followers alike, when it is appended. */
export function adoptConfiguration(state: CoreState, entry: LogEntry): void {
  state.configurations.append({ index: entry.index, peers: decodePeers(entry.data) });
  state.hasSaidIdle = false;
  state.outbox.notice({ kind: 'configuration', index: entry.index });
  if (state.leadership !== undefined) followConfiguration(state);
}

/** Starts to feed new peers; removed ones are still told of their removal for a while. */
function followConfiguration(state: CoreState): void {
  const { leadership } = state;
  if (leadership === undefined) return;
  const { index, peers } = state.configurations.current;
  const members = new Set(peers.map((peer) => peer.id));
  for (const id of members) {
    if (id === state.options.id) continue;
    const known = leadership.progress.get(id);
    if (known === undefined) leadership.progress.set(id, new Progress(index, state.nowMs));
    else known.departing = undefined;
  }
  const deadlineMs = state.nowMs + 4 * state.options.timing.electionMs;
  for (const [id, progress] of leadership.progress)
    if (!members.has(id) && progress.departing === undefined) progress.departing = { index, deadlineMs };
}
