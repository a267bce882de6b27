/** A typed client of the API for programs: one object with the endpoint groups, on anything that has `fetch`. */

import { type Env, realEnv } from '../env.ts';
import { renderJson } from '../json.ts';
import type { EventEntry, TxnAnswer } from '../types/answers.ts';
import type { TxnOperation } from '../types/requests.ts';
import { type AgentClient, createAgentClient } from './agent.ts';
import { type Calls, createCalls, part } from './calls.ts';
import { type Change, type ChangesOptions, changes, type Topics } from './changes.ts';
import {
  type CatalogClient,
  createCatalogClient,
  createHealthClient,
  type HealthClient,
} from './discovery.ts';
import { createKvClient, type KvClient } from './kv.ts';
import { createSessionClient, type SessionClient } from './session.ts';
import {
  type Answer,
  createTransport,
  jsonAnswer,
  type ReadOptions,
  type WriteOptions,
} from './transport.ts';
import type { WatchOptions } from './watch.ts';

export type * from '../types/answers.ts';
export type * from '../types/requests.ts';
export type * from '../types/v1.ts';
export type { AgentChecks, AgentClient, AgentServices } from './agent.ts';
export type { Change, ChangedEntry, ChangesOptions, Topics } from './changes.ts';
export type {
  CatalogClient,
  HealthClient,
  HealthSelection,
  InstanceSelection,
  Selection,
} from './discovery.ts';
export { type KvClient, type PutOptions, valueBytes, valueText } from './kv.ts';
export type { SessionClient } from './session.ts';
export { type Answer, type Query, type ReadOptions, RequestError, type WriteOptions } from './transport.ts';
export type { WatchOptions } from './watch.ts';

export interface ClientOptions {
  /** Base URL of an agent or a gateway; `http://127.0.0.1:8500` if not given. */
  readonly address?: string;
  readonly token?: string;
  /** The agent's own if not given. */
  readonly datacenter?: string;
  /** How long a request may take, the time that a read asked to wait not counted; 30 s if not given. */
  readonly timeoutMs?: number;
  /** The global one if not given: another one to bring connections, certificates or a proxy of its own. */
  readonly fetch?: typeof fetch;
  /** Time and randomness; the real ones if not given. */
  readonly env?: Env;
}

export interface EventFilters extends WriteOptions {
  /** Regular expressions; who doesn't fit doesn't hear it. `tag` only with `service`. */
  readonly node?: string;
  readonly service?: string;
  readonly tag?: string;
}

export interface EventClient {
  fire(name: string, payload?: string | Uint8Array, filters?: EventFilters): Promise<EventEntry>;
  /** What the agent asked has heard, oldest first. */
  list(name?: string, options?: ReadOptions): Promise<EventEntry[]>;
}

export interface Client {
  readonly agent: AgentClient;
  readonly catalog: CatalogClient;
  readonly health: HealthClient;
  readonly kv: KvClient;
  readonly session: SessionClient;
  readonly event: EventClient;
  /** All or nothing: with `Errors` in the answer nothing was applied. */
  txn(operations: readonly TxnOperation[], options?: WriteOptions): Promise<TxnAnswer>;
  /** Any read of the API, with its index. */
  read: Calls['read'];
  /** Any read of the API that can wait, followed. */
  watch<T>(path: string, options?: WatchOptions): AsyncGenerator<Answer<T>, void, void>;
  /** Each change of many things by one connection, deletions included. Only gateways have it. */
  changes(topics: Topics, options?: ChangesOptions): AsyncGenerator<Change, void, void>;
}

const DEFAULT_ADDRESS = 'http://127.0.0.1:8500';
const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * Makes no request itself.
 *
 * @throws TypeError when `address` is not an HTTP URL
 */
export function createClient(options: ClientOptions = {}): Client {
  const { env = realEnv, token, datacenter, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const transport = createTransport({
    address: baseOf(options.address ?? DEFAULT_ADDRESS),
    token,
    datacenter,
    timeoutMs,
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    clock: env.clock,
  });
  const calls = createCalls(transport, env);
  return {
    agent: createAgentClient(calls),
    catalog: createCatalogClient(calls),
    health: createHealthClient(calls),
    kv: createKvClient(calls),
    session: createSessionClient(calls),
    event: createEventClient(calls),
    txn: async (operations, write = {}) => {
      const body = renderJson(operations, false);
      const input = { method: 'PUT', path: '/v1/txn', body, options: write, accept: [409] } as const;
      return jsonAnswer<TxnAnswer>(await calls.send(input)).value;
    },
    read: calls.read,
    watch: (path, watching) => calls.watch(path, {}, watching),
    changes: (topics, following) => changes(calls, topics, following),
  };
}

function createEventClient(calls: Calls): EventClient {
  return {
    fire: async (name, payload, { node, service, tag, ...options } = {}) => {
      const path = `/v1/event/fire/${part(name)}`;
      const query = { node, service, tag };
      return jsonAnswer<EventEntry>(await calls.send({ method: 'PUT', path, query, body: payload, options }))
        .value;
    },
    list: async (name, options) =>
      (await calls.read<EventEntry[]>('/v1/event/list', { name }, options)).value,
  };
}

function baseOf(address: string): string {
  const { protocol, href } = new URL(address);
  if (protocol !== 'http:' && protocol !== 'https:')
    throw new TypeError(`the address must begin with http:// or https://, not ${address}`);
  return href.replace(/\/+$/, '');
}
