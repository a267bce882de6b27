/** The agent cache behind `?cached`: answers kept fresh in the background by one blocking query each. */

import { type Env, sleep } from '../../shared/env.ts';
import type { JsonReply } from '../rpc/backend.ts';

/** How an endpoint is cached: 'refresh' follows changes, 'simple' keeps what was fetched last. */
export type CacheKind = 'refresh' | 'simple';

export interface CacheLookup {
  /** Everything that the answer depends on. */
  readonly key: string;
  readonly kind: CacheKind;
  /** Asks the servers; `minIndex` 0 does not block. */
  readonly fetch: (minIndex: number, waitMs: number, signal: AbortSignal | undefined) => Promise<JsonReply>;
  /** The caller blocks while the cached index is not greater; 0: no. */
  readonly minIndex: number;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  /** Oldest acceptable answer of the simple kind; undefined: any. */
  readonly maxAgeMs: number | undefined;
  /** An answer of the simple kind younger than this stands in when a younger one cannot be had; default 0: none does. */
  readonly staleIfErrorMs?: number;
}

export interface CachedReply {
  readonly reply: JsonReply;
  readonly isHit: boolean;
  /** Since when the answer may have been out of date; 0 while it is followed. */
  readonly ageMs: number;
}

const MAX_ENTRIES = 1024;
const IDLE_MS = 3 * 24 * 3600_000;
const REFRESH_WAIT_MS = 600_000;
/** Pause before the first retry; doubles up to the longest. Also between answers that came without a change. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;
/** As everywhere: the ends of waits that began together are spread over an extra sixteenth. */
const JITTER_FRACTION = 16;

interface Entry {
  reply: JsonReply;
  fetchedMs: number;
  lastUsedMs: number;
  /** When following broke off; undefined while it works. */
  lostMs: number | undefined;
  readonly stop: AbortController;
  readonly waiters: Set<() => void>;
}

/** Invariant: `#entries` is ordered by last use, oldest first, and never longer than its bound. */
export class AgentCache {
  readonly #env: Env;
  readonly #entries = new Map<string, Entry>();
  readonly #pending = new Map<string, Promise<Entry>>();
  #isClosed = false;

  constructor(env: Env) {
    this.#env = env;
  }

  /** @throws whatever the first fetch throws, or the signal's reason */
  async get(lookup: CacheLookup): Promise<CachedReply> {
    const known = this.#usable(lookup);
    if (known !== undefined) return this.#answer(known, lookup, true);
    try {
      return await this.#answer(await this.#fetched(lookup), lookup, false);
    } catch (error) {
      const old = lookup.kind === 'simple' ? this.#entries.get(lookup.key) : undefined;
      if (old === undefined || this.#ageMs(old, 'simple') >= (lookup.staleIfErrorMs ?? 0)) throw error;
      return this.#answer(old, lookup, true);
    }
  }

  async #answer(entry: Entry, lookup: CacheLookup, isHit: boolean): Promise<CachedReply> {
    this.#touch(lookup.key, entry);
    if (lookup.minIndex > 0 && entry.reply.meta.index <= lookup.minIndex) await this.#changed(entry, lookup);
    return { reply: entry.reply, isHit, ageMs: this.#ageMs(entry, lookup.kind) };
  }

  /** Ends all following. What comes later is fetched and not kept. */
  close(): void {
    this.#isClosed = true;
    for (const entry of this.#entries.values()) entry.stop.abort();
    this.#entries.clear();
  }

  #usable(lookup: CacheLookup): Entry | undefined {
    const entry = this.#entries.get(lookup.key);
    if (entry === undefined || lookup.kind === 'refresh' || lookup.maxAgeMs === undefined) return entry;
    return this.#ageMs(entry, 'simple') >= lookup.maxAgeMs ? undefined : entry;
  }

  #ageMs(entry: Entry, kind: CacheKind): number {
    const sinceMs = kind === 'simple' ? entry.fetchedMs : entry.lostMs;
    return sinceMs === undefined ? 0 : this.#nowMs() - sinceMs;
  }

  /** Concurrent first callers share one fetch. */
  #fetched(lookup: CacheLookup): Promise<Entry> {
    const pending = this.#pending.get(lookup.key);
    if (pending !== undefined) return pending;
    const fetching = this.#fetch(lookup).finally(() => this.#pending.delete(lookup.key));
    this.#pending.set(lookup.key, fetching);
    return fetching;
  }

  async #fetch(lookup: CacheLookup): Promise<Entry> {
    const reply = await lookup.fetch(0, 0, undefined);
    const nowMs = this.#nowMs();
    const entry: Entry = {
      reply,
      fetchedMs: nowMs,
      lastUsedMs: nowMs,
      lostMs: undefined,
      stop: new AbortController(),
      waiters: new Set(),
    };
    if (this.#isClosed) return entry;
    this.#drop(lookup.key);
    this.#entries.set(lookup.key, entry);
    const oldest = this.#entries.keys().next().value;
    if (this.#entries.size > MAX_ENTRIES && oldest !== undefined) this.#drop(oldest);
    if (lookup.kind === 'refresh') void this.#follow(entry, lookup);
    return entry;
  }

  /** Runs until the entry is dropped or nobody has used it for long. Never rejects. */
  async #follow(entry: Entry, lookup: CacheLookup): Promise<void> {
    const { signal } = entry.stop;
    let pauseMs = 0;
    while (!signal.aborted) {
      try {
        if (pauseMs > 0) await sleep(this.#env.clock, pauseMs, signal);
        const reply = await lookup.fetch(entry.reply.meta.index, REFRESH_WAIT_MS, signal);
        const isChanged = reply.meta.index !== entry.reply.meta.index;
        Object.assign(entry, { reply, lostMs: undefined });
        pauseMs = isChanged ? 0 : FIRST_PAUSE_MS;
        if (isChanged) wake(entry);
      } catch {
        // The old answer stays; its age tells that it is no longer followed.
        entry.lostMs ??= this.#nowMs();
        pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, pauseMs * 2));
      }
      if (this.#nowMs() - entry.lastUsedMs > IDLE_MS) this.#drop(lookup.key);
    }
  }

  #touch(key: string, entry: Entry): void {
    entry.lastUsedMs = this.#nowMs();
    if (this.#entries.delete(key)) this.#entries.set(key, entry);
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    entry?.stop.abort();
  }

  /** Resolves when the entry has a newer index or the time is up. */
  #changed(entry: Entry, lookup: CacheLookup): Promise<void> {
    const { signal, minIndex, waitMs } = lookup;
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        entry.waiters.delete(look);
        timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const look = () => {
        if (entry.reply.meta.index > minIndex) finish(resolve);
      };
      const onAbort = () => finish(() => reject(signal?.reason));
      const jitterMs = (this.#env.random.next() * waitMs) / JITTER_FRACTION;
      const timer = this.#env.clock.setTimer(waitMs + jitterMs, () => finish(resolve));
      entry.waiters.add(look);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted) onAbort();
    });
  }

  #nowMs(): number {
    return this.#env.clock.monotonicMs();
  }
}

function wake(entry: Entry): void {
  for (const look of [...entry.waiters]) look();
}
