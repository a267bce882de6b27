/** A token bucket as a value: what it holds at a time, and what is left after some were taken. Pure. */

export interface RateLimit {
  /** Requests per second in the long run, > 0. */
  readonly perSecond: number;
  /** Requests at once after a pause, ≥ 1. */
  readonly burst: number;
}

export interface Bucket {
  readonly tokens: number;
  /** When it held that many, milliseconds. */
  readonly atMs: number;
}

export interface Taken {
  readonly bucket: Bucket;
  /** Whole tokens, ≤ what was wanted. */
  readonly got: number;
  /** Milliseconds until there is another one, ≥ 0; 0 when there is one left. */
  readonly waitMs: number;
}

export function fullBucket({ burst }: RateLimit, nowMs: number): Bucket {
  return { tokens: burst, atMs: nowMs };
}

/** A clock that goes backwards adds nothing. */
export function take(bucket: Bucket, limit: RateLimit, wanted: number, nowMs: number): Taken {
  const elapsedMs = Math.max(0, nowMs - bucket.atMs);
  const held = Math.min(limit.burst, bucket.tokens + (elapsedMs * limit.perSecond) / 1000);
  const got = Math.min(wanted, Math.floor(held));
  const tokens = held - got;
  const waitMs = Math.max(0, Math.ceil(((1 - tokens) * 1000) / limit.perSecond));
  return { bucket: { tokens, atMs: Math.max(nowMs, bucket.atMs) }, got, waitMs };
}
