/** The filter row above a list, its state, and the bound on how many rows are drawn. */

import { matchesFilter, type Searchable } from './filter.ts';
import { counted, type Status } from './format.ts';
import { emptyFilter } from './parts.ts';
import type { Scope } from './scope.ts';
import { type Child, h, type Listener } from './tree.ts';

export interface ListOf<T> {
  /** What the filter looks at. */
  readonly search: (item: T) => Searchable;
  /** undefined: no choice of status is offered. */
  readonly status?: ((item: T) => Status) | undefined;
  readonly row: (item: T) => Child;
  /** What one and many of it are called. */
  readonly noun: readonly [one: string, many: string];
}

/** The whole catalog may be long; what nobody scrolls to isn't drawn. */
const STEP = 200;

export interface ListControls {
  /** Filter row, count and the rows that match. */
  view<T>(items: readonly T[], list: ListOf<T>): Child[];
}

export function createListControls(scope: Scope): ListControls {
  let filter = scope.filter;
  let wanted = 'any';
  let limit = STEP;

  const setFilter = (text: string) => {
    filter = text;
    limit = STEP;
    scope.keepFilter(text);
    scope.redraw();
  };
  const clear = () => {
    wanted = 'any';
    setFilter('');
  };
  const onStatus: Listener = (event) => {
    wanted = fieldValue(event);
    limit = STEP;
    scope.redraw();
  };

  const controls = (noun: string, hasStatus: boolean, hint: string, count: string): Child =>
    h(
      'div.controls',
      { role: 'search' },
      h(
        'label.grow',
        {},
        h('span.unseen', {}, `Filter ${noun}`),
        h('input', {
          type: 'search',
          value: filter,
          placeholder: hint,
          autocomplete: 'off',
          spellcheck: 'false',
          'data-filter': true,
          oninput: (event) => setFilter(fieldValue(event)),
        }),
      ),
      hasStatus &&
        h(
          'label',
          {},
          h('span.unseen', {}, 'Status'),
          h(
            'select',
            { value: wanted, onchange: onStatus },
            h('option', { value: 'any' }, 'Any status'),
            ['passing', 'warning', 'critical'].map((value) =>
              h('option', { value }, value[0]?.toUpperCase() + value.slice(1)),
            ),
            h('option', { value: 'none' }, 'No checks'),
          ),
        ),
      h('p.quiet.count', { role: 'status' }, count),
    );

  return {
    view(items, { search, status, row, noun }) {
      const found = items.filter(
        (item) =>
          (wanted === 'any' || status === undefined || status(item) === wanted) &&
          matchesFilter(filter, search(item)),
      );
      const first = items[0];
      const fields = first === undefined ? [] : Object.keys(search(first));
      const hint = `Filter by ${fields.join(', ')}`;
      const all = counted(items.length, ...noun);
      const count = found.length === items.length ? all : `${found.length} of ${all}`;
      const more = found.length - limit;
      return [
        controls(noun[1], status !== undefined, hint, count),
        found.length === 0 && emptyFilter(clear),
        found.length > 0 && h('ul.rows', {}, found.slice(0, limit).map(row)),
        more > 0 &&
          h(
            'p.more-rows',
            {},
            h(
              'button',
              {
                type: 'button',
                onclick: () => {
                  limit += STEP;
                  scope.redraw();
                },
              },
              `Show ${Math.min(more, STEP)} more of ${more}`,
            ),
          ),
      ];
    },
  };
}

/** The text of the field that an event came from, '' when it came from something else. */
export function fieldValue(event: Event): string {
  const { target } = event;
  return target !== null && 'value' in target && typeof target.value === 'string' ? target.value : '';
}
