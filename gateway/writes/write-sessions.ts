/** Numbers the gateway's writes, so that agents apply each once however often it is sent. Opens a session when it needs one. */

import type { Clock } from '../../shared/env.ts';
import { formatRequestId } from '../../shared/request-id.ts';

export interface NumberedWrite {
  readonly session: string;
  /** For the header. */
  readonly requestId: string;
  /** It will not be sent again. To be called once. */
  settle(): void;
}

export interface WriteSessions {
  /** @returns undefined while no session can be had: the write then goes without a number */
  next(): Promise<NumberedWrite | undefined>;
  /** The agents don't know this session (any more). */
  lost(session: string): void;
}

/**
 * - text: the ID of the new session
 * - `unsupported`: these agents know nothing of sessions
 * - `failed`: nobody could open one just now
 */
export type OpenOutcome = { readonly session: string } | 'unsupported' | 'failed';

export interface WriteSessionsOptions {
  /** Never rejects. */
  readonly open: () => Promise<OpenOutcome>;
  /** False where a request may not wait for another request's work (Workers). */
  readonly sharesWork: boolean;
  readonly clock: Clock;
}

/** How long agents that know nothing of sessions are believed. */
const UNSUPPORTED_MS = 60_000;
const FAILED_MS = 1000;

/** Invariant: `open` holds the sequence numbers given out and not settled, ascending: a Set keeps the order of insertion. */
interface Session {
  readonly id: string;
  readonly open: Set<number>;
  next: number;
}

export function createWriteSessions(options: WriteSessionsOptions): WriteSessions {
  const { clock, sharesWork } = options;
  let current: Session | undefined;
  let opening: Promise<void> | undefined;
  let notBeforeMs = Number.NEGATIVE_INFINITY;

  const open = async (): Promise<void> => {
    const outcome = await options.open();
    if (outcome === 'unsupported') notBeforeMs = clock.monotonicMs() + UNSUPPORTED_MS;
    else if (outcome === 'failed') notBeforeMs = clock.monotonicMs() + FAILED_MS;
    else current ??= { id: outcome.session, open: new Set(), next: 1 };
  };
  const opened = (): Promise<void> => {
    if (!sharesWork) return open();
    opening ??= open().finally(() => {
      opening = undefined;
    });
    return opening;
  };
  return {
    next: async () => {
      if (current === undefined && clock.monotonicMs() >= notBeforeMs) await opened();
      return current === undefined ? undefined : numbered(current);
    },
    lost: (session) => {
      if (current?.id === session) current = undefined;
    },
  };
}

function numbered(session: Session): NumberedWrite {
  const sequence = session.next++;
  session.open.add(sequence);
  const [settledBelow = sequence] = session.open;
  return {
    session: session.id,
    requestId: formatRequestId({ session: session.id, sequence, settledBelow }),
    settle: () => session.open.delete(sequence),
  };
}
