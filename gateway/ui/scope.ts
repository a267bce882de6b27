/** What a page is given and what it gives back. */

import type { ApiAnswer, ApiRequest, CallApi } from './api.ts';
import type { Live } from './live.ts';
import type { Route } from './routes.ts';
import type { Child } from './tree.ts';

export interface Scope {
  readonly dc: string;
  /** `http://127.0.0.1:8500`, for command lines that the user may copy. */
  readonly origin: string;
  readonly call: CallApi;
  /** Keeps something up to date until the page is left. The page is drawn again at each change. */
  watch<T>(request: ApiRequest, read: (answer: ApiAnswer) => T): Live<T>;
  redraw(): void;
  /** The address of a page, for links. */
  href(route: Route): string;
  go(route: Route): void;
  /** Milliseconds until a moment of the monotonic clock. */
  msUntil(momentMs: number): number;
  openTokenDialog(): void;
  /** Asks before something that can't be undone; the action runs after a yes. */
  confirm(question: Question): void;
  /** Says what was done, visibly and to screen readers. */
  announce(text: string): void;
  /** The filter box's text when the page was opened. */
  readonly filter: string;
  /** Puts the filter into the address, so that it survives a reload and can be shared. */
  keepFilter(filter: string): void;
}

export interface Question {
  readonly title: string;
  readonly text: string;
  /** What the button says that does it. */
  readonly verb: string;
  readonly act: () => void;
}

export interface Page {
  readonly title: string;
  view(): Child[];
}
