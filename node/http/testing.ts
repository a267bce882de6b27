/** Hand-written stand-ins for what the HTTP routes talk to, and a server of them on a free port. */

import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { noPathToDatacenter, notFound, refused } from '../../shared/errors.ts';
import { isEmptyJson, renderJson } from '../../shared/json.ts';
import { silentLogger } from '../../shared/log.ts';
import { simulatedEnv } from '../../shared/simulated-env.ts';
import type { CheckDefinition, ServiceDefinition } from '../../shared/types/definitions.ts';
import type { NewUserEvent, UserEvent } from '../../shared/types/user-event.ts';
import type { CheckStatus, HealthCheck, Service } from '../../shared/types/v1.ts';
import type { Backend, CallOptions, JsonReply, ReadMeta, ReadOptions, ReadReply } from '../rpc/backend.ts';
import type { ReadEndpoint, WriteEndpoint } from '../rpc/endpoint.ts';
import type { KeyringAnswer, KeyringArgs } from '../rpc/operator-endpoints.ts';
import type { SavedSnapshot, SnapshotOptions } from '../rpc/snapshots.ts';
import type { AgentApi, AgentSelf } from './agent-api.ts';
import { startHttpServer } from './http-server.ts';
import { DEFAULT_HTTP_CONFIG, type HttpConfig, type HttpDependencies, type HttpServer } from './options.ts';

export interface BackendCall {
  readonly endpoint: string;
  readonly args: unknown;
  readonly options: CallOptions | ReadOptions;
}

type Answer = (args: never, options: ReadOptions) => unknown;

/** Answers from a table of functions by endpoint name; remembers every call. */
export class FakeBackend implements Backend {
  readonly calls: BackendCall[] = [];
  readonly answers = new Map<string, Answer>();
  meta: ReadMeta = { index: 7, knownLeader: true, lastContactMs: 0 };

  /** What an endpoint gives from now on: a value, or a function that may throw or return a promise. */
  answer(endpoint: string, answer: Answer): void {
    this.answers.set(endpoint, answer);
  }

  lastCall(): BackendCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error('nothing was called');
    return call;
  }

  async read<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    options: ReadOptions,
  ): Promise<ReadReply<Result>> {
    return { meta: this.meta, value: (await this.#run(endpoint.name, args, options)) as Result };
  }

  async readJson<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    options: ReadOptions & { readonly pretty: boolean },
  ): Promise<JsonReply> {
    const value = await this.#run(endpoint.name, args, options);
    const body = Buffer.from(renderJson(value, options.pretty));
    return { meta: this.meta, body, isEmpty: isEmptyJson(value) };
  }

  readLocal(): undefined {
    return undefined;
  }

  async write<Args, Result>(
    endpoint: WriteEndpoint<Args, Result>,
    args: Args,
    options: CallOptions,
  ): Promise<Result> {
    return (await this.#run(endpoint.name, args, options)) as Result;
  }

  #run(name: string, args: unknown, options: CallOptions): unknown {
    this.calls.push({ endpoint: name, args, options });
    const answer = this.answers.get(name);
    if (answer === undefined) throw new Error(`no answer for ${name}`);
    return answer(args as never, options as ReadOptions);
  }
}

/** A bare agent that keeps what it is given. Calls with nothing to keep are noted in `journal`. */
export class FakeAgent implements AgentApi {
  readonly journal: string[] = [];
  readonly serviceTable = new Map<string, Service>();
  readonly checkTable = new Map<string, HealthCheck>();
  readonly definitions: (ServiceDefinition | CheckDefinition)[] = [];
  readonly #watchers = new Map<string, Set<() => void>>();

  self(): AgentSelf {
    return {
      config: {
        datacenter: 'dc1',
        nodeName: 'n1',
        nodeId: '7a1e5c3b-90d2-4c55-8a6f-3d2b1c0e9f88',
        revision: 'abc',
        isServer: true,
        version: '1.8.5',
      },
      debugConfig: { Zed: 1, Alpha: { b: 1, a: 2 } },
      coordinate: null,
      member: MEMBER,
      stats: { raft: { term: '2', applied_index: '1' }, agent: { checks: '0' } },
      meta: { 'consul-network-segment': '' },
    };
  }

  members(wan: boolean) {
    return wan ? [{ ...MEMBER, Name: 'n1.dc1' }] : [MEMBER];
  }

  async pool() {
    return [
      { node: 'n1', id: 'x', role: 'server', status: 'alive', httpAddress: '', isLeader: true } as const,
    ];
  }

  async join(address: string, wan: boolean): Promise<void> {
    this.journal.push(`join ${address} ${wan}`);
  }

  async leave(): Promise<void> {
    this.journal.push('leave');
  }

  async forceLeave(node: string, prune: boolean): Promise<void> {
    if (node === 'none') throw refused(`agent: No node found with name '${node}'`);
    this.journal.push(`force-leave ${node} ${prune}`);
  }

  async reload(): Promise<void> {
    this.journal.push('reload');
  }

  services() {
    return this.serviceTable;
  }

  checks() {
    return this.checkTable;
  }

  onServiceChange(serviceId: string, changed: () => void): () => void {
    const watchers = this.#watchers.get(serviceId) ?? new Set();
    this.#watchers.set(serviceId, watchers.add(changed));
    return () => watchers.delete(changed);
  }

  watcherCount(serviceId: string): number {
    return this.#watchers.get(serviceId)?.size ?? 0;
  }

  /** Puts or (undefined) drops a local service and wakes who waits for it. */
  setService(id: string, service: Service | undefined): void {
    if (service === undefined) this.serviceTable.delete(id);
    else this.serviceTable.set(id, service);
    const watchers = [...(this.#watchers.get(id) ?? [])];
    this.#watchers.delete(id);
    for (const changed of watchers) changed();
  }

  async registerService(
    definition: ServiceDefinition,
    options: { readonly replaceExistingChecks: boolean; readonly isFloating: boolean },
  ): Promise<void> {
    this.definitions.push(definition);
    const floating = options.isFloating ? ' floating' : '';
    this.journal.push(`register ${definition.name} ${options.replaceExistingChecks}${floating}`);
  }

  async deregisterService(serviceId: string, options: { readonly isFloating: boolean }): Promise<void> {
    this.journal.push(`deregister ${serviceId}${options.isFloating ? ' floating' : ''}`);
  }

  async registerCheck(definition: CheckDefinition): Promise<void> {
    this.definitions.push(definition);
  }

  async deregisterCheck(checkId: string): Promise<void> {
    this.journal.push(`deregister check ${checkId}`);
  }

  async updateTtl(checkId: string, status: CheckStatus, output: string): Promise<void> {
    if (checkId !== 'ttl') throw refused(`CheckID ${JSON.stringify(checkId)} does not have associated TTL`);
    this.journal.push(`${status} ${output}`);
  }

  readonly eventList: UserEvent[] = [];
  #eventWaiters = new Set<() => void>();

  async fireEvent(event: NewUserEvent): Promise<UserEvent> {
    const id = `a0000000-0000-0000-0000-${String(this.eventList.length).padStart(12, '0')}`;
    const fired = { ...event, id, version: 1, lTime: BigInt(this.eventList.length + 1) };
    this.eventList.push(fired);
    const woken = this.#eventWaiters;
    this.#eventWaiters = new Set();
    for (const arrived of woken) arrived();
    return { ...fired, lTime: 0n };
  }

  events() {
    return this.eventList;
  }

  onEvent(arrived: () => void): () => void {
    this.#eventWaiters.add(arrived);
    return () => this.#eventWaiters.delete(arrived);
  }

  get eventWaiterCount(): number {
    return this.#eventWaiters.size;
  }

  /** What `saveSnapshot` gives and `restoreSnapshot` got. */
  archive: Buffer = Buffer.alloc(0);
  /** Thrown in the middle of the archive, or in place of taking it. */
  snapshotFailure: Error | undefined;

  async saveSnapshot(options: SnapshotOptions): Promise<SavedSnapshot> {
    if (options.datacenter === 'nope') throw noPathToDatacenter();
    this.journal.push(`save ${options.isStale}`);
    const { archive, snapshotFailure } = this;
    async function* pieces(): AsyncGenerator<Uint8Array> {
      yield archive.subarray(0, archive.length / 2);
      if (snapshotFailure !== undefined) throw snapshotFailure;
      yield archive.subarray(archive.length / 2);
    }
    return { meta: { index: 7, knownLeader: true, lastContactMs: 3 }, archive: pieces() };
  }

  async restoreSnapshot(_options: SnapshotOptions, archive: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.snapshotFailure !== undefined) throw this.snapshotFailure;
    const parts: Uint8Array[] = [];
    for await (const part of archive) parts.push(part);
    this.archive = Buffer.concat(parts);
  }

  async keyring(args: KeyringArgs, isLocalOnly: boolean): Promise<readonly KeyringAnswer[]> {
    this.journal.push(`keyring ${args.operation} ${args.key} ${args.relayFactor} ${isLocalOnly}`);
    const Keys = { 'b==': 1, 'a==': 2 };
    const answer = {
      WAN: false,
      Datacenter: 'dc1',
      Messages: {},
      Keys,
      PrimaryKeys: {},
      NumNodes: 2,
      Error: '',
    };
    return [answer];
  }

  prometheus: string | undefined;

  prometheusMetrics(): string | undefined {
    return this.prometheus;
  }

  async setNodeMaintenance(enable: boolean, reason: string): Promise<void> {
    this.journal.push(`node maintenance ${enable} ${reason}`);
  }

  async setServiceMaintenance(serviceId: string, enable: boolean, reason: string): Promise<void> {
    if (!this.serviceTable.has(serviceId))
      throw notFound(`No service registered with ID ${JSON.stringify(serviceId)}`);
    this.journal.push(`service maintenance ${serviceId} ${enable} ${reason}`);
  }

  monitor: AgentApi['monitor'] = (level, receive) => {
    receive({ timeMs: 0, level, name: 'agent', message: 'hello', fields: {} });
    this.journal.push('monitor');
    return () => this.journal.push('monitor ended');
  };

  metrics() {
    return { Timestamp: '', Gauges: [], Points: [], Counters: [], Samples: [] };
  }

  async host() {
    return { Memory: {}, CPU: [], Host: {}, Disk: {}, CollectionTime: 0, Errors: null };
  }
}

const MEMBER = {
  Name: 'n1',
  Addr: '127.0.0.1',
  Port: 8301,
  Tags: { role: 'consul', dc: 'dc1' },
  Status: 1,
  ProtocolMin: 1,
  ProtocolMax: 5,
  ProtocolCur: 2,
  DelegateMin: 2,
  DelegateMax: 5,
  DelegateCur: 4,
};

export function localService(id: string, changes: Partial<Service> = {}): Service {
  return {
    ID: id,
    Service: id,
    Tags: null,
    Address: '',
    Meta: null,
    Port: 0,
    Weights: { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
    Proxy: { MeshGateway: {}, Expose: {} },
    Connect: {},
    CreateIndex: 0,
    ModifyIndex: 0,
    ...changes,
  };
}

export function localCheck(id: string, changes: Partial<HealthCheck> = {}): HealthCheck {
  return {
    Node: 'n1',
    CheckID: id,
    Name: id,
    Status: 'passing',
    Notes: '',
    Output: '',
    ServiceID: '',
    ServiceName: '',
    ServiceTags: [],
    Type: 'ttl',
    Definition: {},
    CreateIndex: 0,
    ModifyIndex: 0,
    ...changes,
  };
}

export interface TestServer {
  readonly server: HttpServer;
  readonly url: string;
  readonly backend: FakeBackend;
  readonly agent: FakeAgent;
  readonly env: ReturnType<typeof simulatedEnv>;
}

/** A server on a free loopback port whose time stands still. */
export async function startTestServer(
  config: Partial<HttpConfig> = {},
  overrides: Partial<HttpDependencies> = {},
): Promise<TestServer> {
  const backend = new FakeBackend();
  const agent = new FakeAgent();
  const env = simulatedEnv(1);
  const server = await startHttpServer({
    listen: [{ host: '127.0.0.1', port: 0 }],
    dependencies: {
      backend,
      agent,
      env,
      log: silentLogger,
      compileFilter: (_root, expression) => {
        throw refused(`Failed to create boolean expression evaluator: Selector "${expression}" is not valid`);
      },
      ...overrides,
    },
    config: { ...DEFAULT_HTTP_CONFIG, nodeName: 'n1', ...config },
  });
  return { server, url: server.addresses[0]?.url ?? '', backend, agent, env };
}

export interface TestAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
}

export interface TestRequest {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent with its length announced; a list of pieces is sent chunked. */
  readonly body?: string | Uint8Array | readonly string[];
  /** The client gives up when it fires. */
  readonly signal?: AbortSignal;
}

/** Sends one request on a connection of its own, with the path as it stands. */
export function send(
  server: TestServer,
  method: string,
  path: string,
  request: TestRequest = {},
): Promise<TestAnswer> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const { body } = request;
    const isWhole = typeof body === 'string' || body instanceof Uint8Array;
    const length: Record<string, string> = isWhole ? { 'Content-Length': `${Buffer.byteLength(body)}` } : {};
    const outgoing = httpRequest({
      host: hostname,
      port,
      method,
      path,
      agent: false,
      headers: { ...length, ...request.headers },
      ...(request.signal && { signal: request.signal }),
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        const { headers, statusCode = 0 } = response;
        resolve({ status: statusCode, headers, bytes, text: bytes.toString('utf8') });
      });
    });
    const pieces = body === undefined ? [] : isWhole ? [body] : body;
    for (const piece of pieces) outgoing.write(piece);
    outgoing.end();
  });
}

/** Lets sockets and promises get on until the claim holds; fails after a while. */
export async function eventually(claim: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (claim()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('the claim never came true');
}
