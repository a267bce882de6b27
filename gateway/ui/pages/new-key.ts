/** A new key in a folder. */

import { checkDraft, type Draft, kvForm } from '../kv-form.ts';
import { keyPath, keyProblem, parentFolder } from '../kv-key.ts';
import { fieldValue } from '../list-controls.ts';
import { note, pageHead } from '../parts.ts';
import type { Page, Scope } from '../scope.ts';
import { type Child, h } from '../tree.ts';
import { failed } from './key.ts';
import { crumbs } from './kv.ts';

const EMPTY: Draft = { form: 'text', text: '', flags: '0' };

export function newKeyPage(scope: Scope, folder: string): Page {
  const { dc } = scope;
  let name = '';
  let draft = EMPTY;
  let failure: Child;
  let isBusy = false;

  const save = async () => {
    const key = folder + name;
    const checked = checkDraft(draft);
    if (isBusy || 'problem' in checked || problemOf(folder, name) !== undefined) return;
    isBusy = true;
    failure = undefined;
    try {
      const request = { method: 'PUT', path: `/v1/kv/${keyPath(key)}`, body: checked.bytes } as const;
      // 0: only if there is no such key.
      const answer = await scope.call({ ...request, query: { dc, cas: 0, flags: checked.flags } });
      if (answer.text.trim() === 'true') {
        scope.announce(`Created ${key}`);
        scope.go(key.endsWith('/') ? { page: 'kv', dc, folder: key } : { page: 'key', dc, key });
        return;
      }
      const href = scope.href({ page: 'key', dc, key });
      failure = note(
        'warning',
        'There is already such a key',
        'Nothing was changed. ',
        h('a', { href }, 'Open it'),
      );
    } catch (error) {
      failure = failed(error);
    } finally {
      isBusy = false;
      scope.redraw();
    }
  };
  const change = (changed: Draft) => {
    draft = changed;
    scope.redraw();
  };
  const rename = (event: Event) => {
    name = fieldValue(event);
    scope.redraw();
  };

  return {
    title: 'New key',
    view: () => {
      const problem = name === '' ? undefined : problemOf(folder, name);
      const back = scope.href({ page: 'kv', dc, folder });
      return [
        crumbs(scope, folder),
        pageHead('New key'),
        failure,
        kvForm(
          draft,
          { change, save: () => void save() },
          nameField(folder, name, problem, rename),
          h(
            'div.actions',
            {},
            h('button.primary', { type: 'submit', disabled: isBusy || name === '' }, 'Create key'),
            h('a.button', { href: back }, 'Cancel'),
          ),
        ),
      ];
    },
  };
}

/** A name that ends with a slash makes an empty folder. */
function problemOf(folder: string, name: string): string | undefined {
  return keyProblem(folder + name.replace(/(?<=[^/])\/$/, ''));
}

function nameField(
  folder: string,
  name: string,
  problem: string | undefined,
  rename: (event: Event) => void,
): Child {
  const where = folder === '' ? '' : ` in ${parentFolder(`${folder}x`)}`;
  return h(
    'div.field',
    {},
    h('label', { for: 'name' }, `Key${where}`),
    h('input', {
      id: 'name',
      autocomplete: 'off',
      spellcheck: 'false',
      required: true,
      value: name,
      'aria-describedby': 'name-hint',
      oninput: rename,
    }),
    problem === undefined
      ? h('p.quiet', { id: 'name-hint' }, 'Slashes make folders.')
      : h('p.problem', { id: 'name-hint', role: 'alert' }, problem),
  );
}
