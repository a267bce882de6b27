/** Calls from agents to servers over a network that delays, loses, repeats and reorders them. */

import type { Backend, CallOptions, ReadOptions, ReadReply } from '../../node/rpc/backend.ts';
import type { ReadEndpoint, WriteEndpoint } from '../../node/rpc/endpoint.ts';
import { catalogDeregister, catalogRegister } from '../../node/rpc/endpoints.ts';
import { READ_HANDLERS, WRITE_HANDLERS } from '../../node/server/endpoints/all.ts';
import type { HandlerContext, ReadHandler, WriteHandler } from '../../node/server/handlers.ts';
import type { Store } from '../../node/state/store.ts';
import { type Env, randomInt, sleep } from '../../shared/env.ts';
import { ConsulError, noClusterLeader, toConsulError } from '../../shared/errors.ts';
import type { ReplicatedLog } from './floating-log.ts';

const HOLD_MS = 7000;
const RETRY_MS = 300;
const LOST_AFTER_MS = 2000;

export interface CallsOptions {
  readonly log: ReplicatedLog;
  readonly env: Env;
  /** Whether the agent is cut off from all servers just now. */
  readonly isCutOff: () => boolean;
  /** A request as it reaches the server: a planted fault may change it. */
  readonly tamper: (endpoint: string, args: unknown) => unknown;
  /** Lost calls of a hundred. */
  readonly lossPercent: number;
}

/** A write handler run on a leader. @throws ConsulError by rejection */
export async function writeAt<Args, Result>(
  log: ReplicatedLog,
  env: Env,
  endpoint: WriteEndpoint<Args, Result>,
  args: Args,
  term: number,
): Promise<Result> {
  const found = WRITE_HANDLERS.find((known) => known.endpoint.name === endpoint.name);
  if (found === undefined) throw new Error(`no handler for ${endpoint.name}`);
  // The endpoint's name fixes the types.
  const handler = found as unknown as WriteHandler<Args, Result>;
  const store = log.leader === undefined ? undefined : log.replicas[log.leader]?.store;
  if (store === undefined) throw noClusterLeader();
  return handler.result(await log.propose(handler.command(store, args, contextOf(env)), term));
}

export function readAt<Args, Result>(
  store: Store,
  env: Env,
  endpoint: ReadEndpoint<Args, Result>,
  args: Args,
) {
  const found = READ_HANDLERS.find((known) => known.endpoint.name === endpoint.name);
  if (found === undefined) throw new Error(`no handler for ${endpoint.name}`);
  // The endpoint's name fixes the types.
  return (found as unknown as ReadHandler<Args, Result>).query(store, args, contextOf(env));
}

/** What an agent calls. Its life is that of the agent's process. */
export function createCalls(options: CallsOptions): Backend {
  const { log, env, isCutOff, tamper, lossPercent } = options;
  const { clock, random } = env;
  const chance = (percent: number) => random.next() * 100 < percent;
  const travel = () => sleep(clock, chance(5) ? 100 + random.next() * 1400 : 1 + random.next() * 20);
  const lost = async (): Promise<never> => {
    await sleep(clock, LOST_AFTER_MS * (0.5 + random.next()));
    throw new ConsulError('outcome-unknown', 500, 'connection lost', { applied: 'unknown' });
  };
  const arrives = () => !isCutOff() && !chance(lossPercent / 2);

  const apply = async <Args, Result>(endpoint: WriteEndpoint<Args, Result>, args: Args): Promise<Result> => {
    const endMs = clock.monotonicMs() + HOLD_MS;
    for (;;) {
      try {
        return await writeAt(log, env, endpoint, tamper(endpoint.name, args) as Args, log.term);
      } catch (error) {
        if (toConsulError(error).code !== 'no-leader' || clock.monotonicMs() > endMs) throw error;
        await sleep(clock, RETRY_MS);
      }
    }
  };

  /** Waits like a server does. */
  const answerOf = async <Args, Result>(
    store: Store,
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    { minIndex = 0, waitMs = 0, signal }: ReadOptions,
  ) => {
    const endMs = clock.monotonicMs() + waitMs;
    for (;;) {
      const result = readAt(store, env, endpoint, args);
      const leftMs = endMs - clock.monotonicMs();
      if (minIndex === 0 || result.index > minIndex || leftMs <= 0) return result;
      await changed(store, result.topics, leftMs, signal);
      if (signal?.aborted === true) throw new ConsulError('shutting-down', 500, 'stopped');
    }
  };

  const changed = async (
    store: Store,
    topics: readonly string[],
    ms: number,
    signal: AbortSignal | undefined,
  ): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = store.watch(topics, resolve);
    const timer = clock.setTimer(ms, resolve);
    signal?.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    stop();
    timer.cancel();
  };

  const storeFor = async (isStale: boolean): Promise<Store> => {
    const endMs = clock.monotonicMs() + HOLD_MS;
    for (;;) {
      const server = isStale ? randomInt(random, log.replicas.length) : log.leader;
      const store = server === undefined ? undefined : log.replicas[server]?.store;
      if (store !== undefined) return store;
      if (clock.monotonicMs() > endMs) throw noClusterLeader();
      await sleep(clock, RETRY_MS);
    }
  };

  return {
    async read<Args, Result>(
      endpoint: ReadEndpoint<Args, Result>,
      args: Args,
      read: ReadOptions,
    ): Promise<ReadReply<Result>> {
      await travel();
      if (!arrives()) return lost();
      const store = await storeFor(read.consistency === 'stale');
      const { value, index } = await answerOf(store, endpoint, args, read);
      const meta = { index, knownLeader: log.leader !== undefined, lastContactMs: 0 };
      await travel();
      return arrives() ? { value, meta } : lost();
    },
    readJson: () => Promise.reject(noClusterLeader()),
    readLocal: () => undefined,
    async write<Args, Result>(
      endpoint: WriteEndpoint<Args, Result>,
      args: Args,
      _options: CallOptions,
    ): Promise<Result> {
      await travel();
      if (!arrives()) return lost();
      // What repeats itself on the way; writes that nobody may repeat are sent once.
      const repeats = endpoint.name === catalogRegister.name || endpoint.name === catalogDeregister.name;
      if (repeats && chance(5))
        clock.setTimer(random.next() * 3000, () => void apply(endpoint, args).catch(() => undefined));
      const result = await apply(endpoint, args);
      await travel();
      return arrives() ? result : lost();
    },
  };
}

function contextOf(env: Env): HandlerContext {
  return { env, datacenter: 'dc1', nodeName: 's1', sessionTtlMinMs: 10_000 };
}
