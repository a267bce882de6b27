/** Watch fan-out: callers that wait for the same change share upstream waits, and each is answered within its own wait. */

import type { Clock } from '../../shared/env.ts';
import { type Answer, isWhole } from '../exchange/exchange.ts';
import { longestWaitMs } from '../upstream/blocking.ts';
import type { Cancellation } from '../upstream/send.ts';
import { callerLeft, openInterest } from './interest.ts';

/** Waits upstream for at most `waitMs` (the agent may add a sixteenth). */
export type AskWait = (waitMs: number, cancel: Cancellation) => Promise<Answer>;

export interface WatchFanOut {
  /**
   * @param key    equal only for waits that any caller may exchange: target without its wait, token, formats
   * @param isNews whether an answer ends every wait, whatever time is left
   */
  watch(
    key: string,
    waitMs: number,
    isNews: (answer: Answer) => boolean,
    ask: AskWait,
    cancel: Cancellation,
  ): Promise<Answer>;
}

interface Watcher {
  /** When the caller's wait is over, and the latest time at which an agent might have answered it. Monotonic ms. */
  readonly dueMs: number;
  readonly latestMs: number;
  readonly settle: (answer: Answer) => void;
  readonly fail: (error: unknown) => void;
  readonly askAlone: () => void;
}

/**
 * Invariant: a group exists while one upstream wait is under way for it. `early` came before that wait started and
 * may take its answer; `late` came after, and an answer that was already on its way might not show what they know,
 * so the next upstream request serves them.
 */
interface Group {
  early: Set<Watcher>;
  late: Set<Watcher>;
  /** When the wait under way is over at the latest. */
  endsMs: number;
  cancelWait: () => void;
}

export interface WatchOptions {
  readonly maxCallers: number;
  readonly clock: Clock;
  readonly onShared: () => void;
}

export function createWatchFanOut({ maxCallers, clock, onShared }: WatchOptions): WatchFanOut {
  const groups = new Map<string, Group>();

  const run = async (key: string, group: Group, isNews: (answer: Answer) => boolean, ask: AskWait) => {
    while (group.early.size > 0) {
      const { answer, error } = await waitOnce(group, ask, clock);
      const served = whoAreServed(group, answer, isNews, clock);
      for (const watcher of served) group.early.delete(watcher);
      if (answer === undefined) for (const watcher of served) watcher.fail(error);
      else giveOut(answer, served);
      group.early = new Set([...group.early, ...group.late]);
      group.late = new Set();
    }
    groups.delete(key);
  };

  return {
    watch: (key, waitMs, isNews, ask, cancel) => {
      const nowMs = clock.monotonicMs();
      const group = groups.get(key);
      const latestMs = nowMs + longestWaitMs(waitMs);
      // Whoever must be answered before the wait under way ends can't be made to wait for it.
      if (group !== undefined && (latestMs < group.endsMs || group.late.size >= maxCallers))
        return ask(waitMs, cancel);
      return new Promise((resolve, reject) => {
        const watcher: Watcher = {
          dueMs: nowMs + waitMs,
          latestMs,
          settle: resolve,
          fail: reject,
          askAlone: () => ask(1, cancel).then(resolve, reject),
        };
        const mine = group ?? { early: new Set(), late: new Set(), endsMs: 0, cancelWait: () => undefined };
        cancel.onCancel(() => {
          leave(mine, watcher);
          reject(callerLeft());
        });
        if (group !== undefined) {
          onShared();
          group.late.add(watcher);
          return;
        }
        groups.set(key, mine);
        mine.early.add(watcher);
        void run(key, mine, isNews, ask);
      });
    },
  };
}

/** One upstream wait, as long as the most impatient caller allows. */
async function waitOnce(
  group: Group,
  ask: AskWait,
  clock: Clock,
): Promise<{ answer?: Answer; error?: unknown }> {
  const nowMs = clock.monotonicMs();
  const dueMs = Math.min(...[...group.early].map((watcher) => Math.max(watcher.dueMs, nowMs)));
  const latestMs = Math.min(...[...group.early].map((watcher) => watcher.latestMs));
  // Anything between the two is right for the most impatient; the later, the more callers it serves.
  const waitMs = Math.max(1, dueMs - nowMs, (latestMs - nowMs) * (16 / 17));
  group.endsMs = nowMs + longestWaitMs(waitMs);
  const interest = openInterest();
  let leaveWait: () => void = () => undefined;
  group.cancelWait = () => leaveWait();
  try {
    const answer = await interest.join(
      {
        isCancelled: false,
        onCancel: (listener) => {
          leaveWait = listener;
          return () => undefined;
        },
      },
      ask(waitMs, interest.cancellation),
    );
    return { answer };
  } catch (error) {
    return { error };
  }
}

/**
 * News and errors are for everyone. An answer without news is for those whose wait is over; when it came before anyone's
 * was, the agent doesn't block on this, and asking again would go round in circles.
 */
function whoAreServed(
  group: Group,
  answer: Answer | undefined,
  isNews: (answer: Answer) => boolean,
  clock: Clock,
): Watcher[] {
  const all = [...group.early];
  if (answer === undefined || isNews(answer)) return all;
  const nowMs = clock.monotonicMs();
  const due = all.filter(({ dueMs }) => dueMs <= nowMs);
  return due.length > 0 ? due : all;
}

/** A streamed answer has one reader; the other callers ask again, without a wait. */
function giveOut(answer: Answer, served: readonly Watcher[]): void {
  const [first, ...others] = served;
  if (first === undefined) {
    if (!isWhole(answer)) void (answer.body as ReadableStream<Uint8Array>).cancel();
    return;
  }
  first.settle(answer);
  for (const watcher of others) {
    if (isWhole(answer)) watcher.settle(answer);
    else watcher.askAlone();
  }
}

function leave(group: Group, watcher: Watcher): void {
  group.early.delete(watcher);
  group.late.delete(watcher);
  if (group.early.size === 0 && group.late.size === 0) group.cancelWait();
}
