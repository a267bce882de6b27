/** An HTTP server that answers as a test says and remembers what it was asked. */

import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  /** Decoded path, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Answer {
  /** 200 when absent. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Objects are sent as JSON. */
  readonly body?: unknown;
  /** Leaves the answer open after `body`, as a log stream does. */
  readonly staysOpen?: boolean;
}

export type Route = Answer | ((request: SeenRequest) => Answer | Promise<Answer>);

export interface FakeAgent {
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly requests: SeenRequest[];
  /** Answers still open. */
  readonly open: Set<http.ServerResponse>;
  close(): Promise<void>;
}

export const SELF: Answer = { body: { Config: { NodeName: 'n1', Datacenter: 'dc1', Version: '1.8.5' } } };

/** @param routes by `METHOD /path`; a path that ends in `*` fits every path with that beginning. Others answer 404. */
export async function startFakeAgent(routes: Readonly<Record<string, Route>>): Promise<FakeAgent> {
  const requests: SeenRequest[] = [];
  const open = new Set<http.ServerResponse>();
  const all: Readonly<Record<string, Route>> = { 'GET /v1/agent/self': SELF, ...routes };
  const server = http.createServer(async (incoming, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const url = new URL(incoming.url ?? '/', 'http://agent');
    const request: SeenRequest = {
      method: incoming.method ?? '',
      path: decodeURIComponent(url.pathname),
      query: url.searchParams,
      headers: incoming.headers,
      body: Buffer.concat(chunks),
    };
    requests.push(request);
    const route = routeOf(all, `${request.method} ${request.path}`);
    const answer = typeof route === 'function' ? await route(request) : route;
    const { status = 200, headers = {}, body = '', staysOpen = false } = answer;
    response.writeHead(status, headers);
    const bytes = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    open.add(response);
    response.on('close', () => open.delete(response));
    if (staysOpen) response.write(bytes);
    else response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    open,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function routeOf(routes: Readonly<Record<string, Route>>, line: string): Route {
  const exact = Object.hasOwn(routes, line) ? routes[line] : undefined;
  if (exact !== undefined) return exact;
  const prefix = Object.keys(routes).find((key) => key.endsWith('*') && line.startsWith(key.slice(0, -1)));
  return (prefix === undefined ? undefined : routes[prefix]) ?? { status: 404, body: `no route: ${line}` };
}
