/** Token buckets in Redis, taken from by one atomic script, so that several gateways keep one limit together. */

import { REDIS_PREFIX, type RedisLink } from '../cache/redis-link.ts';
import type { Lease, SharedBuckets } from './limiter.ts';

/** Same arithmetic as `token-bucket.ts`, by the clock of Redis. A bucket that would be full by now is forgotten. */
const TAKE = `
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local tokens, at = tonumber(held[1] or '') or burst, tonumber(held[2] or '') or now
tokens = math.min(burst, tokens + math.max(0, now - at) * rate / 1000)
local got = math.min(wanted, math.floor(tokens))
tokens = tokens - got
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', tostring(math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst * 1000 / rate) + 1000)
return {got, math.max(0, math.ceil((1 - tokens) * 1000 / rate))}
`;

export function createRedisBuckets(link: RedisLink): SharedBuckets {
  return {
    take: async (key, { perSecond, burst }, wanted) => {
      const name = `${REDIS_PREFIX}limit:${await sha256(key)}`;
      const reply = await link.attempt((client) => client.eval(TAKE, 1, name, perSecond, burst, wanted));
      return leaseOf(reply);
    },
  };
}

function leaseOf(reply: unknown): Lease | undefined {
  if (!Array.isArray(reply)) return undefined;
  const [got, waitMs] = reply;
  return typeof got === 'number' && typeof waitMs === 'number' ? { got, waitMs } : undefined;
}

/** Keys hold tokens; only their SHA-256 leaves the process. */
async function sha256(key: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
