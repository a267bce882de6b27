/**
 * Runs reads against the local state: keeps answers with their rendered text, and lets blocking queries for the same
 * thing wait together, so that a change is evaluated and rendered once however many watch it.
 */

import type { Env, Timer } from '../../shared/env.ts';
import { ConsulError, toConsulError } from '../../shared/errors.ts';
import type { QueryResult, Topic } from '../state/types.ts';
import { Answer } from './answer.ts';

/** Tells once that any of the topics moved, after the change is visible. */
export interface TopicSource {
  watch(topics: readonly Topic[], moved: () => void): () => void;
}

/** What answers one kind of read. The name together with the arguments identifies a question. */
export interface Queryable {
  readonly endpoint: { readonly name: string };
}

/** @throws ConsulError */
export type RunQuery<Q extends Queryable> = (query: Q, args: unknown) => QueryResult<unknown>;

export interface BlockOptions {
  readonly minIndex: number;
  /** ≥ 0; up to 1/16 is added, so that callers who came together do not return together. */
  readonly waitMs: number;
  /** Ends the wait with `not-leader` when leadership is lost. */
  readonly needsLeader: boolean;
  readonly signal: AbortSignal | undefined;
}

export interface QueryEngineLimits {
  readonly maxEntries: number;
  /** Estimated memory of all answers that are kept, bytes. */
  readonly maxBytes: number;
  readonly maxWaiters: number;
}

const DEFAULT_LIMITS: QueryEngineLimits = {
  maxEntries: 16_384,
  maxBytes: 128 * 1024 * 1024,
  maxWaiters: 262_144,
};

/** Consul adds a random part of at most this fraction to every wait. */
const JITTER_FRACTION = 16;

interface Waiter {
  readonly minIndex: number;
  readonly needsLeader: boolean;
  readonly signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
  timer: Timer | undefined;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

interface Entry<Q> {
  readonly key: string;
  readonly query: Q;
  readonly args: unknown;
  answer: Answer | undefined;
  /** The state's version at which `answer` was last known to be right. */
  version: number;
  stopWatching: (() => void) | undefined;
  readonly waiters: Set<Waiter>;
  /** Asked for since eviction last looked at it. */
  isUsed: boolean;
  /** What the entry counts in `#bytes`. */
  bytes: number;
}

/**
 * Invariants: an answer is served only if the state has not changed at all since it was checked; what it costs to
 * check again is one run of the query, whose value is the same reference while nothing relevant changed, so that
 * rendered texts stay. An entry watches topics exactly while it has waiters and is not listed in `#moved`.
 * `#idle` holds exactly the entries without waiters. `#bytes` is the sum over all entries, `#awaitedBytes` over the rest.
 */
export class QueryEngine<Q extends Queryable> {
  readonly #source: TopicSource;
  readonly #run: RunQuery<Q>;
  readonly #env: Env;
  readonly #limits: QueryEngineLimits;
  readonly #entries = new Map<string, Entry<Q>>();
  readonly #idle = new Map<string, Entry<Q>>();
  #version = 0;
  #bytes = 0;
  #awaitedBytes = 0;
  #waiting = 0;
  #moved: Entry<Q>[] = [];

  constructor(source: TopicSource, run: RunQuery<Q>, env: Env, limits: QueryEngineLimits = DEFAULT_LIMITS) {
    this.#source = source;
    this.#run = run;
    this.#env = env;
    this.#limits = limits;
  }

  /** Blocking queries that wait now. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Answers that are kept now. */
  get size(): number {
    return this.#entries.size;
  }

  /** Estimated memory of the answers that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Must be called whenever a command was applied, before anybody reads. */
  stateChanged(): void {
    this.#version++;
  }

  /** The answer as of now. @throws ConsulError */
  current(query: Q, args: unknown): Answer {
    const key = keyOf(query, args);
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#firstAnswer(query, args, key);
    entry.isUsed = true;
    return this.#refreshed(entry);
  }

  /**
   * The answer once its index is above `minIndex`, or whatever it is when the time is over.
   * Rejects with the signal's reason, `not-leader`, or what the query throws.
   */
  block(query: Q, args: unknown, options: BlockOptions): Promise<Answer> {
    if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    let answer: Answer;
    try {
      answer = this.current(query, args);
    } catch (error) {
      return Promise.reject(error);
    }
    if (answer.index > options.minIndex || options.waitMs <= 0) return Promise.resolve(answer);
    const entry = this.#entries.get(keyOf(query, args));
    // Without an entry the answer names no topics: nothing could ever wake the caller.
    if (entry === undefined) return Promise.resolve(answer);
    if (this.#waiting >= this.#limits.maxWaiters)
      return Promise.reject(new ConsulError('rate-limited', 429, 'too many blocking queries'));
    return this.#wait(entry, answer, options);
  }

  /** The whole state was replaced: every wait ends with the new result, whatever its index. */
  restored(): void {
    this.#version++;
    for (const entry of this.#entries.values()) {
      stopWatching(entry);
      if (entry.waiters.size > 0) this.#release(entry, () => true);
    }
  }

  /** Ends the waits that only a leader may answer. */
  leadershipLost(): void {
    const error = new ConsulError('not-leader', 500, 'leadership lost');
    for (const entry of this.#entries.values()) {
      for (const waiter of entry.waiters) {
        if (waiter.needsLeader) this.#settle(entry, waiter)?.reject(error);
      }
    }
  }

  /** Ends every wait and forgets every answer. */
  close(): void {
    const error = new ConsulError('shutting-down', 500, 'agent is shutting down');
    for (const entry of this.#entries.values()) {
      for (const waiter of entry.waiters) this.#settle(entry, waiter)?.reject(error);
    }
    this.#entries.clear();
    this.#idle.clear();
    this.#bytes = 0;
    this.#awaitedBytes = 0;
  }

  #firstAnswer(query: Q, args: unknown, key: string): Answer {
    const result = this.#run(query, args);
    if (result.topics.length === 0) return new Answer(result, undefined, () => {});
    const entry: Entry<Q> = {
      key,
      query,
      args,
      answer: undefined,
      version: -1,
      stopWatching: undefined,
      waiters: new Set(),
      isUsed: true,
      bytes: 0,
    };
    this.#entries.set(key, entry);
    this.#idle.set(key, entry);
    return this.#take(entry, result);
  }

  #refreshed(entry: Entry<Q>): Answer {
    if (entry.version === this.#version && entry.answer !== undefined) return entry.answer;
    return this.#take(entry, this.#run(entry.query, entry.args));
  }

  #take(entry: Entry<Q>, result: QueryResult<unknown>): Answer {
    entry.version = this.#version;
    const known = entry.answer;
    if (known !== undefined && known.result.value === result.value && known.result.index === result.index) {
      return known;
    }
    const answer = new Answer(result, known, (bytes) => this.#onRendered(entry, answer, bytes));
    entry.answer = answer;
    this.#count(entry, answer.bytes + 2 * entry.key.length);
    this.#evict(entry);
    return answer;
  }

  #onRendered(entry: Entry<Q>, answer: Answer, bytes: number): void {
    if (entry.answer !== answer || this.#entries.get(entry.key) !== entry) return;
    this.#count(entry, entry.bytes + bytes);
    this.#evict(entry);
  }

  #wait(entry: Entry<Q>, answer: Answer, options: BlockOptions): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { minIndex, needsLeader, signal, waitMs } = options;
      const waiter: Waiter = {
        minIndex,
        needsLeader,
        signal,
        onAbort: undefined,
        timer: undefined,
        resolve,
        reject,
      };
      if (signal !== undefined) {
        waiter.onAbort = () => this.#settle(entry, waiter)?.reject(signal.reason);
        signal.addEventListener('abort', waiter.onAbort, { once: true });
      }
      const jitterMs = (this.#env.random.next() * waitMs) / JITTER_FRACTION;
      waiter.timer = this.#env.clock.setTimer(waitMs + jitterMs, () => this.#onTimeout(entry, waiter));
      entry.waiters.add(waiter);
      this.#waiting++;
      if (entry.waiters.size > 1) return;
      this.#idle.delete(entry.key);
      this.#awaitedBytes += entry.bytes;
      this.#watch(entry, answer);
    });
  }

  #watch(entry: Entry<Q>, answer: Answer): void {
    stopWatching(entry);
    entry.stopWatching = this.#source.watch(answer.result.topics, () => this.#onMoved(entry));
  }

  #onMoved(entry: Entry<Q>): void {
    entry.stopWatching = undefined;
    this.#moved.push(entry);
    // Behind the whole batch of changes: one evaluation for all of them.
    if (this.#moved.length === 1) queueMicrotask(() => this.#onBatchMoved());
  }

  #onBatchMoved(): void {
    const entries = this.#moved;
    this.#moved = [];
    for (const entry of entries) {
      if (entry.waiters.size > 0) this.#release(entry, (waiter, index) => index > waiter.minIndex);
    }
  }

  /** Settles those waiters of an entry who are to get its current result; the others go on waiting. */
  #release(entry: Entry<Q>, isDone: (waiter: Waiter, index: number) => boolean): void {
    let answer: Answer;
    try {
      answer = this.#refreshed(entry);
    } catch (error) {
      const failure = toConsulError(error);
      for (const waiter of entry.waiters) this.#settle(entry, waiter)?.reject(failure);
      return;
    }
    for (const waiter of entry.waiters) {
      if (isDone(waiter, answer.index)) this.#settle(entry, waiter)?.resolve(answer);
    }
    if (entry.waiters.size > 0) this.#watch(entry, answer);
  }

  #onTimeout(entry: Entry<Q>, waiter: Waiter): void {
    try {
      const answer = this.#refreshed(entry);
      this.#settle(entry, waiter)?.resolve(answer);
    } catch (error) {
      this.#settle(entry, waiter)?.reject(toConsulError(error));
    }
  }

  #settle(entry: Entry<Q>, waiter: Waiter): Waiter | undefined {
    if (!entry.waiters.delete(waiter)) return undefined;
    this.#waiting--;
    waiter.timer?.cancel();
    if (waiter.onAbort !== undefined) waiter.signal?.removeEventListener('abort', waiter.onAbort);
    if (entry.waiters.size === 0) {
      stopWatching(entry);
      this.#idle.set(entry.key, entry);
      this.#awaitedBytes -= entry.bytes;
    }
    return waiter;
  }

  #count(entry: Entry<Q>, bytes: number): void {
    this.#bytes += bytes - entry.bytes;
    if (entry.waiters.size > 0) this.#awaitedBytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  /** Second chance: the oldest idle entry that nobody asked for since the last look goes first. */
  #evict(keep: Entry<Q>): void {
    let steps = 2 * this.#idle.size;
    // What is put back comes up again at the end of this very loop.
    for (const oldest of this.#idle.values()) {
      if (!this.#isOverLimit() || steps-- <= 0) return;
      this.#idle.delete(oldest.key);
      if (oldest === keep || oldest.isUsed) {
        oldest.isUsed = oldest === keep;
        this.#idle.set(oldest.key, oldest);
      } else {
        this.#entries.delete(oldest.key);
        this.#bytes -= oldest.bytes;
      }
    }
  }

  /** Answers that somebody waits on do not count: `maxWaiters` bounds them, and looking past them would cost each read. */
  #isOverLimit(): boolean {
    const idleBytes = this.#bytes - this.#awaitedBytes;
    return this.#idle.size > this.#limits.maxEntries || idleBytes > this.#limits.maxBytes;
  }
}

function stopWatching(entry: Entry<unknown>): void {
  entry.stopWatching?.();
  entry.stopWatching = undefined;
}

function keyOf(query: Queryable, args: unknown): string {
  return `${query.endpoint.name} ${JSON.stringify(args)}`;
}
