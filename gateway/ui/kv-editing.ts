/** A value being edited while the store goes on changing. Pure: nothing typed is lost, nothing stored is missed. */

import { type Draft, draftOf, isSameDraft } from './kv-form.ts';
import type { KvEntry } from './model.ts';

export interface Stored {
  readonly entry: KvEntry;
  readonly bytes: Uint8Array;
  /** Digits. */
  readonly flags: string;
}

export interface Editing {
  /** What the fields were filled from. Its ModifyIndex is what a write is checked against. */
  readonly base: Stored;
  readonly draft: Draft;
  /** What a write stored, until it comes back in an answer. */
  readonly saved: Draft | undefined;
}

/** Whether the user has something to save. */
export function isChanged({ base, draft }: Editing): boolean {
  return !isSameDraft(draft, draftOf(base.bytes, base.flags));
}

/**
 * Takes in what the store holds now. Untouched fields follow it. Touched ones stay as they are, on their old base, so
 * that a write is refused — unless the new value is the one that was just saved from here.
 */
export function follow(editing: Editing | undefined, latest: Stored): Editing {
  const draft = draftOf(latest.bytes, latest.flags);
  if (editing === undefined) return { base: latest, draft, saved: undefined };
  if (editing.base.entry.modifyIndex === latest.entry.modifyIndex) return editing;
  if (editing.saved !== undefined && isSameDraft(editing.saved, draft))
    return { base: latest, draft: editing.draft, saved: undefined };
  return isChanged(editing) ? editing : { base: latest, draft, saved: undefined };
}
