/** What surrounds every page: brand, navigation, datacenter, connection, token. */

import type { Route } from './routes.ts';
import { type Child, h } from './tree.ts';

export type Connection = 'loading' | 'live' | 'failing';

export interface ShellState {
  readonly route: Route;
  readonly dc: string;
  readonly datacenters: readonly string[];
  readonly connection: Connection;
  readonly hasToken: boolean;
  readonly notice: string;
}

export interface ShellActions {
  readonly href: (route: Route) => string;
  /** Address of a file of the bundle. */
  readonly asset: (name: string) => string;
  readonly chooseDatacenter: (event: Event) => void;
  readonly openTokenDialog: () => void;
  readonly skipToContent: (event: Event) => void;
}

const SECTIONS = [
  ['services', 'Services', ['services', 'service']],
  ['nodes', 'Nodes', ['nodes', 'node']],
  ['kv', 'Key/Value', ['kv', 'key', 'new-key']],
  ['members', 'Members', ['members']],
] as const;

const CONNECTION_WORDS: Readonly<Record<Connection, string>> = {
  loading: 'Loading',
  live: 'Live',
  failing: 'Retrying',
};

export function shell(state: ShellState, actions: ShellActions, main: Child[], dialogs: Child[]): Child[] {
  const { dc, route, notice } = state;
  return [
    h('a.skip', { href: '#main', onclick: actions.skipToContent }, 'Skip to content'),
    h(
      'header.top',
      {},
      h(
        'a.brand',
        { href: actions.href({ page: 'services', dc }) },
        h('img', { src: actions.asset('favicon.svg'), alt: '', width: 24, height: 24 }),
        'Proconsul',
      ),
      h(
        'nav.sections',
        { 'aria-label': 'Sections' },
        SECTIONS.map(([page, label, pages]) => {
          const target: Route = page === 'kv' ? { page, dc, folder: '' } : { page, dc };
          const isCurrent = (pages as readonly string[]).includes(route.page);
          return h('a', { href: actions.href(target), 'aria-current': isCurrent && 'page' }, label);
        }),
      ),
      tools(state, actions),
    ),
    h('main', { id: 'main', tabindex: -1 }, main),
    h('div.notice', { role: 'status', hidden: notice === '' }, notice),
    ...dialogs,
  ];
}

function tools({ dc, datacenters, connection, hasToken }: ShellState, actions: ShellActions): Child {
  const choices = datacenters.includes(dc) || dc === '' ? datacenters : [dc, ...datacenters];
  return h(
    'div.tools',
    {},
    h(`span.connection.${connection}`, {}, CONNECTION_WORDS[connection]),
    choices.length > 1
      ? h(
          'label',
          {},
          h('span.unseen', {}, 'Datacenter'),
          h(
            'select',
            { value: dc, onchange: actions.chooseDatacenter },
            choices.map((name) => h('option', { key: name, value: name }, name)),
          ),
        )
      : h('span.dc', {}, h('span.unseen', {}, 'Datacenter '), dc),
    h('button', { type: 'button', onclick: actions.openTokenDialog }, hasToken ? 'Token set' : 'Token'),
  );
}
