/** Decides who carries out a write, and retries only what certainly was not applied. */

import type { Env } from '../../shared/env.ts';
import { ConsulError, noPathToDatacenter, toConsulError } from '../../shared/errors.ts';
import { activeTraceparent, traced } from '../../shared/telemetry.ts';
import type { RaftNode } from '../raft/types.ts';
import type { ConnectionPool } from '../rpc/connection-pool.ts';
import { Hold } from '../rpc/hold.ts';
import { mayRetry } from '../rpc/rpc-errors.ts';
import type { Store } from '../state/store.ts';
import type { Datacenters } from './datacenters.ts';
import type { AnyWriteHandler, Command, HandlerContext } from './handlers.ts';
import { type Leadership, notLeader } from './leadership.ts';
import type { ServerOperation } from './local-endpoints.ts';
import { checkApplied, onceCommand, recalled, requestIdOf } from './once.ts';
import { unknownEndpoint } from './read-path.ts';
import type { ServerMetrics } from './server-metrics.ts';

export interface WritePathOptions {
  readonly datacenter: string;
  readonly handlers: ReadonlyMap<string, AnyWriteHandler>;
  readonly operations: ReadonlyMap<string, ServerOperation>;
  readonly encode: (command: Command) => Uint8Array;
  readonly store: Store;
  readonly context: HandlerContext;
  readonly leadership: Leadership;
  readonly raft: RaftNode;
  readonly datacenters: Datacenters;
  readonly pool: ConnectionPool;
  readonly env: Env;
  readonly holdMs: number;
  readonly metrics?: ServerMetrics | undefined;
  /** Told, on the leader only, what has just been applied here. */
  readonly onApplied: (name: string, args: unknown, result: unknown) => void;
}

export interface WriteCall {
  readonly name: string;
  readonly args: unknown;
  readonly datacenter: string;
  readonly token: string;
  readonly isForwarded: boolean;
  /** Applies the write at most once however often it comes; see `shared/request-id.ts`. */
  readonly requestId?: string | undefined;
}

const MAX_REMOTE_ATTEMPTS = 3;

export class WritePath {
  readonly #o: WritePathOptions;

  constructor(options: WritePathOptions) {
    this.#o = options;
  }

  /** @throws ConsulError by rejection */
  async apply(call: WriteCall): Promise<unknown> {
    if (!this.#o.handlers.has(call.name) && !this.#o.operations.has(call.name))
      throw unknownEndpoint(call.name);
    if (call.datacenter !== '' && call.datacenter !== this.#o.datacenter) return this.#viaDatacenter(call);
    const operation = this.#o.operations.get(call.name);
    if (operation?.needsLeader === false) return operation.run(call.args);
    return call.isForwarded ? this.#asLeader(call) : this.#viaLeader(call);
  }

  /** Logs a command of the leader's own. @returns what `apply` returned @throws ConsulError by rejection */
  async propose(command: Command): Promise<unknown> {
    const data = this.#o.encode(command);
    const attributes = { 'consul.command': command.type, 'consul.command.bytes': data.length };
    const { env, metrics } = this.#o;
    metrics?.raftApply.add();
    const startMs = env.clock.monotonicMs();
    const applied = await traced('raft.commit', 'internal', attributes, () => this.#o.raft.propose(data));
    metrics?.commitTime.add(env.clock.monotonicMs() - startMs);
    return applied.result;
  }

  /** Carries out a write here. @throws ConsulError `not-leader` when this server does not lead */
  async #asLeader(call: WriteCall): Promise<unknown> {
    const { context, env, leadership, metrics, store } = this.#o;
    const startMs = env.clock.monotonicMs();
    // A new leader first applies what its predecessors committed: validation looks at the state.
    if (!leadership.isReady) await this.#untilReady();
    if (!leadership.isReady) throw notLeader();
    const operation = this.#o.operations.get(call.name);
    if (operation !== undefined) return operation.run(call.args);
    const handler = this.#o.handlers.get(call.name);
    if (handler === undefined) throw unknownEndpoint(call.name);
    const id = call.requestId === undefined ? undefined : requestIdOf(call.requestId);
    // Before validation, which would look at a state that the write itself has changed.
    const known = id === undefined ? undefined : recalled(store, id);
    if (known !== undefined) return handler.result(known.applied);
    // The endpoint's name fixes the type of its arguments.
    const settled = handler.settled?.(store, call.args as never, context);
    if (settled !== undefined) return settled;
    const command = handler.command(store, call.args as never, context);
    const applied =
      id === undefined
        ? await this.propose(command)
        : checkApplied(await this.propose(onceCommand(command, id, env.clock.nowMs())));
    const result = handler.result(applied);
    metrics?.write(call.name)?.add(env.clock.monotonicMs() - startMs);
    this.#o.onApplied(call.name, call.args, result);
    return result;
  }

  async #untilReady(): Promise<void> {
    const { env, leadership } = this.#o;
    // Half the hold time, so that a caller elsewhere has time left to try again.
    const endMs = env.clock.monotonicMs() + this.#o.holdMs / 2;
    while (leadership.isLeader && !leadership.isReady) {
      const leftMs = endMs - env.clock.monotonicMs();
      if (leftMs <= 0) return;
      await leadership.changed(leftMs);
    }
  }

  async #viaLeader(call: WriteCall): Promise<unknown> {
    const { env, leadership } = this.#o;
    const hold = new Hold(env, this.#o.holdMs);
    const repeats = call.requestId === undefined ? 'write' : 'read';
    for (;;) {
      hold.beginAttempt();
      try {
        if (leadership.isLeader) return await this.#asLeader(call);
        return await this.#forward(leadership.leaderAddress, call, true);
      } catch (thrown) {
        hold.checkRetry(toConsulError(thrown), repeats);
      }
      await leadership.changed(hold.pauseMs);
    }
  }

  async #viaDatacenter(call: WriteCall): Promise<unknown> {
    for (const address of this.#o.datacenters
      .remoteAddresses(call.datacenter)
      .slice(0, MAX_REMOTE_ATTEMPTS)) {
      try {
        return await this.#forward(address, call, false);
      } catch (thrown) {
        const error = toConsulError(thrown);
        if (error.code !== 'outcome-unknown' || !mayRetry(error, 'write')) throw error;
      }
    }
    throw noPathToDatacenter();
  }

  async #forward(address: string, call: WriteCall, isForwarded: boolean): Promise<unknown> {
    if (address === '') throw notLeader();
    const attributes = { 'rpc.method': call.name, 'server.address': address };
    const reply = await traced('rpc.forward', 'client', attributes, () =>
      this.#o.pool.call(address, {
        kind: 'write',
        name: call.name,
        args: call.args,
        datacenter: call.datacenter,
        token: call.token,
        consistency: 'default',
        maxStaleMs: undefined,
        minIndex: 0,
        waitMs: 0,
        pretty: false,
        isForwarded,
        traceparent: activeTraceparent(),
        requestId: call.requestId,
      }),
    );
    if (reply.kind !== 'write') throw new ConsulError('internal', 500, 'unexpected answer from peer');
    return reply.result;
  }
}
