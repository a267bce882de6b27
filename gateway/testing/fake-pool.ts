/** A pool of agents for tests: real HTTP servers that behave as the API reference says, on top of one shared memory. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { realEnv, sleep } from '../../shared/env.ts';
import { MUX_PATH } from '../../shared/mux/frames.ts';
import { WRITE_SESSION_PATH } from '../../shared/request-id.ts';
import { answerAgent, type FakeCheck, type FakeService } from './fake-agent.ts';
import { FakeCluster } from './fake-cluster.ts';

export interface FakeNode {
  readonly name: string;
  readonly role: 'server' | 'client';
  url: string;
  /** 'frozen' takes connections and answers nothing; 'down' refuses them. */
  state: 'up' | 'frozen' | 'down';
  /** What gossip says; follows `state` unless a test wants it to lag. */
  status: 'alive' | 'failed' | 'left';
  readonly services: Map<string, FakeService>;
  readonly checks: Map<string, FakeCheck>;
  /** `METHOD target` of everything but polls, in order of arrival. */
  readonly requests: string[];
  /** Headers of the last request, lower case. */
  lastHeaders: IncomingMessage['headers'];
  isInMaintenance: boolean;
}

/** Takes a request before the fake does; true: it has been dealt with. */
export type Override = (node: FakeNode, request: IncomingMessage, response: ServerResponse) => boolean;

export class FakePool {
  readonly cluster = new FakeCluster();
  readonly nodes: FakeNode[] = [];
  override: Override = () => false;
  /** false: a plain Consul, which has no pool route. */
  hasPoolRoute = true;
  /** Node by service ID; undefined: a plain Consul, which has no floating services. */
  placements: Map<string, string> | undefined;
  /** false: agents that know nothing of write sessions. */
  hasWriteSessions = false;
  readonly #servers = new Map<FakeNode, Server>();

  /** Starts the named agents; the first server leads. */
  static async start(servers: readonly string[], clients: readonly string[] = []): Promise<FakePool> {
    const pool = new FakePool();
    for (const name of servers) await pool.add(name, 'server');
    for (const name of clients) await pool.add(name, 'client');
    pool.cluster.leader = servers[0];
    return pool;
  }

  async add(name: string, role: 'server' | 'client'): Promise<FakeNode> {
    const node: FakeNode = {
      name,
      role,
      url: '',
      state: 'down',
      status: 'alive',
      services: new Map(),
      checks: new Map(),
      requests: [],
      lastHeaders: {},
      isInMaintenance: false,
    };
    this.nodes.push(node);
    await this.#listen(node, 0);
    return node;
  }

  node(name: string): FakeNode {
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`no fake agent ${name}`);
    return node;
  }

  /** kill -9: connections break, new ones are refused. The leader's place becomes empty. */
  async kill(name: string): Promise<void> {
    const node = this.node(name);
    const server = this.#servers.get(node);
    node.state = 'down';
    node.status = 'failed';
    if (this.cluster.leader === name) this.cluster.setLeader(undefined);
    const closed = new Promise((resolve) => server?.close(resolve));
    server?.closeAllConnections();
    await closed;
  }

  async revive(name: string): Promise<void> {
    const node = this.node(name);
    await this.#listen(node, Number(new URL(node.url).port));
    node.status = 'alive';
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) if (node.state !== 'down') await this.kill(node.name);
    this.cluster.wakeAll();
  }

  async #listen(node: FakeNode, port: number): Promise<void> {
    const server = createServer((request, response) => void this.#answer(node, request, response));
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    node.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    node.state = 'up';
    this.#servers.set(node, server);
  }

  async #answer(node: FakeNode, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (node.state === 'frozen') return;
    const target = request.url ?? '/';
    if (target === '/v1/internal/proconsul/pool') return this.#answerPool(response);
    if (target === MUX_PATH || (target === WRITE_SESSION_PATH && !this.hasWriteSessions)) {
      response.writeHead(404).end();
      return;
    }
    node.requests.push(`${request.method} ${target}`);
    node.lastHeaders = request.headers;
    if (this.override(node, request, response)) return;
    const body = await readAll(request);
    const url = new URL(target, 'http://fake');
    const path = decodeURIComponent(url.pathname);
    const reply = (await this.#route(node, request.method ?? '', path, url.searchParams, body)) ?? {
      status: 404,
      text: '',
    };
    write(response, request, reply);
  }

  async #route(node: FakeNode, method: string, path: string, query: URLSearchParams, body: string) {
    if (path.startsWith('/v1/agent/')) return answerAgent(node, method, path, query, body);
    if (path === '/v1/status/leader') {
      const leads = this.cluster.leader !== undefined;
      return { status: 200, text: JSON.stringify(leads ? '127.0.0.1:8300' : '') };
    }
    const floating = /^\/v1\/internal\/proconsul\/floating\/(?:service\/|check\/service:)(.+)$/.exec(
      path,
    )?.[1];
    if (floating !== undefined && this.placements !== undefined) return this.#answerPlacement(floating);
    return this.#answerCatalog(path, body) ?? this.cluster.answer(node.name, method, path, query, body);
  }

  /** What the agents had is in the catalog under their nodes, dead ones included. */
  #answerCatalog(path: string, body: string): FakeReply | undefined {
    const [, list, name] = /^\/v1\/(catalog|health)\/node\/(.+)$/.exec(path) ?? [];
    const node = this.nodes.find((candidate) => candidate.name === name);
    if (node !== undefined && list === 'catalog')
      return { status: 200, text: JSON.stringify({ Node: {}, Services: Object.fromEntries(node.services) }) };
    if (node !== undefined) return { status: 200, text: JSON.stringify([...node.checks.values()]) };
    if (path !== '/v1/catalog/deregister') return undefined;
    const order = JSON.parse(body) as { Node: string; ServiceID?: string; CheckID?: string };
    this.node(order.Node).services.delete(order.ServiceID ?? '');
    this.node(order.Node).checks.delete(order.CheckID ?? '');
    return { status: 200, text: 'true' };
  }

  #answerPlacement(id: string): FakeReply {
    const node = this.placements?.get(id);
    const headers = { 'X-Consul-Index': '7' };
    if (node === undefined) return { status: 404, text: '', headers };
    return { status: 200, text: JSON.stringify({ ID: id, Node: node, Generation: 7 }), headers };
  }

  #answerPool(response: ServerResponse): void {
    if (!this.hasPoolRoute) {
      response.writeHead(404).end();
      return;
    }
    const listing = this.nodes.map(({ name, role, status, url }) => ({
      node: name,
      id: `id-${name}`,
      role,
      status,
      httpAddress: url,
      isLeader: this.cluster.leader === name,
    }));
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(listing));
  }
}

export interface FakeReply {
  readonly status: number;
  readonly text: string;
  readonly headers?: Record<string, string>;
}

function write(response: ServerResponse, request: IncomingMessage, reply: FakeReply): void {
  const isJson = reply.status === 200 && reply.text !== '';
  const isGzip = reply.text !== '' && (request.headers['accept-encoding'] ?? '').includes('gzip');
  response.writeHead(reply.status, {
    Vary: 'Accept-Encoding',
    'Content-Type': isJson ? 'application/json' : 'text/plain; charset=utf-8',
    ...(isGzip ? { 'Content-Encoding': 'gzip' } : {}),
    ...reply.headers,
  });
  response.end(isGzip ? gzipSync(reply.text) : reply.text);
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** Waits for real until something holds; for what only a live socket can show. */
export async function eventually(holds: () => boolean, what: string, limitMs = 5000): Promise<void> {
  const deadline = realEnv.clock.monotonicMs() + limitMs;
  while (!holds()) {
    if (realEnv.clock.monotonicMs() > deadline) throw new Error(`never happened: ${what}`);
    await sleep(realEnv.clock, 5);
  }
}
