/** From a clean path to its route: exact paths in one lookup, prefixes by the longest that fits. */

import type { Reply, StreamReply } from './reply.ts';
import type { HttpRequest } from './request.ts';

export type Handler = (request: HttpRequest) => Reply | StreamReply | Promise<Reply | StreamReply>;

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

export interface Route {
  /** Exact, or everything below when it ends in a slash. */
  readonly path: string;
  /** In the order in which `Allow` lists them. */
  readonly methods: readonly Method[];
  readonly handler: Handler;
  /** The handler itself answers OPTIONS and refuses other methods. */
  readonly answersMethods?: boolean;
}

export interface CompiledRoute extends Route {
  /** `OPTIONS,GET,PUT`. */
  readonly allow: string;
}

export type RouteMatch = CompiledRoute | 'add-slash' | undefined;

/** Builds one route; reads like a line of a table. */
export function route(
  methods: string,
  path: string,
  handler: Handler,
  options: Pick<Route, 'answersMethods'> = {},
): Route {
  return { path, methods: methods.split(' ') as Method[], handler, ...options };
}

export class Router {
  readonly #exact = new Map<string, CompiledRoute>();
  readonly #prefixes = new Map<string, CompiledRoute>();
  readonly #longestPrefix: number;

  /** @throws Error when two routes share a path */
  constructor(routes: readonly Route[]) {
    for (const each of routes) {
      const table = each.path.endsWith('/') ? this.#prefixes : this.#exact;
      if (table.has(each.path)) throw new Error(`route ${each.path} is defined twice`);
      table.set(each.path, { ...each, allow: ['OPTIONS', ...each.methods].join(',') });
    }
    this.#longestPrefix = Math.max(0, ...[...this.#prefixes.keys()].map((path) => path.length));
  }

  /** 'add-slash': the path is a prefix without its slash and has no route of its own. */
  match(path: string): RouteMatch {
    const exact = this.#exact.get(path);
    if (exact !== undefined) return exact;
    // No prefix is longer than #longestPrefix, so a slash behind that cannot end one.
    for (
      let slash = path.lastIndexOf('/', this.#longestPrefix - 1);
      slash >= 0;
      slash = slash === 0 ? -1 : path.lastIndexOf('/', slash - 1)
    ) {
      const found = this.#prefixes.get(path.slice(0, slash + 1));
      if (found !== undefined) return this.#prefixes.has(`${path}/`) ? 'add-slash' : found;
    }
    return this.#prefixes.has(`${path}/`) ? 'add-slash' : undefined;
  }
}
