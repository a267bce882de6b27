/** A scope for tests of pages: answers are given by hand, nothing is drawn. */

import type { ApiAnswer, ApiRequest } from './api.ts';
import type { Live } from './live.ts';
import { type Route, routePath } from './routes.ts';
import type { Question, Scope } from './scope.ts';

interface FakeWatch {
  readonly request: ApiRequest;
  readonly read: (answer: ApiAnswer) => unknown;
  readonly live: { -readonly [K in keyof Live<unknown>]: Live<unknown>[K] };
}

export interface FakeScope extends Scope {
  readonly journal: string[];
  /** Gives the watch of this path an answer; undefined is a 404. */
  give(path: string, json: unknown): void;
  fail(path: string, error: Live<unknown>['error']): void;
  /** What the next write answers. */
  nextAnswer: ApiAnswer | Error;
  readonly calls: ApiRequest[];
  question: Question | undefined;
}

export function fakeScope(): FakeScope {
  const watches: FakeWatch[] = [];
  const journal: string[] = [];
  const find = (path: string) => {
    const found = watches.find(({ request }) => request.path === path);
    if (found === undefined) throw new Error(`nobody watches ${path}`);
    return found;
  };
  const scope: FakeScope = {
    dc: 'dc1',
    origin: 'http://h:1',
    filter: '',
    journal,
    calls: [],
    nextAnswer: answerOf(true),
    question: undefined,
    call: async (request) => {
      scope.calls.push(request);
      if (scope.nextAnswer instanceof Error) throw scope.nextAnswer;
      return scope.nextAnswer;
    },
    watch: <T>(request: ApiRequest, read: (answer: ApiAnswer) => T) => {
      const live = {
        value: undefined as T | undefined,
        error: undefined,
        retryAtMs: undefined,
        isLeaderKnown: true,
        refresh: () => journal.push(`refresh ${request.path}`),
        close: () => undefined,
      };
      watches.push({ request, read, live });
      return live;
    },
    redraw: () => undefined,
    href: (route: Route) => `/ui/${routePath(route)}`,
    go: (route) => journal.push(`go ${routePath(route)}`),
    msUntil: () => 1500,
    openTokenDialog: () => journal.push('token'),
    confirm: (question) => {
      scope.question = question;
    },
    announce: (text) => journal.push(text),
    keepFilter: () => undefined,
    give: (path, json) => {
      const { live, read } = find(path);
      live.value = read(answerOf(json));
      live.error = undefined;
    },
    fail: (path, error) => {
      find(path).live.error = error;
    },
  };
  return scope;
}

export function answerOf(json: unknown): ApiAnswer {
  const text = json === undefined ? '' : JSON.stringify(json);
  return { isFound: json !== undefined, text, index: 1, isLeaderKnown: true };
}
