/** The backend of a client agent: it has no state of its own and asks the servers that gossip shows. */

import type { Timer } from '../../shared/env.ts';
import { ConsulError, noKnownServers, toConsulError } from '../../shared/errors.ts';
import { type Counter, Metrics } from '../../shared/metrics.ts';
import { activeTraceparent, traced } from '../../shared/telemetry.ts';
import type { Backend, CallOptions, JsonReply, ReadOptions, ReadReply } from './backend.ts';
import type { ClientBackend, ClientBackendOptions } from './client-options.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { ReadEndpoint, WriteEndpoint } from './endpoint.ts';
import { FollowedReads } from './followed-reads.ts';
import { DEFAULT_HOLD_MS, Hold } from './hold.ts';
import type { CallKind, RpcReply, RpcRequest } from './messages.ts';
import { NO_RATE_LIMIT, type RateLimit, RateLimiter } from './rate-limiter.ts';
import { isTransportFailure } from './rpc-errors.ts';
import { describeServer, serverMember } from './server-members.ts';
import { ServerRotation } from './server-rotation.ts';

export type { ClientBackend, ClientBackendOptions } from './client-options.ts';

/** Consul's clients move to another server every two to three minutes. */
const REBALANCE_MIN_MS = 120_000;
const REBALANCE_SPREAD_MS = 60_000;

export function createClientBackend(options: ClientBackendOptions): ClientBackend {
  return new RemoteBackend(options);
}

class RemoteBackend implements ClientBackend {
  readonly #o: ClientBackendOptions;
  readonly #pool: ConnectionPool;
  readonly #servers: ServerRotation;
  readonly #holdMs: number;
  readonly #calls: Counter;
  readonly #failures: Counter;
  readonly #refusals: Counter;
  readonly #rate: RateLimiter;
  readonly #followed: FollowedReads;
  #unsubscribe: (() => void) | undefined;
  #timer: Timer | undefined;

  constructor(options: ClientBackendOptions) {
    this.#o = options;
    this.#pool = new ConnectionPool(options.env, options.network);
    this.#servers = new ServerRotation(options.env);
    this.#holdMs = options.rpcHoldTimeoutMs ?? DEFAULT_HOLD_MS;
    const metrics = options.metrics ?? new Metrics();
    this.#calls = metrics.counter('client.rpc');
    this.#failures = metrics.counter('client.rpc.failed');
    this.#refusals = metrics.counter('client.rpc.exceeded');
    this.#rate = new RateLimiter(options.rateLimit ?? NO_RATE_LIMIT, options.env.clock);
    const read: Backend['read'] = (endpoint, args, readOptions) => this.read(endpoint, args, readOptions);
    this.#followed = new FollowedReads({ env: options.env, read });
  }

  start(): void {
    this.#refresh();
    this.#unsubscribe = this.#o.lan.subscribe(({ kind }) => {
      if (kind !== 'user') this.#refresh();
    });
    this.#armRebalance();
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#timer?.cancel();
    this.#followed.stop();
    this.#pool.close();
  }

  setRateLimit(limit: RateLimit): void {
    this.#rate.limit = limit;
  }

  knownServers(): number {
    return this.#servers.size;
  }

  serverAddresses(): readonly string[] {
    return this.#servers.addresses();
  }

  async read<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    options: ReadOptions,
  ): Promise<ReadReply<Result>> {
    const reply = await this.#call(requestOf('read', endpoint.name, args, options, false), options.signal);
    if (reply.kind !== 'read') throw unexpected();
    // The endpoint's name fixes the type of its result.
    return reply.reply as ReadReply<Result>;
  }

  async readJson<Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    options: ReadOptions & { readonly pretty: boolean },
  ): Promise<JsonReply> {
    const request = requestOf('json', endpoint.name, args, options, options.pretty);
    const reply = await this.#call(request, options.signal);
    if (reply.kind !== 'json') throw unexpected();
    return reply.reply;
  }

  /** Answers that are asked for often are kept fresh here; see `FollowedReads`. */
  readLocal<Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args): ReadReply<Result> | undefined {
    return this.#followed.get(endpoint, args);
  }

  async write<Args, Result>(
    endpoint: WriteEndpoint<Args, Result>,
    args: Args,
    options: CallOptions,
  ): Promise<Result> {
    const request = requestOf('write', endpoint.name, args, { ...options, consistency: 'default' }, false);
    const reply = await this.#call(request, options.signal);
    if (reply.kind !== 'write') throw unexpected();
    // The endpoint's name fixes the type of its result.
    return reply.result as Result;
  }

  /** Tries servers in turn until one answers, the failure must not be retried, or the hold time is over. */
  async #call(request: RpcRequest, signal: AbortSignal | undefined): Promise<RpcReply> {
    const { env } = this.#o;
    const hold = new Hold(env, this.#holdMs, request.minIndex > 0);
    const endMs = env.clock.monotonicMs() + request.waitMs;
    let attempts = 0;
    for (;;) {
      const server = this.#servers.current();
      if (server === undefined) {
        this.#o.log.warn('No servers available');
        throw noKnownServers();
      }
      hold.beginAttempt();
      this.#calls.add();
      if (!this.#rate.allows()) {
        this.#refusals.add();
        throw new ConsulError('rate-limited', 429, 'RPC rate limit exceeded');
      }
      const waitMs = Math.max(0, endMs - env.clock.monotonicMs());
      try {
        return await this.#send(server.address, { ...request, waitMs }, signal);
      } catch (thrown) {
        if (signal?.aborted) throw signal.reason;
        const error = toConsulError(thrown);
        if (isTransportFailure(error)) this.#onServerFailed(server.address, request.name, error);
        hold.checkRetry(error, repeatsAs(request));
      }
      attempts++;
      // The other servers are tried at once; only when all have failed a pause makes sense.
      if (attempts % Math.max(1, this.#servers.size) === 0) await this.#pause(hold.pauseMs, signal);
    }
  }

  #send(address: string, request: RpcRequest, signal: AbortSignal | undefined): Promise<RpcReply> {
    const attributes = { 'rpc.method': request.name, 'server.address': address };
    return traced('rpc.client', 'client', attributes, () =>
      this.#pool.call(address, { ...request, traceparent: activeTraceparent() }, signal),
    );
  }

  #onServerFailed(address: string, method: string, error: ConsulError): void {
    this.#servers.failed(address);
    this.#failures.add();
    this.#o.log.error('RPC failed to server', { method, server: address, error: error.message });
  }

  #pause(atMostMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, random } = this.#o.env;
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        timer.cancel();
        reject(signal?.reason);
      };
      const timer = clock.setTimer(1 + random.next() * atMostMs, () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #refresh(): void {
    const before = this.#servers.addresses();
    const alive = this.#o.lan
      .members()
      .filter((member) => member.status === 'alive')
      .map(serverMember)
      .filter((server) => server !== undefined)
      .filter((server) => server.datacenter === this.#o.datacenter);
    for (const server of this.#servers.update(alive)) {
      this.#o.log.info('adding server', { server: describeServer(server) });
    }
    const now = new Set(this.#servers.addresses());
    // A stopped process keeps its connections open: what waits for it must not wait on.
    for (const address of before) if (!now.has(address)) this.#pool.probe(address);
  }

  #armRebalance(): void {
    const delayMs = REBALANCE_MIN_MS + this.#o.env.random.next() * REBALANCE_SPREAD_MS;
    this.#timer = this.#o.env.clock.setTimer(delayMs, () => {
      this.#servers.rebalance();
      this.#armRebalance();
    });
  }
}

function requestOf(
  kind: CallKind,
  name: string,
  args: unknown,
  options: ReadOptions,
  pretty: boolean,
): RpcRequest {
  return {
    kind,
    name,
    args,
    datacenter: options.datacenter,
    token: options.token,
    consistency: options.consistency,
    maxStaleMs: options.maxStaleMs,
    minIndex: options.minIndex ?? 0,
    waitMs: options.waitMs ?? 0,
    pretty,
    isForwarded: false,
    traceparent: undefined,
    requestId: options.requestId,
  };
}

/** A write that is applied once however often it is sent may be repeated like a read. */
function repeatsAs({ kind, requestId }: RpcRequest): 'read' | 'write' {
  return kind === 'write' && requestId === undefined ? 'write' : 'read';
}

function unexpected(): ConsulError {
  return new ConsulError('internal', 500, 'unexpected answer from server');
}
