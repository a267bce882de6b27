/** The two dialogs: the ACL token, and “are you sure?”. */

import type { Question } from './scope.ts';
import { type Child, h } from './tree.ts';

const show = (element: Element) => {
  if (element instanceof HTMLDialogElement) element.showModal();
};

/** What a dialog's button says when it is pressed; Escape says nothing. */
const answerOf = (event: Event) =>
  event.target instanceof HTMLDialogElement ? event.target.returnValue : '';

/**
 * Submitting closes a dialog and gives the focus back to where it was, so both dialogs act on the `close` event.
 *
 * @param save gets '' when the token is to be forgotten
 */
export function tokenDialog(token: string, save: (token: string) => void, close: () => void): Child {
  const onClose = (event: Event) => {
    const answer = answerOf(event);
    const field = document.getElementById('token');
    const typed = field instanceof HTMLInputElement ? field.value.trim() : '';
    close();
    if (answer === 'use') save(typed);
    if (answer === 'forget') save('');
  };
  return h(
    'dialog',
    { key: 'token', 'aria-labelledby': 'token-title', mounted: show, onclose: onClose },
    h(
      'form',
      { method: 'dialog' },
      h('h2', { id: 'token-title' }, 'ACL token'),
      h(
        'div.field',
        {},
        h('label', { for: 'token' }, 'Secret ID'),
        h('input', {
          id: 'token',
          type: 'password',
          autocomplete: 'off',
          spellcheck: 'false',
          value: token,
          'aria-describedby': 'token-hint',
        }),
        h(
          'p.quiet',
          { id: 'token-hint' },
          'Sent as X-Consul-Token with every request. Kept in this tab until it is closed.',
        ),
      ),
      h(
        'div.actions',
        {},
        h('button.primary', { type: 'submit', value: 'use' }, 'Use token'),
        token !== '' && h('button', { type: 'submit', value: 'forget' }, 'Forget it'),
        h('button', { type: 'submit', value: 'cancel' }, 'Cancel'),
      ),
    ),
  );
}

export function questionDialog({ title, text, verb, act }: Question, close: () => void): Child {
  const onClose = (event: Event) => {
    close();
    if (answerOf(event) === 'yes') act();
  };
  return h(
    'dialog',
    {
      key: 'question',
      'aria-labelledby': 'question-title',
      'aria-describedby': 'question-text',
      mounted: show,
      onclose: onClose,
    },
    h(
      'form',
      { method: 'dialog' },
      h('h2', { id: 'question-title' }, title),
      h('p', { id: 'question-text' }, text),
      h(
        'div.actions',
        {},
        h('button', { type: 'submit', value: 'cancel', autofocus: true }, 'Cancel'),
        h('button.danger', { type: 'submit', value: 'yes' }, verb),
      ),
    ),
  );
}
