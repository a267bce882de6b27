/**
 * One rate limit over many keys. With shared buckets a gateway takes tokens in small leases, so that all gateways
 * together keep the limit and most requests ask nobody.
 */

import type { Clock } from '../../shared/env.ts';
import { type Bucket, fullBucket, type RateLimit, take } from './token-bucket.ts';

/** Buckets that several gateways take from. */
export interface SharedBuckets {
  /** @returns undefined when they can't be reached: then each gateway keeps its own. Never rejects */
  take(key: string, limit: RateLimit, wanted: number): Promise<Lease | undefined>;
}

export interface Lease {
  readonly got: number;
  /** Milliseconds until there is another token, when none was got. */
  readonly waitMs: number;
}

export interface Limiter {
  /** Counts one request. @returns 0 when it may go on, else milliseconds after which it may be tried again */
  admit(key: string): number | Promise<number>;
}

/** Invariant: `allowance` was taken from a bucket and is this gateway's to spend until `allowanceEndsMs`. */
interface Entry {
  bucket: Bucket;
  allowance: number;
  allowanceEndsMs: number;
  /** Nobody needs to be asked before: there is nothing to be had. */
  emptyUntilMs: number;
  leasing: Promise<void> | undefined;
  /** Requests that wait for a lease. */
  waiting: number;
}

/** Keys remembered; the least recently used gets a full bucket when it comes again. */
const MAX_KEYS = 100_000;
/** A lease covers this much of the rate, and no more of the burst. */
const LEASE_MS = 100;
/** Tokens that were leased and not used in time are lost, as if they had been. */
const LEASE_LIFE_MS = 1000;
/** Times that a request that found the lease used up waits for another. */
const MAX_LEASES = 3;

export function createLimiter(limit: RateLimit, shared: SharedBuckets | undefined, clock: Clock): Limiter {
  const entries = new Map<string, Entry>();
  const leaseSize = Math.max(
    1,
    Math.min(Math.floor((limit.perSecond * LEASE_MS) / 1000), Math.floor(limit.burst / 4)),
  );

  const entryOf = (key: string, nowMs: number): Entry => {
    const known = entries.get(key);
    if (known !== undefined) {
      entries.delete(key);
      entries.set(key, known);
      return known;
    }
    const entry: Entry = {
      bucket: fullBucket(limit, nowMs),
      allowance: 0,
      allowanceEndsMs: 0,
      emptyUntilMs: 0,
      leasing: undefined,
      waiting: 0,
    };
    entries.set(key, entry);
    const oldest = entries.size > MAX_KEYS ? entries.keys().next().value : undefined;
    if (oldest !== undefined) entries.delete(oldest);
    return entry;
  };
  const takeOwn = (entry: Entry, nowMs: number): number => {
    const { bucket, got, waitMs } = take(entry.bucket, limit, 1, nowMs);
    entry.bucket = bucket;
    return got === 1 ? 0 : Math.max(1, waitMs);
  };
  const leaseOwn = (entry: Entry, wanted: number): Lease => {
    const { bucket, got, waitMs } = take(entry.bucket, limit, wanted, clock.monotonicMs());
    entry.bucket = bucket;
    return { got, waitMs };
  };
  const lease = async (key: string, entry: Entry, buckets: SharedBuckets): Promise<void> => {
    const wanted = Math.max(leaseSize, entry.waiting);
    // Where nobody shares, this gateway admits what it would alone.
    const taken = (await buckets.take(key, limit, wanted)) ?? leaseOwn(entry, wanted);
    const nowMs = clock.monotonicMs();
    entry.allowance = taken.got;
    entry.emptyUntilMs = taken.got > 0 ? 0 : nowMs + Math.max(1, taken.waitMs);
    entry.allowanceEndsMs = nowMs + LEASE_LIFE_MS;
  };
  const admitShared = async (key: string, entry: Entry, buckets: SharedBuckets): Promise<number> => {
    entry.waiting++;
    try {
      return await untilLeased(key, entry, buckets);
    } finally {
      entry.waiting--;
    }
  };
  const untilLeased = async (key: string, entry: Entry, buckets: SharedBuckets): Promise<number> => {
    for (let leases = 0; leases < MAX_LEASES; leases++) {
      entry.leasing ??= lease(key, entry, buckets).finally(() => {
        entry.leasing = undefined;
      });
      await entry.leasing;
      const waitMs = spend(entry, clock.monotonicMs());
      if (waitMs !== undefined) return waitMs;
    }
    return Math.ceil(1000 / limit.perSecond);
  };
  return {
    admit: (key) => {
      const nowMs = clock.monotonicMs();
      const entry = entryOf(key, nowMs);
      if (shared === undefined) return takeOwn(entry, nowMs);
      return spend(entry, nowMs) ?? admitShared(key, entry, shared);
    },
  };
}

/** @returns 0 when the allowance had one left, milliseconds when there is nothing to be had, undefined: ask */
function spend(entry: Entry, nowMs: number): number | undefined {
  if (entry.allowance >= 1 && nowMs < entry.allowanceEndsMs) {
    entry.allowance--;
    return 0;
  }
  return nowMs < entry.emptyUntilMs ? entry.emptyUntilMs - nowMs : undefined;
}
