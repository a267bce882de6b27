/**
 * A lock that several holders have at once. Each has a key of its own, held by its session; a coordination key lists
 * the holders and changes by compare-and-set. The protocol is that of Consul's Go client.
 */

import type { Clock } from '../../../../shared/env.ts';
import type { KvEntry } from '../../../../shared/types/v1.ts';
import type { ApiClient } from '../../api-client.ts';
import { messageOf } from '../../flag-access.ts';
import { type Holdable, type HoldOptions, LOCK_SUFFIX, nextWaitMs, watchHeld } from './holdable.ts';
import { startSession } from './key-lock.ts';
import { deleteIf, type KvView, readView, writeIf } from './kv-access.ts';
import type { LiveSession } from './session.ts';

/** Marks keys that semaphores made. */
export const SEMAPHORE_FLAGS = 16210313421097356768n;

/** Each failed try means that another holder came or went; more in a row than this is not contention but a fault. */
const MAX_RELEASE_TRIES = 1000;

/** The value of the coordination key. */
interface Holders {
  readonly limit: number;
  readonly sessions: ReadonlySet<string>;
  /** ModifyIndex of the key, 0 when there is none. */
  readonly cas: number;
}

/** @param prefix without a slash at the end */
export function createSemaphore(
  client: ApiClient,
  prefix: string,
  limit: number,
  options: HoldOptions,
  clock: Clock,
): Holdable {
  const coordinationKey = `${prefix}/${LOCK_SUFFIX}`;
  const contenderKey = (id: string) => `${prefix}/${id}`;
  let session: LiveSession | undefined;
  const released = new AbortController();

  async function contend(id: string): Promise<void> {
    let isMade = false;
    let reason = 'not acquired';
    try {
      const entry = { key: contenderKey(id), value: '', flags: SEMAPHORE_FLAGS };
      isMade = await writeIf(client, entry, { acquire: id });
    } catch (error) {
      reason = messageOf(error);
    }
    if (!isMade) throw new Error(`failed to make contender entry: ${reason}`);
  }

  async function readPrefix(index: string, waitMs?: number, stop?: AbortSignal): Promise<KvView> {
    try {
      return await readView(client, `${prefix}/`, {
        isRecurse: true,
        index,
        ...(waitMs === undefined ? {} : { waitMs }),
        ...(stop === undefined ? {} : { signal: stop }),
      });
    } catch (error) {
      throw new Error(`failed to read prefix: ${messageOf(error)}`);
    }
  }

  /** Without holders whose session is gone. */
  function liveHolders(view: KvView): Holders {
    const holders = decodeHolders(
      view.entries.find((entry) => entry.Key === coordinationKey),
      limit,
    );
    const alive = new Set(view.entries.flatMap((entry) => entry.Session ?? []));
    return { ...holders, sessions: new Set([...holders.sessions].filter((id) => alive.has(id))) };
  }

  async function update(holders: Holders): Promise<boolean> {
    const value = JSON.stringify({
      Limit: holders.limit,
      Holders: Object.fromEntries([...holders.sessions].map((id) => [id, true])),
    });
    try {
      return await writeIf(
        client,
        { key: coordinationKey, value, flags: SEMAPHORE_FLAGS },
        { cas: holders.cas },
      );
    } catch (error) {
      throw new Error(`failed to update lock: ${messageOf(error)}`);
    }
  }

  async function waitForPlace(id: string, stop: AbortSignal): Promise<boolean> {
    const startedMs = clock.monotonicMs();
    let index = '';
    for (;;) {
      const waitMs = nextWaitMs(options, clock, startedMs);
      if (stop.aborted || waitMs === undefined) return false;
      const view = await readPrefix(index, waitMs, stop);
      const holders = liveHolders(view);
      if (holders.limit !== limit) {
        throw new Error(`semaphore limit conflict (lock: ${holders.limit}, local: ${limit})`);
      }
      if (holders.sessions.size >= limit) {
        index = view.index;
      } else {
        if (await update({ ...holders, sessions: new Set([...holders.sessions, id]) })) return true;
        index = '';
      }
    }
  }

  async function leave(id: string): Promise<void> {
    for (let tries = 0; tries < MAX_RELEASE_TRIES; tries++) {
      const entry = (await readView(client, coordinationKey)).entries[0];
      const holders = decodeHolders(entry, limit);
      if (!holders.sessions.has(id)) break;
      if (await update({ ...holders, sessions: new Set([...holders.sessions].filter((s) => s !== id)) }))
        break;
    }
    await deleteIf(client, contenderKey(id));
  }

  return {
    async acquire(stop) {
      session = await startSession(client, options, clock);
      const { id } = session;
      let isAcquired = false;
      try {
        await contend(id);
        isAcquired = await waitForPlace(id, stop);
      } catch (error) {
        if (!stop.aborted) throw error;
      } finally {
        if (!isAcquired) {
          // The key of a contender that gave up is not held by anybody, and nobody else would remove it.
          await deleteIf(client, contenderKey(id)).catch(() => false);
          await session.end();
        }
      }
      if (!isAcquired) return undefined;
      const lost = new AbortController();
      const isHeld = (view: KvView) => liveHolders(view).sessions.has(id);
      const read = { isRecurse: true };
      void watchHeld(
        client,
        `${prefix}/`,
        read,
        isHeld,
        options.monitorRetries,
        clock,
        released.signal,
        lost,
      );
      return lost.signal;
    },
    async release() {
      if (session === undefined) return;
      released.abort();
      try {
        await leave(session.id);
      } finally {
        await session.end();
      }
    },
    async cleanUp() {
      const holders = liveHolders(await readPrefix(''));
      if (holders.cas === 0) return true;
      if (holders.sessions.size > 0) return false;
      try {
        return await deleteIf(client, coordinationKey, holders.cas);
      } catch (error) {
        throw new Error(`failed to remove semaphore: ${messageOf(error)}`);
      }
    },
  };
}

/** @throws Error when the key is not a semaphore's or its value can't be read */
function decodeHolders(entry: KvEntry | undefined, limit: number): Holders {
  if (entry === undefined) return { limit, sessions: new Set(), cas: 0 };
  if (BigInt(entry.Flags) !== SEMAPHORE_FLAGS) throw new Error('Existing key does not match semaphore use');
  const text = Buffer.from(entry.Value ?? '', 'base64').toString();
  if (text === '') return { limit, sessions: new Set(), cas: entry.ModifyIndex };
  try {
    const value = JSON.parse(text) as { Limit?: number; Holders?: Record<string, boolean> | null };
    return {
      limit: value.Limit ?? limit,
      sessions: new Set(Object.keys(value.Holders ?? {})),
      cas: entry.ModifyIndex,
    };
  } catch (error) {
    throw new Error(`lock decoding failed: ${messageOf(error)}`);
  }
}
