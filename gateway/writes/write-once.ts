/** Sends writes under request IDs, so that one whose agent died can be sent to another without being applied twice. */

import { ConsulError } from '../../shared/errors.ts';
import {
  FORGOTTEN_REQUEST_ID,
  RESULT_NOT_KEPT,
  UNKNOWN_WRITE_SESSION,
  WRITE_SESSION_PATH,
} from '../../shared/request-id.ts';
import { type Answer, isWhole, NO_BODY } from '../exchange/exchange.ts';
import { errorText } from '../proxy/error-text.ts';
import { isRecord, parseJson } from '../upstream/pool-listing.ts';
import { bareText } from '../upstream/retry.ts';
import type { PoolRequest, Send } from '../upstream/send.ts';
import type { OpenOutcome, WriteSessions } from './write-sessions.ts';

/** A session is opened again once: a second refusal means that another datacenter's agents were asked. */
const MAX_SESSIONS_TRIED = 2;
const OPEN_TIMEOUT_MS = 2000;

/** @returns a `Send` for writes whose replay is `once`; without a session they go as `if-not-applied` */
export function createWriteOnce(send: Send, sessions: WriteSessions): Send {
  return async (request) => {
    for (let tried = 0; tried < MAX_SESSIONS_TRIED; tried++) {
      const write = await sessions.next();
      if (write === undefined) break;
      let attempts = 0;
      const target = () => {
        attempts++;
        return request.target();
      };
      try {
        const answer = await send({ ...request, requestId: write.requestId, target });
        if (answer.status !== 409) return answer;
        const meaning = bareText(await errorText(answer));
        if (meaning === FORGOTTEN_REQUEST_ID) throw unknownOutcome();
        if (meaning === RESULT_NOT_KEPT) throw resultLost();
        if (meaning !== UNKNOWN_WRITE_SESSION) return answer;
        sessions.lost(write.session);
        // The first attempt was refused, so nothing was applied; an earlier one may have been, in a session now gone.
        if (attempts > 1) throw unknownOutcome();
      } finally {
        write.settle();
      }
    }
    return send({ ...request, replay: 'if-not-applied' });
  };
}

/** Asks the pool for a new session. Opening one too many does no harm. */
export function openThrough(send: Send): () => Promise<OpenOutcome> {
  const request: PoolRequest = {
    method: 'PUT',
    target: () => WRITE_SESSION_PATH,
    headers: [],
    body: NO_BODY,
    prefer: { kind: 'leader' },
    replay: 'always',
    delivery: 'whole',
    isWait: false,
    timeoutMs: () => OPEN_TIMEOUT_MS,
    deadlineMs: OPEN_TIMEOUT_MS,
  };
  return async () => {
    try {
      return outcomeOf(await send(request));
    } catch (error) {
      if (error instanceof ConsulError) return 'failed';
      throw error;
    }
  };
}

function outcomeOf(answer: Answer): OpenOutcome {
  if (answer.status === 404 || answer.status === 405) return 'unsupported';
  if (answer.status !== 200 || !isWhole(answer)) return 'failed';
  const body = parseJson(new TextDecoder().decode(answer.body));
  const session = isRecord(body) ? body.ID : undefined;
  return typeof session === 'string' && /^[0-9a-f]{16}$/.test(session) ? { session } : 'unsupported';
}

function unknownOutcome(): ConsulError {
  return new ConsulError(
    'outcome-unknown',
    502,
    'The write was sent more than once while agents failed, and none of them can tell any more whether it was applied. Read it back before sending it again.',
  );
}

function resultLost(): ConsulError {
  return new ConsulError(
    'outcome-unknown',
    502,
    'The change was made once, but the agent that made it died before its answer came, and the answer was too long to be remembered. Read it back.',
  );
}
