/**
 * Answers that a client agent keeps at hand: a stale-allowed read that is asked again and again is followed by one
 * blocking query, and answered from memory for as long as that query is alive.
 */

import type { Env } from '../../shared/env.ts';
import type { ReadOptions, ReadReply } from './backend.ts';
import type { ReadEndpoint } from './endpoint.ts';

export interface FollowedReadsOptions {
  readonly env: Env;
  readonly read: <Args, Result>(
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
    options: ReadOptions,
  ) => Promise<ReadReply<Result>>;
  /** Answers kept at the most; default 1024. */
  readonly limit?: number;
  /** An answer that nobody asked for in this time is let go; default 60 s. */
  readonly idleMs?: number;
}

interface Followed {
  /** The newest answer; undefined until the first one is there, and again when the query has broken. */
  reply: ReadReply<unknown> | undefined;
  askedAtMs: number;
  readonly stop: AbortController;
}

/** Only what is asked this often is worth a query of its own. */
const FOLLOW_AFTER_ASKS = 3;
const COUNTING_PERIOD_MS = 1000;
/** Questions counted at a time; a flood of different ones begins the period anew. */
const MAX_COUNTED = 4096;
const WAIT_MS = 60_000;

/**
 * Invariants: a followed answer has exactly one query in flight; `#followed` is ordered by last use, oldest first, and
 * never holds more than `limit`.
 */
export class FollowedReads {
  readonly #o: Required<FollowedReadsOptions>;
  readonly #followed = new Map<string, Followed>();
  readonly #asks = new Map<string, number>();
  #periodStartMs = 0;
  #isStopped = false;

  constructor(options: FollowedReadsOptions) {
    this.#o = { limit: 1024, idleMs: 60_000, ...options };
  }

  /** The kept answer, or undefined: then the caller asks a server, and asking often makes it kept. */
  get<Args, Result>(endpoint: ReadEndpoint<Args, Result>, args: Args): ReadReply<Result> | undefined {
    const key = `${endpoint.name} ${JSON.stringify(args)}`;
    const followed = this.#followed.get(key);
    if (followed === undefined) {
      this.#count(key, endpoint, args);
      return undefined;
    }
    followed.askedAtMs = this.#o.env.clock.monotonicMs();
    this.#followed.delete(key);
    this.#followed.set(key, followed);
    // The key holds the endpoint's name, which fixes the type of its result.
    return followed.reply as ReadReply<Result> | undefined;
  }

  stop(): void {
    this.#isStopped = true;
    for (const { stop } of this.#followed.values()) stop.abort();
    this.#followed.clear();
  }

  #count<Args, Result>(key: string, endpoint: ReadEndpoint<Args, Result>, args: Args): void {
    const now = this.#o.env.clock.monotonicMs();
    if (now - this.#periodStartMs > COUNTING_PERIOD_MS || this.#asks.size >= MAX_COUNTED) {
      this.#asks.clear();
      this.#periodStartMs = now;
    }
    const asks = (this.#asks.get(key) ?? 0) + 1;
    this.#asks.set(key, asks);
    if (asks < FOLLOW_AFTER_ASKS || this.#isStopped) return;
    this.#asks.delete(key);
    this.#makeRoom();
    const followed: Followed = { reply: undefined, askedAtMs: now, stop: new AbortController() };
    this.#followed.set(key, followed);
    void this.#follow(key, followed, endpoint, args);
  }

  /** Lets go of the answer that was asked for longest ago. */
  #makeRoom(): void {
    if (this.#followed.size < this.#o.limit) return;
    for (const [key, followed] of this.#followed) {
      this.#followed.delete(key);
      followed.stop.abort();
      return;
    }
  }

  /** Runs until nobody asks any more or the query breaks; the next questions then go to a server again. */
  async #follow<Args, Result>(
    key: string,
    followed: Followed,
    endpoint: ReadEndpoint<Args, Result>,
    args: Args,
  ): Promise<void> {
    const { clock } = this.#o.env;
    const { signal } = followed.stop;
    let minIndex = 0;
    try {
      while (!signal.aborted && clock.monotonicMs() - followed.askedAtMs < this.#o.idleMs) {
        const options = {
          datacenter: '',
          token: '',
          consistency: 'stale',
          minIndex,
          waitMs: WAIT_MS,
          signal,
        } as const;
        const reply = await this.#o.read(endpoint, args, options);
        const isUnchanged = followed.reply !== undefined && reply.meta.index === minIndex;
        if (!isUnchanged) followed.reply = reply;
        // An index that fell means that the state was replaced: start over.
        minIndex = reply.meta.index < minIndex ? 0 : reply.meta.index;
      }
    } catch {
      // Whatever broke the query will show to the next one who asks a server.
    }
    if (this.#followed.get(key) === followed) this.#followed.delete(key);
  }
}
