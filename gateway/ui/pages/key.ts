/** One key: shown, changed and deleted with check-and-set, so that nobody's change is overwritten unseen. */

import { type ApiAnswer, ApiError, explain, parseJson } from '../api.ts';
import { byteSize, counted, shellWord } from '../format.ts';
import { type Editing, follow, isChanged, type Stored } from '../kv-editing.ts';
import { checkDraft, type Draft, kvForm } from '../kv-form.ts';
import { keyPath, lastPart, parentFolder } from '../kv-key.ts';
import { bytesFromBase64, editableText, exactFlags, hexDump } from '../kv-value.ts';
import { type KvEntry, readKvEntry } from '../model.ts';
import { emptyState, factList, note, pageHead, serverText, whenLoaded } from '../parts.ts';
import type { Page, Scope } from '../scope.ts';
import { type Child, h } from '../tree.ts';
import { crumbs } from './kv.ts';

const DUMP_BYTES = 4096;

export function keyPage(scope: Scope, key: string): Page {
  const path = `/v1/kv/${keyPath(key)}`;
  const query = { dc: scope.dc };
  let editing: Editing | undefined;
  let failure: Child;
  let isBusy = false;
  const live = scope.watch({ path, query }, readStored);

  const takeLatest = () => {
    failure = undefined;
    editing = undefined;
    live.refresh();
    scope.redraw();
  };
  /** Runs a check-and-set request. @returns whether the store took it */
  const attempt = async (request: Parameters<Scope['call']>[0], refusal: string): Promise<boolean> => {
    isBusy = true;
    failure = undefined;
    scope.redraw();
    try {
      const answer = await scope.call(request);
      if (answer.text.trim() === 'true') return true;
      failure = conflict(refusal, takeLatest);
    } catch (error) {
      failure = failed(error);
    } finally {
      isBusy = false;
      scope.redraw();
    }
    return false;
  };
  const save = async () => {
    if (isBusy || editing === undefined) return;
    const { base, draft } = editing;
    const checked = checkDraft(draft);
    if ('problem' in checked) return;
    const cas = base.entry.modifyIndex;
    const request = { method: 'PUT', path, body: checked.bytes } as const;
    const options = { query: { ...query, cas, flags: checked.flags } };
    if (!(await attempt({ ...request, ...options }, 'Your change was not saved.'))) return;
    if (editing !== undefined) editing = { ...editing, saved: draft };
    scope.announce(`Saved ${key}`);
    live.refresh();
  };
  const remove = async () => {
    if (isBusy || editing === undefined) return;
    const cas = editing.base.entry.modifyIndex;
    if (!(await attempt({ method: 'DELETE', path, query: { ...query, cas } }, 'The key was not deleted.')))
      return;
    scope.announce(`Deleted ${key}`);
    scope.go({ page: 'kv', dc: scope.dc, folder: parentFolder(key) });
  };
  const askToRemove = () =>
    scope.confirm({
      title: 'Delete this key?',
      text: `“${key}” and its value are deleted. This cannot be undone.`,
      verb: 'Delete key',
      act: () => void remove(),
    });
  const change = (draft: Draft) => {
    if (editing !== undefined) editing = { ...editing, draft };
    scope.redraw();
  };

  const body = (latest: Stored | 'none'): Child[] => {
    if (latest === 'none') return [failure, missing(scope, key)];
    editing = follow(editing, latest);
    const { draft } = editing;
    const isTouched = isChanged(editing);
    const isOutdated = isTouched && !isBusy && latest.entry.modifyIndex !== editing.base.entry.modifyIndex;
    return [
      failure,
      isOutdated &&
        failure === undefined &&
        conflict('It was changed elsewhere while you were editing.', takeLatest),
      kvForm(
        draft,
        { change, save: () => void save() },
        false,
        h(
          'div.actions',
          {},
          h('button.primary', { type: 'submit', disabled: isBusy || !isTouched }, 'Save'),
          isTouched && h('button', { type: 'button', onclick: takeLatest }, 'Discard changes'),
          h('button.danger', { type: 'button', disabled: isBusy, onclick: askToRemove }, 'Delete key'),
        ),
      ),
      bytesView(latest.bytes),
      facts(latest),
    ];
  };

  return {
    title: key,
    view: () => [crumbs(scope, parentFolder(key)), pageHead(lastPart(key)), whenLoaded(scope, live, body)],
  };
}

function readStored(answer: ApiAnswer): Stored | 'none' {
  const entry = answer.isFound ? readKvEntry(parseJson(answer)) : undefined;
  if (entry === undefined) return 'none';
  try {
    return { entry, bytes: bytesFromBase64(entry.value), flags: exactFlags(answer.text) };
  } catch {
    throw new ApiError(502, 'The value in the answer is not base64.');
  }
}

function conflict(text: string, takeLatest: () => void): Child {
  return h(
    'div.note.warning',
    { role: 'alert' },
    h(
      'div',
      {},
      h('strong', {}, 'The stored value is another one by now'),
      h('p', {}, `${text} Load the stored value to go on from it; your own text is then lost.`),
    ),
    h('div.actions', {}, h('button', { type: 'button', onclick: takeLatest }, 'Load stored value')),
  );
}

/** A failed write, in words. */
export function failed(error: unknown): Child {
  if (!(error instanceof ApiError)) return note('critical', 'Not done', String(error));
  const { title, advice } = explain(error);
  return note('critical', title, advice, serverText(error.message));
}

/** Values that are no text are also shown byte by byte. */
function bytesView(bytes: Uint8Array): Child {
  if (editableText(bytes) !== undefined) return false;
  const isCut = bytes.length > DUMP_BYTES;
  return h(
    'section',
    { 'aria-labelledby': 'bytes' },
    h('h2', { id: 'bytes' }, 'Bytes'),
    h(
      'p.quiet',
      {},
      isCut
        ? `The first ${byteSize(DUMP_BYTES)} of ${byteSize(bytes.length)}.`
        : 'The value is not plain text.',
    ),
    h('pre.dump', { tabindex: 0, 'aria-label': 'Value in hexadecimal' }, hexDump(bytes, DUMP_BYTES)),
  );
}

function facts({ entry }: Stored): Child {
  return h(
    'section.card',
    { 'aria-label': 'Facts' },
    factList([
      ['ModifyIndex', String(entry.modifyIndex)],
      ['CreateIndex', String(entry.createIndex)],
      ['Lock', lockOf(entry)],
    ]),
  );
}

function lockOf({ session, lockIndex }: KvEntry): Child {
  const before = lockIndex === 0 ? '' : `, locked ${counted(lockIndex, 'time')} so far`;
  return session === '' ? `not locked${before}` : ['held by session ', h('code', {}, session)];
}

function missing(scope: Scope, key: string): Child {
  return emptyState(
    'No such key',
    'It was deleted, was never there, or the token may not see it. Store a value:',
    `curl -X PUT --data 'hello' ${shellWord(`${scope.origin}/v1/kv/${keyPath(key)}`)}`,
  );
}
