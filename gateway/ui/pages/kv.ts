/** One folder of the key-value store. */

import { type ApiAnswer, ApiError, parseJson } from '../api.ts';
import { shellWord } from '../format.ts';
import { crumbsOf, keyPath, keyProblem, lastPart, splitListing } from '../kv-key.ts';
import { createListControls, type ListOf } from '../list-controls.ts';
import { texts } from '../model.ts';
import { emptyState, note, pageHead, serverText, whenLoaded } from '../parts.ts';
import type { Page, Scope } from '../scope.ts';
import { type Child, h } from '../tree.ts';

export function kvPage(scope: Scope, folder: string): Page {
  const { dc } = scope;
  const request = { path: `/v1/kv/${keyPath(folder)}`, query: { dc, keys: true, separator: '/' } as const };
  const listing = scope.watch(request, (answer) => readListing(answer, folder));
  const controls = createListControls(scope);
  let failure: ApiError | undefined;

  const list: ListOf<string> = {
    search: (key) => ({ name: [lastPart(key)] }),
    row: (key) => kvRow(scope, key),
    noun: ['entry', 'entries'],
  };
  const hasKeys = () => (listing.value?.length ?? 0) > 0;
  const removeAll = async () => {
    failure = undefined;
    try {
      await scope.call({ method: 'DELETE', path: `/v1/kv/${keyPath(folder)}`, query: { dc, recurse: true } });
      scope.announce(`Deleted everything in ${folder}`);
    } catch (error) {
      failure = error instanceof ApiError ? error : new ApiError(0, String(error));
    }
    scope.redraw();
  };
  const askToRemove = () =>
    scope.confirm({
      title: 'Delete this folder?',
      text: `Every key that begins with “${folder}” is deleted. This cannot be undone.`,
      verb: 'Delete folder',
      act: () => void removeAll(),
    });

  return {
    title: folder === '' ? 'Key/Value' : folder,
    view: () => [
      folder !== '' && crumbs(scope, folder),
      pageHead(
        folder === '' ? 'Key/Value' : lastPart(folder),
        h(
          'div.actions',
          {},
          folder !== '' &&
            hasKeys() &&
            h('button.danger', { type: 'button', onclick: askToRemove }, 'Delete folder'),
          h('a.button.primary', { href: scope.href({ page: 'new-key', dc, folder }) }, 'New key'),
        ),
      ),
      failure !== undefined && note('critical', 'The folder was not deleted', serverText(failure.message)),
      whenLoaded(scope, listing, (keys) =>
        keys.length === 0 ? [noKeys(scope.origin, folder)] : controls.view(keys, list),
      ),
    ],
  };
}

/** Where a key or folder is, as links. */
export function crumbs(scope: Scope, folder: string): Child {
  const all = crumbsOf(folder);
  return h(
    'nav.crumbs',
    { 'aria-label': 'Folders' },
    h(
      'ol',
      {},
      all.map(({ label, folder: target }) =>
        h('li', {}, h('a', { href: scope.href({ page: 'kv', dc: scope.dc, folder: target }) }, label)),
      ),
    ),
  );
}

function readListing(answer: ApiAnswer, folder: string): string[] {
  if (!answer.isFound) return [];
  const { folders, keys } = splitListing(texts(parseJson(answer)), folder);
  return [...folders, ...keys];
}

function kvRow(scope: Scope, key: string): Child {
  const { dc } = scope;
  const isFolder = key.endsWith('/');
  const problem = keyProblem(isFolder ? `${key}x` : key);
  const href = scope.href(isFolder ? { page: 'kv', dc, folder: key } : { page: 'key', dc, key });
  return h(
    'li.row',
    { key },
    h(`span.icon.${isFolder ? 'folder' : 'key'}`, { 'aria-hidden': 'true' }),
    h(
      'div.main',
      {},
      problem === undefined
        ? h('a.title', { href }, lastPart(key))
        : [h('span.title', {}, lastPart(key)), h('span.quiet', {}, `Not reachable by URL. ${problem}`)],
    ),
    isFolder && h('span.unseen', {}, 'folder'),
  );
}

function noKeys(origin: string, folder: string): Child {
  return emptyState(
    folder === '' ? 'No keys' : 'This folder is empty',
    'Nothing is stored here, or the token may not see it. Store a value:',
    `curl -X PUT --data 'hello' ${shellWord(`${origin}/v1/kv/${keyPath(folder)}greeting`)}`,
  );
}
