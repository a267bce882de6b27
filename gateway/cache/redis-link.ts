/** The gateway's one connection to Redis: bounded, and never a reason for a request to fail. */

import type { Logger } from '../../shared/log.ts';

/** The few commands used, as ioredis and ioredis-mock have them. */
export interface RedisClient {
  getBuffer(key: string): Promise<Uint8Array | null>;
  set(key: string, value: Buffer, px: 'PX', ttlMs: number): Promise<unknown>;
  del(key: string): Promise<unknown>;
  eval(script: string, keyCount: number, ...args: (string | number)[]): Promise<unknown>;
  /** Ends the connection and the attempts to restore it. */
  disconnect(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'ready', listener: () => void): unknown;
}

export interface RedisLink {
  /** @returns what the command says; undefined when Redis can't be asked or refuses. Never rejects */
  attempt<T>(command: (client: RedisClient) => Promise<T>): Promise<T | undefined>;
  /** Whether the last thing that was heard of Redis was a failure. */
  isDegraded(): boolean;
  close(): void;
}

/** All keys start so, that several products can share a Redis. */
export const REDIS_PREFIX = 'proconsul:gateway:';

/** Commands in progress; beyond it Redis is passed over, so that a slow one can't pile up requests. */
const MAX_PENDING = 256;

/** Says once that Redis is gone and once that it is back. */
export function createRedisLink(client: RedisClient, logger: Logger): RedisLink {
  let isDegraded = false;
  let pending = 0;
  const degrade = (error: unknown) => {
    if (!isDegraded)
      logger.warn('Redis does not answer; last-known-good answers and rate limits stay in this process', {
        error: error instanceof Error ? error.message : String(error),
      });
    isDegraded = true;
  };
  const restore = () => {
    if (isDegraded) logger.info('Redis answers again');
    isDegraded = false;
  };
  client.on('error', degrade);
  client.on('ready', restore);
  return {
    attempt: async (command) => {
      if (pending >= MAX_PENDING) return undefined;
      pending++;
      try {
        const result = await command(client);
        restore();
        return result;
      } catch (error) {
        degrade(error);
        return undefined;
      } finally {
        pending--;
      }
    },
    isDegraded: () => isDegraded,
    close: () => client.disconnect(),
  };
}
