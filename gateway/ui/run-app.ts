/** The running UI: address bar, page, watches, dialogs, and drawing. */

import { type Env, realEnv, type Timer } from '../../shared/env.ts';
import { createApi, parseJson } from './api.ts';
import { questionDialog, tokenDialog } from './dialogs.ts';
import { fieldValue } from './list-controls.ts';
import { type Live, watchLive } from './live.ts';
import { texts } from './model.ts';
import { openPage } from './pages/open-page.ts';
import { whenLoaded } from './parts.ts';
import { patchChildren } from './patch.ts';
import { parseRoute, type Route, routePath } from './routes.ts';
import type { Page, Question, Scope } from './scope.ts';
import { type Connection, shell } from './shell.ts';
import { h, type Tree } from './tree.ts';

const TOKEN_KEY = 'proconsul.token';
const NOTICE_MS = 5000;

/** Draws into `host` for as long as the document lives. `root` is the path of the UI with slashes around it. */
export function runApp(host: Element, root: string, env: Env = realEnv): void {
  let token = storedToken();
  let isTokenDialogOpen = false;
  let question: Question | undefined;
  let notice = '';
  let noticeTimer: Timer | undefined;
  let drawn: readonly Tree[] = [];
  let isDrawPending = false;
  let route: Route = { page: 'home' };
  let page: Page = { title: '', view: () => [] };
  let watches: Live<unknown>[] = [];

  const call = createApi(() => token, env.clock);
  const watch = <T>(
    request: Parameters<Scope['watch']>[0],
    read: Parameters<typeof watchLive<T>>[0]['read'],
  ) => watchLive({ request, read, call, onChange: redraw, env, isVisible, onVisibility });
  const href = (target: Route) => root + routePath(target);
  const dcOf = (target: Route) => ('dc' in target ? (target.dc ?? '') : '');
  const datacenters = watch({ path: '/v1/catalog/datacenters' }, (answer) => texts(parseJson(answer)));

  function redraw(): void {
    if (isDrawPending) return;
    isDrawPending = true;
    queueMicrotask(() => {
      isDrawPending = false;
      draw();
    });
  }

  function draw(): void {
    const local = datacenters.value?.[0];
    if (route.page === 'home' && local !== undefined) {
      history.replaceState(null, '', href({ page: 'services', dc: local }));
      openRoute();
    }
    const dc = dcOf(route) || (local ?? '');
    const state = {
      route,
      dc,
      datacenters: datacenters.value ?? [],
      connection: connectionOf([...watches, datacenters]),
      hasToken: token !== '',
      notice,
    };
    const content = route.page === 'home' ? whenLoaded(scopeFor(dc), datacenters, () => []) : page.view();
    const main = h('div.page', { key: location.pathname }, content);
    const dialogs = [isTokenDialogOpen && tokenDialog(token, setToken, closeTokenDialog)];
    const questions = [question !== undefined && questionDialog(question, closeQuestion)];
    const actions = { href, asset, chooseDatacenter, openTokenDialog, skipToContent };
    const tree = h('div', {}, shell(state, actions, [main], [...dialogs, ...questions])).children;
    patchChildren(host, drawn, tree);
    drawn = tree;
    document.title = [page.title, dc, 'Proconsul'].filter((part) => part !== '').join(' · ');
  }

  /** Leaves the page that is open and opens the one that the address names. */
  function openRoute(): void {
    for (const left of watches) left.close();
    watches = [];
    route = parseRoute(location.pathname.slice(root.length));
    page = openPage(route, scopeFor(dcOf(route)));
    redraw();
  }

  function scopeFor(dc: string): Scope {
    return {
      dc,
      origin: location.origin,
      call,
      watch: (request, read) => {
        const live = watch(request, read);
        watches.push(live);
        return live;
      },
      redraw,
      href,
      go: (target) => visit(href(target)),
      msUntil: (momentMs) => momentMs - env.clock.monotonicMs(),
      openTokenDialog,
      confirm: (asked) => {
        question = asked;
        redraw();
      },
      announce,
      filter: new URLSearchParams(location.search).get('filter') ?? '',
      keepFilter: (filter) => {
        const query = filter === '' ? '' : `?${new URLSearchParams({ filter })}`;
        history.replaceState(null, '', location.pathname + query);
      },
    };
  }

  function visit(address: string): void {
    history.pushState(null, '', address);
    arrive();
  }

  /** Puts reader and keyboard where a newly loaded page would. */
  function arrive(): void {
    openRoute();
    draw();
    scrollTo(0, 0);
    host.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
  }

  function setToken(chosen: string): void {
    token = chosen;
    keepToken(chosen);
    for (const live of [...watches, datacenters]) live.refresh();
    announce(chosen === '' ? 'The token is forgotten' : 'The token is in use');
  }

  function announce(text: string): void {
    notice = text;
    noticeTimer?.cancel();
    noticeTimer = env.clock.setTimer(NOTICE_MS, () => {
      notice = '';
      redraw();
    });
    redraw();
  }

  function openTokenDialog(): void {
    isTokenDialogOpen = true;
    redraw();
  }

  function closeTokenDialog(): void {
    isTokenDialogOpen = false;
    redraw();
  }

  function closeQuestion(): void {
    question = undefined;
    redraw();
  }

  function chooseDatacenter(event: Event): void {
    visit(href({ page: sectionOf(route), dc: fieldValue(event), folder: '' } as Route));
  }

  function asset(name: string): string {
    return root + name;
  }

  function onClick(event: MouseEvent): void {
    const target = linkTarget(event, root);
    if (target === undefined) return;
    event.preventDefault();
    visit(target);
  }

  document.addEventListener('click', onClick);
  document.addEventListener('keydown', focusFilter);
  addEventListener('popstate', arrive);
  openRoute();
}

function connectionOf(lives: readonly Live<unknown>[]): Connection {
  if (lives.some(({ error }) => error !== undefined)) return 'failing';
  return lives.some(({ value }) => value === undefined) ? 'loading' : 'live';
}

/** The list that a page belongs to: names differ between datacenters. */
function sectionOf({ page }: Route): 'services' | 'nodes' | 'kv' | 'members' {
  if (page === 'nodes' || page === 'node') return 'nodes';
  if (page === 'kv' || page === 'key' || page === 'new-key') return 'kv';
  return page === 'members' ? 'members' : 'services';
}

/** The address that a plain click on a link of the UI leads to. */
function linkTarget(event: MouseEvent, root: string): string | undefined {
  const isPlain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (!isPlain || event.defaultPrevented || !(event.target instanceof Element)) return undefined;
  const link = event.target.closest('a');
  if (link === null || link.origin !== location.origin || !link.pathname.startsWith(root)) return undefined;
  return link.pathname + link.search;
}

/** `/` goes to the filter box, as in many lists. */
function focusFilter(event: KeyboardEvent): void {
  const isTyping =
    event.target instanceof Element && event.target.closest('input, textarea, select') !== null;
  if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = document.querySelector<HTMLElement>('[data-filter]');
  if (field === null) return;
  event.preventDefault();
  field.focus();
}

function skipToContent(event: Event): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

function isVisible(): boolean {
  return !document.hidden;
}

function onVisibility(changed: () => void): () => void {
  document.addEventListener('visibilitychange', changed);
  return () => document.removeEventListener('visibilitychange', changed);
}

/** Browsers may forbid storage; the token then lasts as long as the page. */
function storedToken(): string {
  try {
    return sessionStorage.getItem(TOKEN_KEY) ?? '';
  } catch {
    // Forbidden storage is empty storage.
    return '';
  }
}

function keepToken(token: string): void {
  try {
    if (token === '') sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // The token still works until the page is closed.
  }
}
