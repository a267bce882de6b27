/** Pieces that several pages draw: health, tags, errors, empty states. */

import { explain } from './api.ts';
import { counted, type HealthCounts, STATUSES, type Status, seconds } from './format.ts';
import type { Live } from './live.ts';
import type { Scope } from './scope.ts';
import { type Child, type ElementTree, h } from './tree.ts';

const GLYPHS: Readonly<Record<Status, string>> = { none: '–', passing: '✓', warning: '!', critical: '✕' };

/** A sign with its own shape for each status: colour alone says nothing to some. */
export function statusIcon(status: Status): Child {
  const words = status === 'none' ? 'no checks' : status;
  return [
    h(`span.icon.${status}`, { 'aria-hidden': 'true', title: words }, GLYPHS[status]),
    h('span.unseen', {}, words),
  ];
}

export function statusBadge(status: Status, text: string): ElementTree {
  const glyph = h('span', { 'aria-hidden': 'true' }, `${GLYPHS[status]} `);
  return h(`span.badge.${status}`, {}, glyph, text);
}

/** `2 passing` `1 critical`; zeros are left out. */
export function healthBadges(health: HealthCounts): ElementTree {
  const shown = STATUSES.filter((status) => status !== 'none' && health[status] > 0).reverse();
  if (shown.length === 0) return h('span.badges', {}, h('span.badge.none', {}, 'no checks'));
  return h(
    'span.badges',
    {},
    shown.map((status) => statusBadge(status, `${status === 'none' ? 0 : health[status]} ${status}`)),
  );
}

/** A check's status as the API says it; an unknown one counts as critical. */
export function checkStatus(status: string): Status {
  return status === 'passing' || status === 'warning' ? status : 'critical';
}

export function tagList(tags: readonly string[], limit = Number.POSITIVE_INFINITY): Child {
  if (tags.length === 0) return false;
  const rest = tags.length - limit;
  return h(
    'ul.tags',
    { 'aria-label': 'Tags' },
    tags.slice(0, limit).map((tag) => h('li', { key: tag }, tag)),
    rest > 0 && h('li.more', { title: tags.slice(limit).join(', ') }, `+${rest}`),
  );
}

export function factList(facts: readonly (readonly [name: string, value: Child])[]): Child {
  if (facts.length === 0) return false;
  return h(
    'dl.facts',
    {},
    facts.map(([name, value]) => h('div', { key: name }, h('dt', {}, name), h('dd', {}, value || '–'))),
  );
}

/** Metadata in one line, as far as it fits. */
export function metaList(meta: readonly (readonly [name: string, value: string])[]): Child {
  if (meta.length === 0) return false;
  return h(
    'dl.meta',
    { 'aria-label': 'Metadata' },
    meta.map(([name, value]) => h('div', { key: name }, h('dt', {}, name), h('dd', {}, value || '–'))),
  );
}

export function pageHead(title: Child, ...beside: Child[]): ElementTree {
  return h('div.head', {}, h('h1', { tabindex: -1 }, title), ...beside);
}

/** What is watched, with its troubles above it: nothing yet, an error, an answer without a leader. */
export function whenLoaded<T>(scope: Scope, live: Live<T>, view: (value: T) => Child[]): Child[] {
  const { value, error } = live;
  const isHidden = error !== undefined && explain(error).isAboutToken;
  return [
    errorNote(scope, live),
    !live.isLeaderKnown &&
      note('warning', 'No cluster leader', 'This is what one agent knew last; it may be old.'),
    value === undefined && error === undefined && h('p.quiet.loading', { role: 'status' }, 'Loading…'),
    value !== undefined && !isHidden && view(value),
  ];
}

/** Why something watched could not be read, and when it is tried again. */
export function errorNote<T>(scope: Scope, live: Live<T>): Child {
  const { error, retryAtMs } = live;
  if (error === undefined) return false;
  const { title, advice, isAboutToken } = explain(error);
  const wait = retryAtMs === undefined ? '' : ` Trying again in about ${seconds(scope.msUntil(retryAtMs))}.`;
  return h(
    'div.note.critical',
    { role: 'alert' },
    h('div', {}, h('strong', {}, title), h('p', {}, advice + wait), serverText(error.message)),
    h(
      'div.actions',
      {},
      isAboutToken && h('button', { type: 'button', onclick: scope.openTokenDialog }, 'Set token'),
      h('button', { type: 'button', onclick: () => live.refresh() }, 'Try now'),
    ),
  );
}

export function note(status: Status, title: string, ...text: Child[]): ElementTree {
  const role = status === 'critical' ? 'alert' : 'status';
  return h(`div.note.${status}`, { role }, h('div', {}, h('strong', {}, title), h('p', {}, ...text)));
}

/** The server's own words; pages of a proxy in between can be long. */
export function serverText(message: string): Child {
  return message !== '' && h('p', {}, h('code', {}, message.slice(0, 500)));
}

/** Nothing here yet, and the command line that changes it. */
export function emptyState(title: string, text: string, command?: string): ElementTree {
  return h(
    'div.empty',
    {},
    h('h2', {}, title),
    h('p', {}, text),
    command !== undefined && h('pre', { tabindex: 0, 'aria-label': 'Command' }, h('code', {}, command)),
  );
}

export function emptyFilter(clear: () => void): ElementTree {
  return h(
    'div.empty',
    {},
    h('h2', {}, 'Nothing matches'),
    h('p', {}, h('button', { type: 'button', onclick: clear }, 'Clear the filter')),
  );
}

export interface Column<T> {
  readonly title: string;
  readonly cell: (item: T) => Child;
}

/** The first column names the row. Scrolls sideways by itself where it does not fit. */
export function table<T>(
  caption: string,
  columns: readonly Column<T>[],
  items: readonly T[],
  keyOf: (item: T) => string,
): ElementTree {
  const row = (item: T) =>
    h(
      'tr',
      { key: keyOf(item) },
      columns.map(({ cell }, i) => h(i === 0 ? 'th' : 'td', i === 0 ? { scope: 'row' } : {}, cell(item))),
    );
  return h(
    'div.scroll',
    { role: 'region', 'aria-label': caption, tabindex: 0 },
    h(
      'table',
      {},
      h('caption.unseen', {}, caption),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          columns.map(({ title }) => h('th', { scope: 'col' }, title)),
        ),
      ),
      h('tbody', {}, items.map(row)),
    ),
  );
}

/** `3 instances on 2 nodes`. */
export function instanceCount(instances: number, nodes: number): string {
  return `${counted(instances, 'instance')} on ${counted(nodes, 'node')}`;
}
