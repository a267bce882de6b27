/** The form of a key: its fields, what they hold, and what is wrong with them. */

import { byteSize } from './format.ts';
import { base64FromBytes, bytesFromForm, editableText, flagsProblem, type ValueForm } from './kv-value.ts';
import { fieldValue } from './list-controls.ts';
import { type Child, h } from './tree.ts';

export interface Draft {
  readonly form: ValueForm;
  readonly text: string;
  readonly flags: string;
}

export type CheckedDraft =
  | { readonly bytes: Uint8Array<ArrayBuffer>; readonly flags: string }
  | { readonly problem: string };

/** Text where a text field keeps every byte, else base64. */
export function draftOf(bytes: Uint8Array, flags: string): Draft {
  const text = editableText(bytes);
  return text === undefined
    ? { form: 'base64', text: base64FromBytes(bytes), flags }
    : { form: 'text', text, flags };
}

/** Whether both stand for the same bytes and flags. */
export function isSameDraft(a: Draft, b: Draft): boolean {
  if (a.flags !== b.flags) return false;
  if (a.form === b.form) return a.text === b.text;
  const other = convertDraft(a, b.form);
  return other !== undefined && other.text === b.text;
}

export function checkDraft({ form, text, flags }: Draft): CheckedDraft {
  const problem = flagsProblem(flags);
  if (problem !== undefined) return { problem };
  try {
    return { bytes: bytesFromForm(form, text), flags };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** The same value in the other form; undefined when it can't be shown in it without loss. */
export function convertDraft(draft: Draft, form: ValueForm): Draft | undefined {
  const checked = checkDraft({ ...draft, flags: '0' });
  if ('problem' in checked) return undefined;
  if (form === 'base64') return { ...draft, form, text: base64FromBytes(checked.bytes) };
  const text = editableText(checked.bytes);
  return text === undefined ? undefined : { ...draft, form, text };
}

export interface FormActions {
  readonly change: (draft: Draft) => void;
  readonly save: () => void;
}

/** @param above fields before the value, `below` the buttons */
export function kvForm(draft: Draft, { change, save }: FormActions, above: Child, below: Child): Child {
  const checked = checkDraft(draft);
  const size = 'bytes' in checked ? byteSize(checked.bytes.length) : '';
  const onSubmit = (event: Event) => {
    event.preventDefault();
    save();
  };
  const onForm = (event: Event) => {
    const form = fieldValue(event) === 'base64' ? 'base64' : 'text';
    change(convertDraft(draft, form) ?? draft);
  };
  const canBeText = draft.form === 'text' || convertDraft(draft, 'text') !== undefined;
  return h(
    'form.card',
    { onsubmit: onSubmit },
    above,
    h(
      'div.field',
      {},
      h('div.label-row', {}, h('label', { for: 'value' }, 'Value'), h('span.quiet', {}, size)),
      h('textarea', {
        id: 'value',
        rows: 12,
        spellcheck: 'false',
        autocomplete: 'off',
        value: draft.text,
        oninput: (event) => change({ ...draft, text: fieldValue(event) }),
      }),
    ),
    h(
      'div.field-row',
      {},
      h(
        'div.field',
        {},
        h('label', { for: 'form' }, 'Edit as'),
        h(
          'select',
          { id: 'form', value: draft.form, onchange: onForm },
          h('option', { value: 'text', disabled: !canBeText }, canBeText ? 'Text' : 'Text (not possible)'),
          h('option', { value: 'base64' }, 'Base64'),
        ),
      ),
      h(
        'div.field',
        {},
        h('label', { for: 'flags' }, 'Flags'),
        h('input', {
          id: 'flags',
          inputmode: 'numeric',
          autocomplete: 'off',
          value: draft.flags,
          oninput: (event) => change({ ...draft, flags: fieldValue(event).trim() }),
        }),
      ),
    ),
    'problem' in checked && h('p.problem', { role: 'alert' }, checked.problem),
    below,
  );
}
