/** What `lock` can hold, alone or with others, and the parts that both ways share. */

import type { Clock } from '../../../../shared/env.ts';
import type { ApiClient } from '../../api-client.ts';
import { pause } from '../../pause.ts';
import { KvReadError, type KvView, type ReadOptions, readView } from './kv-access.ts';

/** A lock or a place in a semaphore. Used once: acquire, release, clean up. */
export interface Holdable {
  /**
   * @param stop gives up waiting
   * @returns a signal that is aborted when it is lost again; undefined when it was stopped or its time was up
   * @throws Error saying what failed
   */
  acquire(stop: AbortSignal): Promise<AbortSignal | undefined>;
  /** @throws Error saying what failed */
  release(): Promise<void>;
  /** Removes the entry when nobody uses it. @returns false when somebody does */
  cleanUp(): Promise<boolean>;
}

export interface HoldOptions {
  readonly sessionName: string;
  /** How long to try, milliseconds; 0 means for ever. */
  readonly timeoutMs: number;
  /** How often the watch over what is held is tried again after a failure of the servers. */
  readonly monitorRetries: number;
}

export const SESSION_TTL_MS = 15_000;
/** Longest single wait for a change. */
export const WAIT_MS = 15_000;
/** After a lost lock its key stays closed for a while (the lock-delay) without any change that a query could wait for. */
export const LOCK_DELAY_RETRY_MS = 5000;
export const LOCK_SUFFIX = '.lock';

const MONITOR_RETRY_MS = 1000;

/** How long the next wait may take: undefined when the time is up. */
export function nextWaitMs(options: HoldOptions, clock: Clock, startedMs: number): number | undefined {
  if (options.timeoutMs === 0) return WAIT_MS;
  const left = options.timeoutMs - (clock.monotonicMs() - startedMs);
  return left > 0 ? Math.min(WAIT_MS, left) : undefined;
}

/**
 * Watches what is held and aborts `lost` as soon as it no longer is, or as that can't be told any more.
 * @param isHeld judges the view
 * @param released ends the watch
 */
export async function watchHeld(
  client: ApiClient,
  key: string,
  read: ReadOptions,
  isHeld: (view: KvView) => boolean,
  retries: number,
  clock: Clock,
  released: AbortSignal,
  lost: AbortController,
): Promise<void> {
  let index = '';
  let retriesLeft = retries;
  while (!released.aborted) {
    try {
      const view = await readView(client, key, { ...read, isConsistent: true, index, signal: released });
      if (!isHeld(view)) break;
      // A smaller index means that the servers started over.
      index = index !== '' && BigInt(view.index) < BigInt(index) ? '' : view.index;
      retriesLeft = retries;
    } catch (error) {
      if (released.aborted) return;
      const isPassing = !(error instanceof KvReadError) || error.isServerError;
      if (!isPassing || retriesLeft === 0) break;
      retriesLeft--;
      index = '';
      await pause(clock, MONITOR_RETRY_MS, released);
    }
  }
  if (!released.aborted) lost.abort();
}
