/** Shared state in Redis, behind a process-local copy. Redis down means a smaller memory, never a failed request. */

import { REDIS_PREFIX, type RedisLink } from './redis-link.ts';
import { createMemoryState, type SharedState } from './shared-state.ts';

/**
 * @param local what this process keeps by itself: asked when Redis can't be, or has nothing
 */
export function createRedisState(link: RedisLink, local: SharedState): SharedState {
  return {
    get: async (key) =>
      (await link.attempt((client) => client.getBuffer(REDIS_PREFIX + key))) ?? (await local.get(key)),
    set: async (key, value, ttlMs) => {
      await local.set(key, value, ttlMs);
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      await link.attempt((client) => client.set(REDIS_PREFIX + key, bytes, 'PX', Math.ceil(ttlMs)));
    },
    close: async () => {
      await local.close();
      link.close();
    },
  };
}

/**
 * The same in a Redis of this process: it has no bound of its own, so what the local store pushes out goes there too.
 */
export function createEmbeddedState(link: RedisLink, maxBytes: number, nowMs: () => number): SharedState {
  const forget = (key: string) => {
    void link.attempt((client) => client.del(REDIS_PREFIX + key));
  };
  const index = createMemoryState(maxBytes, nowMs, forget);
  return {
    ...createRedisState(link, index),
    set: async (key, value, ttlMs) => {
      if (value.length <= maxBytes) await createRedisState(link, index).set(key, value, ttlMs);
    },
  };
}
