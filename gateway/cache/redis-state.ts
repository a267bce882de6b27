/** Shared state in Redis, behind a process-local copy. Redis down means a smaller memory, never a failed request. */

import type { Logger } from '../../shared/log.ts';
import type { SharedState } from './shared-state.ts';

/** The few commands used, as ioredis and ioredis-mock have them. */
export interface RedisClient {
  getBuffer(key: string): Promise<Uint8Array | null>;
  set(key: string, value: Buffer, px: 'PX', ttlMs: number): Promise<unknown>;
  /** Ends the connection and the attempts to restore it. */
  disconnect(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'ready', listener: () => void): unknown;
}

/** All keys start so, that several products can share a Redis. */
const PREFIX = 'proconsul:gateway:';

/** Commands in progress; beyond it Redis is passed over, so that a slow one can't pile up requests. */
const MAX_PENDING = 256;

/**
 * @param local what this process keeps by itself: asked when Redis can't be, or has nothing
 */
export function createRedisState(client: RedisClient, local: SharedState, logger: Logger): SharedState {
  let isDegraded = false;
  let pending = 0;
  const degrade = (error: unknown) => {
    if (!isDegraded)
      logger.warn('Redis does not answer; last-known-good answers stay in this process until it does', {
        error: error instanceof Error ? error.message : String(error),
      });
    isDegraded = true;
  };
  client.on('error', degrade);
  client.on('ready', () => {
    if (isDegraded) logger.info('Redis answers again');
    isDegraded = false;
  });
  const attempt = async <T>(command: () => Promise<T>): Promise<T | undefined> => {
    if (pending >= MAX_PENDING) return undefined;
    pending++;
    try {
      return await command();
    } catch (error) {
      degrade(error);
      return undefined;
    } finally {
      pending--;
    }
  };
  return {
    get: async (key) => (await attempt(() => client.getBuffer(PREFIX + key))) ?? (await local.get(key)),
    set: async (key, value, ttlMs) => {
      await local.set(key, value, ttlMs);
      const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      await attempt(() => client.set(PREFIX + key, bytes, 'PX', Math.ceil(ttlMs)));
    },
    close: async () => {
      await local.close();
      client.disconnect();
    },
  };
}
