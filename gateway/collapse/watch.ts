/** Watch fan-out: callers that wait for the same change share upstream waits, and each is answered within its own wait. */

import type { Clock } from '../../shared/env.ts';
import { type Answer, isWhole } from '../exchange/exchange.ts';
import { longestWaitMs } from '../upstream/blocking.ts';
import type { Cancellation } from '../upstream/send.ts';
import { callerLeft } from './interest.ts';
import { inSlices } from './slices.ts';

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

/** One caller. There may be tens of thousands, so this is all that is kept of each. */
interface Watcher {
  /** When the caller's wait is over, and the latest time at which an agent might have answered it. Monotonic ms. */
  readonly dueMs: number;
  readonly latestMs: number;
  readonly cancel: Cancellation;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
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
  /** Ends the wait under way. Its answer, should one still come, is not looked at. */
  stopWait: () => void;
  readonly isNews: (answer: Answer) => boolean;
  readonly ask: AskWait;
}

export interface WatchOptions {
  /** Callers of one key; more wait upstream by themselves. */
  readonly maxCallers: number;
  readonly clock: Clock;
  readonly onShared: () => void;
}

export function createWatchFanOut({ maxCallers, clock, onShared }: WatchOptions): WatchFanOut {
  const groups = new Map<string, Group>();

  const run = async (key: string, group: Group): Promise<void> => {
    while (group.early.size > 0) {
      const { answer, error, isStopped } = await waitOnce(group, clock);
      if (!isStopped) {
        const served = takeServed(group, answer, clock.monotonicMs());
        if (answer !== undefined) giveOut(answer, served, group.ask, clock);
        else inSlices(served, (watcher) => watcher.reject(error), clock);
      }
      for (const watcher of group.late) group.early.add(watcher);
      group.late = new Set();
    }
    groups.delete(key);
  };

  return {
    watch: (key, waitMs, isNews, ask, cancel) => {
      const nowMs = clock.monotonicMs();
      const known = groups.get(key);
      if (known !== undefined && known.early.size + known.late.size >= maxCallers) return ask(waitMs, cancel);
      if (known !== undefined) {
        onShared();
        return join(known, known.late, nowMs, waitMs, cancel);
      }
      const group = newGroup(isNews, ask);
      groups.set(key, group);
      const answer = join(group, group.early, nowMs, waitMs, cancel);
      void run(key, group);
      return answer;
    },
  };
}

/** A function of its own, so that what stays in memory of each caller is this and nothing of how it asked. */
function join(
  group: Group,
  watchers: Set<Watcher>,
  nowMs: number,
  waitMs: number,
  cancel: Cancellation,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const latestMs = nowMs + longestWaitMs(waitMs);
    const watcher: Watcher = { dueMs: nowMs + waitMs, latestMs, cancel, resolve, reject };
    cancel.onCancel(() => {
      leave(group, watcher);
      reject(callerLeft());
    });
    watchers.add(watcher);
    // Whoever must be answered before the wait under way ends can't be made to wait for it: a shorter one takes
    // its place. From then on waits are as short as the shortest asked for, and those who wait longer span several.
    if (watchers === group.late && latestMs < group.endsMs) group.stopWait();
  });
}

function newGroup(isNews: (answer: Answer) => boolean, ask: AskWait): Group {
  return { early: new Set(), late: new Set(), endsMs: 0, stopWait: () => undefined, isNews, ask };
}

interface Outcome {
  readonly answer?: Answer;
  readonly error?: unknown;
  readonly isStopped: boolean;
}

/** One upstream wait, as long as the most impatient caller allows. */
function waitOnce(group: Group, clock: Clock): Promise<Outcome> {
  const nowMs = clock.monotonicMs();
  let dueMs = Number.POSITIVE_INFINITY;
  let latestMs = Number.POSITIVE_INFINITY;
  for (const watcher of group.early) {
    dueMs = Math.min(dueMs, watcher.dueMs);
    latestMs = Math.min(latestMs, watcher.latestMs);
  }
  // Anything between the two is right for the most impatient; the later, the more callers it serves.
  const waitMs = Math.max(1, dueMs - nowMs, (latestMs - nowMs) * (16 / 17));
  group.endsMs = nowMs + longestWaitMs(waitMs);
  return new Promise((settle) => {
    const stopper = openStopper();
    group.stopWait = () => {
      settle({ isStopped: true });
      stopper.stop();
    };
    group.ask(waitMs, stopper).then(
      (answer) => {
        if (stopper.isCancelled) discard(answer);
        settle({ answer, isStopped: false });
      },
      (error: unknown) => settle({ error, isStopped: false }),
    );
  });
}

function openStopper(): Cancellation & { stop(): void } {
  const listeners = new Set<() => void>();
  let isCancelled = false;
  return {
    get isCancelled() {
      return isCancelled;
    },
    onCancel: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: () => {
      isCancelled = true;
      for (const listener of [...listeners]) listener();
    },
  };
}

/**
 * Takes out whom an answer serves. News and errors are for everyone. An answer without news is for those whose wait is
 * over; when it came before anyone's was, the agent doesn't block on this, and asking again would go round in circles.
 */
function takeServed(group: Group, answer: Answer | undefined, nowMs: number): Watcher[] {
  const due: Watcher[] = [];
  if (answer !== undefined && !group.isNews(answer))
    for (const watcher of group.early) if (watcher.dueMs <= nowMs) due.push(watcher);
  if (due.length === 0 || due.length === group.early.size) {
    const all = [...group.early];
    group.early = new Set();
    return all;
  }
  for (const watcher of due) group.early.delete(watcher);
  return due;
}

/** A streamed answer has one reader; the other callers ask again, without a wait. */
function giveOut(answer: Answer, served: readonly Watcher[], ask: AskWait, clock: Clock): void {
  const [first] = served;
  if (isWhole(answer)) {
    inSlices(served, (watcher) => watcher.resolve(answer), clock);
    return;
  }
  if (first === undefined) discard(answer);
  else first.resolve(answer);
  const again = (watcher: Watcher) => ask(1, watcher.cancel).then(watcher.resolve, watcher.reject);
  inSlices(served.slice(1), again, clock);
}

function discard(answer: Answer): void {
  if (isWhole(answer)) return;
  // Nobody reads it; that its stream may have broken already tells nobody anything.
  answer.body.cancel().catch(() => undefined);
}

function leave(group: Group, watcher: Watcher): void {
  group.early.delete(watcher);
  group.late.delete(watcher);
  if (group.early.size === 0 && group.late.size === 0) group.stopWait();
}
