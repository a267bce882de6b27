/** One view: the last answer of a read that is followed, and what may be said of its age. */

import type { Clock, Random } from '../../shared/env.ts';
import { headerOf, type WholeAnswer } from '../exchange/exchange.ts';
import { type AskPool, follow } from './follow.ts';
import type { Question } from './question.ts';

export interface View {
  /** Monotonic milliseconds of the last use. */
  usedMs: number;
  /** How long it is kept without being used. */
  idleMs: number;
  /** How often an agent is to confirm it, from its next question on. */
  waitMs: number;
  /** Settles with the first answer or failure. */
  readonly ready: Promise<void>;
  /**
   * The answer as of now, undefined while there is none that can be trusted or it is older than either bound.
   *
   * @param maxAgeMs   since an agent last confirmed it
   * @param maxStaleMs as `max_stale`: since that agent, or the server behind it, last heard of the leader
   */
  answer(maxAgeMs: number, maxStaleMs: number): WholeAnswer | undefined;
  /** Memory taken by the answer, roughly. */
  bytes(): number;
  close(): void;
}

export interface ViewOptions {
  readonly ask: AskPool;
  readonly idleMs: number;
  readonly waitMs: number;
  /** Largest answer kept. */
  readonly limitBytes: number;
  readonly onGrow: (byBytes: number) => void;
  /** It can't be followed. Nothing comes after this. */
  readonly onRefusal: () => void;
  readonly clock: Clock;
  readonly random: Random;
}

/** An agent that is late by more than this, after the sixteenth that it may add, isn't believed to be watching. */
const LATE_MS = 2000;
/** Key, headers and bookkeeping of a view. */
const OVERHEAD_BYTES = 1500;

/** Told anew with each answer. */
const RENEWED: ReadonlySet<string> = new Set(['age', 'date', 'x-cache', 'x-consul-lastcontact']);

interface State {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Uint8Array;
  readonly confirmedMs: number;
  readonly contactMs: number;
  /** What the agent's own cache said, milliseconds; 0 while that is connected. */
  readonly cacheAgeMs: number;
}

export function openView(question: Question, options: ViewOptions): View {
  const { clock, random, ask, limitBytes } = options;
  let state: State | undefined;
  let isBroken = false;
  let bytes = OVERHEAD_BYTES;
  let becomeReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    becomeReady = resolve;
  });
  const refuse = () => {
    becomeReady();
    options.onRefusal();
  };
  const view: View = {
    usedMs: clock.monotonicMs(),
    idleMs: options.idleMs,
    waitMs: options.waitMs,
    ready,
    answer: (maxAgeMs, maxStaleMs) => {
      if (state === undefined || isBroken) return undefined;
      const sinceMs = clock.monotonicMs() - state.confirmedMs;
      const contactMs = state.contactMs + sinceMs;
      if (sinceMs > maxAgeMs || contactMs > maxStaleMs) return undefined;
      const { status, body } = state;
      return { status, body, headers: headersNow(state, contactMs, question.isCached) };
    },
    bytes: () => bytes,
    close: () => {
      stop();
      becomeReady();
    },
  };
  const stop = follow({
    target: question.target,
    headers: question.headers,
    ask,
    waitMs: () => view.waitMs,
    limitBytes,
    onAnswer: ({ answer }) => {
      // With its cache turned off an agent answers `?cached` like any read: then there is nothing to take the place of.
      if (question.isCached && headerOf(answer.headers, 'x-cache') === undefined) {
        stop();
        return refuse();
      }
      const grownBy = answer.body.length - (state?.body.length ?? 0);
      state = stateOf(answer, state, clock.monotonicMs());
      isBroken = false;
      bytes += grownBy;
      becomeReady();
      options.onGrow(grownBy);
    },
    onFailure: () => {
      isBroken = true;
      becomeReady();
    },
    onRefusal: refuse,
    clock,
    random,
  });
  options.onGrow(bytes);
  return view;
}

/** How old an answer may be that an agent confirms every `waitMs`. */
export function trustedMs(waitMs: number): number {
  return waitMs * (17 / 16) + LATE_MS;
}

/** An answer like the one before keeps that one's bytes, so that what was made of them stays good. */
function stateOf(answer: WholeAnswer, before: State | undefined, nowMs: number): State {
  const headers: string[] = [];
  for (let i = 0; i < answer.headers.length; i += 2) {
    const name = answer.headers[i] as string;
    if (!RENEWED.has(name.toLowerCase())) headers.push(name, answer.headers[i + 1] as string);
  }
  return {
    status: answer.status,
    headers,
    body: before !== undefined && isSame(before.body, answer.body) ? before.body : answer.body,
    confirmedMs: nowMs,
    contactMs: wholeNumber(headerOf(answer.headers, 'x-consul-lastcontact')),
    cacheAgeMs: wholeNumber(headerOf(answer.headers, 'age')) * 1000,
  };
}

function headersNow(state: State, contactMs: number, isCached: boolean): string[] {
  const headers = [...state.headers, 'X-Consul-Lastcontact', String(Math.floor(contactMs))];
  if (!isCached) return headers;
  const { cacheAgeMs } = state;
  const ageMs = cacheAgeMs === 0 ? 0 : cacheAgeMs + contactMs - state.contactMs;
  headers.push('X-Cache', 'HIT', 'Age', String(Math.floor(ageMs / 1000)));
  return headers;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function wholeNumber(text: string | undefined): number {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : 0;
}
