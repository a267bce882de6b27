/** Ends sessions that nobody renews. Lives on the leader only; a new leader gives every session a fresh time. */

import { DurationSyntaxError, NS_PER_MS, parseDurationNs } from '../../shared/durations.ts';
import type { Env, Timer } from '../../shared/env.ts';
import { toConsulError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Session } from '../../shared/types/v1.ts';

/** A session lives at least this many TTLs after its last renewal: covers clock skew, slow networks, elections. */
const TTL_MULTIPLIER = 2;
const MAX_ATTEMPTS = 6;
const RETRY_BASE_MS = 10_000;

export interface SessionTimersOptions {
  readonly env: Env;
  readonly log: Logger;
  readonly ttlMinMs: number;
  /** Logs the end of the session. */
  readonly destroy: (id: string) => Promise<unknown>;
  /** Whether the session still exists: it may have ended by other ways in the meantime. */
  readonly exists: (id: string) => boolean;
}

/** Invariant: at most one timer per session; none after `stop`. */
export class SessionTimers {
  readonly #o: SessionTimersOptions;
  readonly #timers = new Map<string, Timer>();
  #isStopped = false;

  constructor(options: SessionTimersOptions) {
    this.#o = options;
  }

  get size(): number {
    return this.#timers.size;
  }

  /** Starts or restarts the time of a session. @param ttl Go duration text; '' means that it lives for ever */
  restart(session: Pick<Session, 'ID' | 'TTL'>): void {
    const lifeMs = lifetimeMs(session.TTL, this.#o.ttlMinMs);
    if (lifeMs === undefined || this.#isStopped) return;
    this.#set(session.ID, lifeMs, 0);
  }

  forget(id: string): void {
    this.#timers.get(id)?.cancel();
    this.#timers.delete(id);
  }

  forgetAll(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  stop(): void {
    this.#isStopped = true;
    this.forgetAll();
  }

  #set(id: string, delayMs: number, attempt: number): void {
    this.#timers.get(id)?.cancel();
    this.#timers.set(
      id,
      this.#o.env.clock.setTimer(delayMs, () => void this.#expire(id, attempt)),
    );
  }

  async #expire(id: string, attempt: number): Promise<void> {
    this.#timers.delete(id);
    const { destroy, exists, log } = this.#o;
    try {
      if (!exists(id)) return;
      await destroy(id);
      log.debug('Session TTL expired', { session: id });
    } catch (error) {
      if (this.#isStopped || this.#timers.has(id)) return;
      log.error('Invalidation failed', { error: toConsulError(error).message });
      if (attempt + 1 < MAX_ATTEMPTS) this.#set(id, RETRY_BASE_MS * 2 ** attempt, attempt + 1);
      else log.error('maximum revoke attempts reached for session', { error: id });
    }
  }
}

/**
 * How long a session lives without renewal, milliseconds; undefined: for ever.
 *
 * @param ttl Go duration text as the session has it
 */
export function lifetimeMs(ttl: string, ttlMinMs: number): number | undefined {
  if (ttl === '') return undefined;
  const ms = durationMs(ttl);
  if (ms <= 0) return undefined;
  return TTL_MULTIPLIER * Math.max(ms, ttlMinMs);
}

/** A text that does not parse came from a restored snapshot, not from validation: the session lives until destroyed. */
function durationMs(ttl: string): number {
  try {
    return parseDurationNs(ttl) / NS_PER_MS;
  } catch (error) {
    if (error instanceof DurationSyntaxError) return 0;
    throw error;
  }
}
