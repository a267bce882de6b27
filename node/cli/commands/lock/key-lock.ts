/** A lock that one holder has: a key acquired with a session. The protocol is that of Consul's Go client, so both exclude each other. */

import type { Clock } from '../../../../shared/env.ts';
import type { KvEntry } from '../../../../shared/types/v1.ts';
import type { ApiClient } from '../../api-client.ts';
import { messageOf } from '../../flag-access.ts';
import { pause } from '../../pause.ts';
import {
  type Holdable,
  type HoldOptions,
  LOCK_DELAY_RETRY_MS,
  nextWaitMs,
  SESSION_TTL_MS,
  watchHeld,
} from './holdable.ts';
import { deleteIf, type KvView, readView, writeIf } from './kv-access.ts';
import { type LiveSession, openSession } from './session.ts';

/** Marks keys that locks made; a key with another value is not touched. */
export const LOCK_FLAGS = 3304740253564472344n;

export function createKeyLock(client: ApiClient, key: string, options: HoldOptions, clock: Clock): Holdable {
  let session: LiveSession | undefined;
  const released = new AbortController();

  async function read(index: string, waitMs: number | undefined, stop?: AbortSignal): Promise<KvView> {
    try {
      const wait = waitMs === undefined ? {} : { waitMs };
      return await readView(client, key, { index, ...wait, ...(stop === undefined ? {} : { signal: stop }) });
    } catch (error) {
      throw new Error(`failed to read lock: ${messageOf(error)}`);
    }
  }

  async function tryAcquire(id: string): Promise<boolean> {
    try {
      return await writeIf(client, { key, value: '', flags: LOCK_FLAGS }, { acquire: id });
    } catch (error) {
      throw new Error(`failed to acquire lock: ${messageOf(error)}`);
    }
  }

  /** @returns whether it was acquired before the time was up */
  async function waitForLock(id: string, stop: AbortSignal): Promise<boolean> {
    const startedMs = clock.monotonicMs();
    let index = '';
    for (;;) {
      const waitMs = nextWaitMs(options, clock, startedMs);
      if (stop.aborted || waitMs === undefined) return false;
      const view = await read(index, waitMs, stop);
      const entry = view.entries[0];
      refuseForeign(entry);
      if (entry?.Session === id) return true;
      if (entry?.Session !== undefined) {
        index = view.index;
        continue;
      }
      if (await tryAcquire(id)) return true;
      const after = await read('', undefined, stop);
      index = after.entries[0]?.Session === undefined ? '' : after.index;
      if (index === '') await pause(clock, Math.min(LOCK_DELAY_RETRY_MS, waitMs), stop);
    }
  }

  return {
    async acquire(stop) {
      session = await startSession(client, options, clock);
      const { id } = session;
      let isAcquired = false;
      try {
        isAcquired = await waitForLock(id, stop);
      } catch (error) {
        if (!stop.aborted) throw error;
      } finally {
        if (!isAcquired) await session.end();
      }
      if (!isAcquired) return undefined;
      const lost = new AbortController();
      const isHeld = (view: KvView) => view.entries[0]?.Session === id;
      void watchHeld(client, key, {}, isHeld, options.monitorRetries, clock, released.signal, lost);
      return lost.signal;
    },
    async release() {
      if (session === undefined) return;
      released.abort();
      try {
        await writeIf(client, { key, value: '', flags: LOCK_FLAGS }, { release: session.id });
      } catch (error) {
        throw new Error(`failed to release lock: ${messageOf(error)}`);
      } finally {
        await session.end();
      }
    },
    async cleanUp() {
      const entry = (await read('', undefined)).entries[0];
      if (entry === undefined) return true;
      refuseForeign(entry);
      if (entry.Session !== undefined) return false;
      try {
        return await deleteIf(client, key, entry.ModifyIndex);
      } catch (error) {
        throw new Error(`failed to remove lock: ${messageOf(error)}`);
      }
    },
  };
}

/** @throws Error `failed to create session: …` */
export async function startSession(
  client: ApiClient,
  options: HoldOptions,
  clock: Clock,
): Promise<LiveSession> {
  try {
    const request = { name: options.sessionName, ttlMs: SESSION_TTL_MS, behavior: 'release' } as const;
    return await openSession(client, request, clock);
  } catch (error) {
    throw new Error(`failed to create session: ${messageOf(error)}`);
  }
}

function refuseForeign(entry: KvEntry | undefined): void {
  if (entry !== undefined && BigInt(entry.Flags) !== LOCK_FLAGS) {
    throw new Error('Existing key does not match lock use');
  }
}
