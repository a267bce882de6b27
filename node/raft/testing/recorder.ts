/** A state machine for tests: a journal of what was applied, which snapshots carry whole. */

import type { LogIndex, SnapshotView, StateMachine, Term } from '../types.ts';

export interface Applied {
  readonly index: LogIndex;
  readonly term: Term;
  readonly command: string;
}

export interface Recorder extends StateMachine {
  readonly journal: readonly Applied[];
  /** The last index of each `applied` call. */
  readonly runs: readonly LogIndex[];
  readonly openViews: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** @param onApply sees each command as it is applied */
export function createRecorder(onApply: (applied: Applied) => void = () => {}): Recorder {
  let journal: Applied[] = [];
  const runs: LogIndex[] = [];
  let openViews = 0;
  return {
    get journal() {
      return journal;
    },
    runs,
    get openViews() {
      return openViews;
    },
    apply(data, index, term) {
      const applied = { index, term, command: decoder.decode(data) };
      journal.push(applied);
      onApply(applied);
      return `done ${applied.command}`;
    },
    applied: (lastIndex) => {
      runs.push(lastIndex);
    },
    snapshot(): SnapshotView {
      const bytes = encoder.encode(JSON.stringify(journal));
      openViews++;
      return {
        async *chunks() {
          for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
        },
        release: () => {
          openViews--;
        },
      };
    },
    async restore(chunks) {
      const parts: Uint8Array[] = [];
      for await (const chunk of chunks) parts.push(chunk);
      journal = JSON.parse(decoder.decode(Buffer.concat(parts)));
    },
  };
}
