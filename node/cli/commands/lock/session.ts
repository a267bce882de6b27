/** A session that is kept alive while this process holds something with it. */

import type { Clock } from '../../../../shared/env.ts';
import type { ApiClient } from '../../api-client.ts';
import { pause } from '../../pause.ts';

const RENEW_RETRY_MS = 1000;

export interface SessionRequest {
  readonly name: string;
  /** Milliseconds, a whole number of seconds ≥ 10. */
  readonly ttlMs: number;
  readonly behavior: 'release' | 'delete';
}

export interface LiveSession {
  readonly id: string;
  /** Stops renewing and destroys it. Does not throw: a session that stays behind expires. */
  readonly end: () => Promise<void>;
}

/** @throws Error with the client's text */
export async function openSession(
  client: ApiClient,
  request: SessionRequest,
  clock: Clock,
): Promise<LiveSession> {
  const body = JSON.stringify({
    Name: request.name,
    TTL: `${request.ttlMs / 1000}s`,
    Behavior: request.behavior,
  });
  const { ID } = await client.json<{ ID: string }>({ method: 'PUT', path: '/v1/session/create', body });
  const ended = new AbortController();
  const renewing = renew(client, ID, request.ttlMs, clock, ended.signal);
  return {
    id: ID,
    async end() {
      ended.abort();
      await renewing;
      try {
        await client.request({ method: 'PUT', path: `/v1/session/destroy/${ID}` });
      } catch {
        // It expires by itself.
      }
    },
  };
}

/** Ends when told to, or when the session is gone: whoever uses it learns that from what it held. */
async function renew(
  client: ApiClient,
  id: string,
  ttlMs: number,
  clock: Clock,
  ended: AbortSignal,
): Promise<void> {
  let waitMs = ttlMs / 2;
  while (!ended.aborted) {
    await pause(clock, waitMs, ended);
    if (ended.aborted) return;
    try {
      const { status } = await client.request({
        method: 'PUT',
        path: `/v1/session/renew/${id}`,
        signal: ended,
      });
      if (status === 404) return;
      waitMs = status === 200 ? ttlMs / 2 : RENEW_RETRY_MS;
    } catch {
      // The agent is away for a moment: there are several tries within the TTL.
      waitMs = RENEW_RETRY_MS;
    }
  }
}
