/** What a leader knows of one peer: how far its log is known to match and what is under way to it. */

import type { LogIndex } from '../types.ts';
import { asIndex, ZERO_INDEX } from './entry.ts';

/**
 * - `probe`: where the logs meet is unknown; one append at a time until the peer accepts one.
 * - `replicate`: appends are pipelined without waiting, within the bounds on what is in flight.
 * - `snapshot`: the entries the peer needs are compacted; nothing is appended until it has the snapshot.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

export interface InflightLimits {
  /** Appends sent and not yet answered, ≥ 1. More hides latency, costs memory on a slow peer. */
  readonly maxInflightAppends: number;
  /** Their bytes, ≥ 1; passed by at most one append. */
  readonly maxInflightBytes: number;
}

/** Invariant: `match < next`; `inflight` ascends by index and is empty unless `state` is `replicate`. */
export class Progress {
  state: ProgressState = 'probe';
  match: LogIndex = ZERO_INDEX;
  next: LogIndex;
  /** A probe is out; no other until an answer or a heartbeat's answer comes. */
  isProbeOut = false;
  /** A reply is overdue: ask where the peer stands with an empty append. */
  isCheckDue = false;
  /** Index of the snapshot under way while `state` is `snapshot`. */
  snapshotIndex: LogIndex = ZERO_INDEX;
  /** The highest commit index the peer was told. */
  toldCommit: LogIndex = ZERO_INDEX;
  ackedRound = 0;
  /** When, on this clock, the newest message that the peer answered was made. */
  ackedSentAtMs = Number.NEGATIVE_INFINITY;
  lastReplyAtMs: number;
  /** When it last accepted something new, or was first sent something after it had all. */
  lastProgressAtMs: number;
  /** Set once the peer was removed: it still gets the entry at `index`, so that it learns of it, until the deadline. */
  departing: { readonly index: LogIndex; readonly deadlineMs: number } | undefined;
  readonly #inflight: { readonly index: LogIndex; readonly bytes: number }[] = [];
  #inflightBytes = 0;

  constructor(next: LogIndex, nowMs: number) {
    this.next = next;
    this.lastReplyAtMs = nowMs;
    this.lastProgressAtMs = nowMs;
  }

  get inflightCount(): number {
    return this.#inflight.length;
  }

  hasRoom(limits: InflightLimits): boolean {
    return this.#inflight.length < limits.maxInflightAppends && this.#inflightBytes < limits.maxInflightBytes;
  }

  sent(lastIndex: LogIndex, bytes: number, nowMs: number): void {
    if (this.#inflight.length === 0) this.lastProgressAtMs = nowMs;
    this.#inflight.push({ index: lastIndex, bytes });
    this.#inflightBytes += bytes;
    this.next = asIndex(lastIndex + 1);
  }

  /** The peer holds all up to `index`. @returns whether that is news */
  accepted(index: LogIndex, nowMs: number): boolean {
    let freed = 0;
    while (freed < this.#inflight.length && (this.#inflight[freed]?.index ?? 0) <= index) {
      this.#inflightBytes -= this.#inflight[freed]?.bytes ?? 0;
      freed++;
    }
    this.#inflight.splice(0, freed);
    if (index > this.match) {
      this.match = index;
      this.lastProgressAtMs = nowMs;
      if (this.next <= index) this.next = asIndex(index + 1);
      return true;
    }
    return false;
  }

  becomeProbe(next: number): void {
    this.state = 'probe';
    this.next = asIndex(Math.max(next, this.match + 1));
    this.isProbeOut = false;
    this.isCheckDue = false;
    this.#clearInflight();
  }

  becomeReplicate(): void {
    this.state = 'replicate';
    this.next = asIndex(this.match + 1);
    this.isProbeOut = false;
    this.isCheckDue = false;
    this.#clearInflight();
  }

  becomeSnapshot(index: LogIndex): void {
    this.state = 'snapshot';
    this.snapshotIndex = index;
    this.isProbeOut = false;
    this.isCheckDue = false;
    this.#clearInflight();
  }

  #clearInflight(): void {
    this.#inflight.length = 0;
    this.#inflightBytes = 0;
  }
}
