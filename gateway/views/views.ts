/** Kept-fresh views: reads that may be a little old are answered from memory, which one blocking query per view keeps fresh. */

import type { Clock, Random, Timer } from '../../shared/env.ts';
import type { WholeAnswer } from '../exchange/exchange.ts';
import type { Incoming } from '../proxy/forward.ts';
import type { AskPool } from './follow.ts';
import { allowedAgeMs, type Question, viewQuestion } from './question.ts';
import { openView, trustedMs, type View } from './view.ts';

export interface Views {
  /**
   * An answer from memory, or undefined when an agent has to be asked: the read isn't of the kind, isn't asked often
   * enough, its view isn't there yet or is too old for it.
   */
  answer(incoming: Incoming): WholeAnswer | undefined;
  /**
   * For readers that come back: opens the view at the first read and keeps it for `idleMs` after the last.
   *
   * @returns the answer once the view has one; undefined when it can't be kept
   */
  hold(incoming: Incoming, idleMs: number): Promise<WholeAnswer | undefined>;
  /** Views open now, and bytes of the answers that they keep. */
  size(): { readonly count: number; readonly bytes: number };
  stop(): void;
}

export interface ViewsOptions {
  readonly ask: AskPool;
  /** Views at most, asked anew each time: each holds one wait at an agent. */
  readonly maxViews: () => number;
  /** Answers kept together at most, bytes. One answer may take a quarter of it. */
  readonly maxBytes: number;
  readonly onHit: () => void;
  readonly clock: Clock;
  readonly random: Random;
}

/** Reads within `OFTEN_MS` after which a view is worth its wait. */
const OFTEN = 3;
const OFTEN_MS = 10_000;
const IDLE_MS = 60_000;
/** So often an agent confirms a view that doesn't change. Shorter: less age reported, more requests. */
const WAIT_MS = 10_000;
/** The same for views held for readers that come seldom. */
const HELD_WAIT_MS = 55_000;
const SWEEP_MS = 5000;
/** A view read this lately isn't given up for another one: more hot reads than views must not make them change places. */
const HOT_MS = 5000;
/** What can't be viewed is tried again after this long. */
const REFUSED_MS = 60_000;
const MAX_COUNTED = 10_000;

/** How often a read came lately, or until when it isn't to be viewed. */
interface Tally {
  count: number;
  readonly sinceMs: number;
  readonly refusedUntilMs: number;
}

/** Invariant: `views` and `tallies` are ordered from least to most recently used; `bytes` is the sum over `views`. */
export function createViews(options: ViewsOptions): Views {
  const { clock } = options;
  const views = new Map<string, View>();
  const tallies = new Map<string, Tally>();
  let bytes = 0;
  let sweeper: Timer | undefined;

  const close = (key: string, view: View): void => {
    if (!views.delete(key)) return;
    bytes -= view.bytes();
    view.close();
  };
  const tally = (key: string, entry: Tally): void => {
    tallies.delete(key);
    tallies.set(key, entry);
    const oldest = tallies.size > MAX_COUNTED ? tallies.keys().next().value : undefined;
    if (oldest !== undefined) tallies.delete(oldest);
  };
  const isOften = (key: string): boolean => {
    const nowMs = clock.monotonicMs();
    const known = tallies.get(key);
    if (known !== undefined && nowMs < known.refusedUntilMs) return false;
    const isCurrent = known !== undefined && nowMs - known.sinceMs <= OFTEN_MS;
    const entry = isCurrent ? known : { count: 0, sinceMs: nowMs, refusedUntilMs: 0 };
    entry.count++;
    tally(key, entry);
    return entry.count >= OFTEN;
  };
  const makeRoom = (count: number): boolean => {
    const nowMs = clock.monotonicMs();
    for (const [key, view] of views) {
      if (views.size <= count && bytes <= options.maxBytes) return true;
      if (views.size > count && nowMs - view.usedMs < HOT_MS) return false;
      close(key, view);
    }
    return views.size <= count;
  };
  const sweep = (): void => {
    const nowMs = clock.monotonicMs();
    for (const [key, view] of views) if (nowMs - view.usedMs > view.idleMs) close(key, view);
    makeRoom(options.maxViews());
    sweeper = views.size === 0 ? undefined : clock.setTimer(SWEEP_MS, sweep);
  };
  const open = (question: Question, idleMs: number, waitMs: number): View | undefined => {
    const { key } = question;
    const limit = options.maxViews();
    if (limit < 1 || !makeRoom(limit - 1)) return undefined;
    const view: View = openView(question, {
      ...options,
      idleMs,
      waitMs,
      limitBytes: options.maxBytes / 4,
      onGrow: (by) => {
        bytes += by;
        if (bytes > options.maxBytes) makeRoom(options.maxViews());
      },
      onRefusal: () => {
        close(key, view);
        tally(key, { count: 0, sinceMs: 0, refusedUntilMs: clock.monotonicMs() + REFUSED_MS });
      },
    });
    views.set(key, view);
    sweeper ??= clock.setTimer(SWEEP_MS, sweep);
    return view;
  };
  /** Doesn't push others out: more held views than there is room for would push each other out at every turn. */
  const openHeld = (question: Question, idleMs: number): View | undefined => {
    const isRefused = (tallies.get(question.key)?.refusedUntilMs ?? 0) > clock.monotonicMs();
    if (isRefused || views.size >= options.maxViews() || bytes >= options.maxBytes) return undefined;
    return open(question, idleMs, HELD_WAIT_MS);
  };
  const use = (key: string, view: View): View => {
    view.usedMs = clock.monotonicMs();
    views.delete(key);
    views.set(key, view);
    return view;
  };

  return {
    answer: (incoming) => {
      const question = viewQuestion(incoming);
      if (question === undefined) return undefined;
      const known = views.get(question.key);
      if (known === undefined) {
        if (isOften(question.key)) open(question, IDLE_MS, WAIT_MS);
        return undefined;
      }
      const ageMs = allowedAgeMs(incoming.headers);
      if (ageMs === undefined) return undefined;
      known.waitMs = WAIT_MS;
      const found = use(question.key, known).answer(
        Math.min(ageMs, trustedMs(WAIT_MS)),
        incoming.kind.maxStaleMs ?? Number.POSITIVE_INFINITY,
      );
      if (found !== undefined) options.onHit();
      return found;
    },
    hold: async (incoming, idleMs) => {
      const question = viewQuestion(incoming);
      if (question === undefined) return undefined;
      const view = views.get(question.key) ?? openHeld(question, idleMs);
      if (view === undefined) return undefined;
      view.idleMs = Math.max(view.idleMs, idleMs);
      await use(question.key, view).ready;
      return view.answer(trustedMs(HELD_WAIT_MS), Number.POSITIVE_INFINITY);
    },
    size: () => ({ count: views.size, bytes }),
    stop: () => {
      sweeper?.cancel();
      for (const [key, view] of views) close(key, view);
    },
  };
}
