/**
 * Judges whether recorded operations can be put in one order, key by key, that respects time and explains every answer:
 * Wing and Gong's search with Lowe's memory of what has been tried.
 *
 * Operations of unknown outcome may take their place anywhere after their start or nowhere. There can be many of them,
 * so the search goes deep in the known operations first and spends as few unknown ones as it can: a failed attempt
 * then rules out all that had spent the same and more.
 */

import type { Operation } from './history.ts';

/** What the operations act on, key by key. */
export interface Model<S, I, O> {
  initial(key: string): S;
  /** all states possible after the operation; empty when output cannot come from this state; output undefined = unknown */
  step(state: S, input: I, output: O | undefined): readonly S[];
  /** Equal for states that behave alike from now on. */
  stateKey(state: S): string;
  describe(op: Operation<I, O>): string;
}

export type Verdict =
  | { readonly verdict: 'linearizable' }
  | {
      readonly verdict: 'violation';
      readonly key: string;
      /** The longest order found, and the operations that can't come next in it. */
      readonly text: string;
    }
  /** The steps ran out before an order was found or ruled out. */
  | { readonly verdict: 'undecided'; readonly key: string };

export interface CheckOptions {
  /** How often the model may be asked for a step, for each key. Default: 5 million. */
  readonly maxSteps?: number;
}

const DEFAULT_MAX_STEPS = 5_000_000;
/**
 * How many known operations further an attempt must be to be preferred although it has spent one unknown operation more.
 * Low, and a wrong turn among known ones is followed into all combinations of unknown ones; high, and much is tried
 * again before the one that really happened is.
 */
const PRICE_OF_UNKNOWN = 8;
/** Lines of the order that a violation shows; earlier ones are counted. */
const SHOWN_OPERATIONS = 30;

/** A violation of one key counts more than doubt about another. */
export function checkLinearizable<S, I, O>(
  model: Model<S, I, O>,
  operations: readonly Operation<I, O>[],
  options: CheckOptions = {},
): Verdict {
  let doubt: Verdict | undefined;
  for (const [key, ofKey] of Map.groupBy(operations, (op) => op.key)) {
    const search = new Search(model, key, ofKey, options.maxSteps ?? DEFAULT_MAX_STEPS);
    const verdict = search.run();
    if (verdict.verdict === 'violation') return verdict;
    if (verdict.verdict === 'undecided') doubt ??= verdict;
  }
  return doubt ?? { verdict: 'linearizable' };
}

/**
 * An order of some operations, by the last of them and what came before. Known operations are numbered by their start:
 * all below `low` are in the order, and those in `ahead` (ascending, all above `low`).
 */
interface Attempt<S> {
  readonly state: S;
  readonly low: number;
  readonly ahead: readonly number[];
  /** Numbers of the unknown operations in the order, ascending. */
  readonly spent: readonly number[];
  readonly before: Attempt<S> | undefined;
  readonly last: { readonly isKnown: boolean; readonly at: number } | undefined;
}

/** Attempts wait first to be continued by known operations, then by unknown ones. */
interface Waiting<S> {
  readonly attempt: Attempt<S>;
  readonly next: 'known' | 'unknown';
}

/**
 * Invariant: every order of operations that respects time either begins with an attempt in `#waiting`, or was found
 * impossible, or behaves like one that was tried and had spent no unknown operation that this one has not.
 */
class Search<S, I, O> {
  readonly #model: Model<S, I, O>;
  readonly #key: string;
  readonly #known: readonly Operation<I, O>[];
  readonly #unknown: readonly Operation<I, O>[];
  /** Of each unknown operation, the one before it that asks for the same, -1 for none. Only in this order are they spent. */
  readonly #twins: readonly number[];
  /** By promise: known operations in the order, less the price of unknown ones. */
  readonly #waiting: Waiting<S>[][] = [];
  /** What was spent by attempts that were alike otherwise. */
  readonly #tried = new Map<string, (readonly number[])[]>();
  #best: Attempt<S>;
  #stepsLeft: number;

  constructor(model: Model<S, I, O>, key: string, operations: readonly Operation<I, O>[], maxSteps: number) {
    const byStart = operations.toSorted((a, b) => a.start - b.start);
    this.#model = model;
    this.#key = key;
    this.#known = byStart.filter(({ output }) => output !== undefined);
    this.#unknown = byStart.filter(({ output }) => output === undefined);
    this.#twins = twinsOf(this.#unknown);
    this.#stepsLeft = maxSteps;
    const state = model.initial(key);
    this.#best = { state, low: 0, ahead: [], spent: [], before: undefined, last: undefined };
  }

  run(): Verdict {
    this.#add(this.#best);
    for (let waiting = this.#take(); waiting !== undefined; waiting = this.#take()) {
      const { attempt, next } = waiting;
      if (attempt.low === this.#known.length) return { verdict: 'linearizable' };
      if (this.#stepsLeft <= 0) return { verdict: 'undecided', key: this.#key };
      if (next === 'known') {
        this.#continueWithKnown(attempt);
        this.#wait(attempt, 'unknown');
      } else this.#continueWithUnknown(attempt);
    }
    return { verdict: 'violation', key: this.#key, text: this.#explain() };
  }

  #continueWithKnown(attempt: Attempt<S>): void {
    const { followers } = this.#mayFollow(attempt);
    // The last one added is tried first: the one that ended first is the likeliest to have come first.
    const byEnd = followers.toSorted((a, b) => (this.#known[b]?.end ?? 0) - (this.#known[a]?.end ?? 0));
    for (const at of byEnd) {
      const op = this.#known[at];
      if (op === undefined) continue;
      const { low, ahead } = withKnown(attempt, at);
      for (const state of this.#step(attempt.state, op)) {
        this.#add({ state, low, ahead, spent: attempt.spent, before: attempt, last: { isKnown: true, at } });
      }
    }
  }

  #continueWithUnknown(attempt: Attempt<S>): void {
    const { low, ahead, spent } = attempt;
    const { until } = this.#mayFollow(attempt);
    const here = this.#model.stateKey(attempt.state);
    const isSpent = new Set(spent);
    this.#unknown.forEach((op, at) => {
      const twin = this.#twins[at] ?? -1;
      if (op.start > until || isSpent.has(at) || (twin >= 0 && !isSpent.has(twin))) return;
      for (const state of this.#step(attempt.state, op)) {
        // Without an effect it may as well never have happened.
        if (this.#model.stateKey(state) === here) continue;
        this.#add({
          state,
          low,
          ahead,
          spent: inserted(spent, at),
          before: attempt,
          last: { isKnown: false, at },
        });
      }
    });
  }

  /**
   * The known operations that may come next: none that is still to come had ended when they started. What starts later
   * than `until` can't come next.
   */
  #mayFollow({ low, ahead }: Attempt<S>): { readonly followers: readonly number[]; readonly until: number } {
    const followers: number[] = [];
    let until = Number.POSITIVE_INFINITY;
    let taken = 0;
    for (let at = low; ; at++) {
      const op = this.#known[at];
      if (op === undefined || op.start > until) break;
      if (ahead[taken] === at) taken++;
      else {
        followers.push(at);
        until = Math.min(until, op.end);
      }
    }
    return { followers, until };
  }

  #step(state: S, op: Operation<I, O>): readonly S[] {
    this.#stepsLeft--;
    return this.#model.step(state, op.input, op.output);
  }

  #add(attempt: Attempt<S>): void {
    const { state, low, ahead, spent } = attempt;
    const likeness = `${low} ${ahead.join()} ${this.#model.stateKey(state)}`;
    const tried = this.#tried.get(likeness);
    if (tried === undefined) this.#tried.set(likeness, [spent]);
    else if (tried.some((earlier) => isSubset(earlier, spent))) return;
    else this.#tried.set(likeness, [...tried.filter((earlier) => !isSubset(spent, earlier)), spent]);
    if (countKnown(attempt) > countKnown(this.#best)) this.#best = attempt;
    this.#wait(attempt, 'known');
  }

  #wait(attempt: Attempt<S>, next: Waiting<S>['next']): void {
    // Continuing with an unknown operation spends one more.
    const spends = attempt.spent.length + (next === 'unknown' ? 1 : 0);
    const promise = countKnown(attempt) + PRICE_OF_UNKNOWN * (this.#unknown.length - spends);
    this.#waiting[promise] ??= [];
    this.#waiting[promise]?.push({ attempt, next });
  }

  /** The most promising one, among these the newest. */
  #take(): Waiting<S> | undefined {
    for (; this.#waiting.length > 0; this.#waiting.pop()) {
      const newest = this.#waiting.at(-1)?.pop();
      if (newest !== undefined) return newest;
    }
    return undefined;
  }

  #explain(): string {
    const order: string[] = [];
    for (let each: Attempt<S> | undefined = this.#best; each?.last !== undefined; each = each.before) {
      order.push(this.#show(each.last.isKnown ? this.#known[each.last.at] : this.#unknown[each.last.at]));
    }
    order.reverse();
    const shown = order.slice(-SHOWN_OPERATIONS);
    const hidden = order.length - shown.length;
    const stuck = this.#mayFollow(this.#best).followers.map((at) => this.#show(this.#known[at]));
    return [
      `key ${JSON.stringify(this.#key)}: of ${this.#known.length} operations with an answer, at most ${countKnown(this.#best)} can be put in order:`,
      ...(hidden > 0 ? [`  … ${hidden} earlier`] : []),
      ...shown.map((line) => `  ${line}`),
      `after which the state is ${this.#model.stateKey(this.#best.state)}, and none of these can follow:`,
      ...stuck.map((line) => `  ${line}`),
    ].join('\n');
  }

  #show(op: Operation<I, O> | undefined): string {
    if (op === undefined) return '';
    const end = op.output === undefined ? 'unknown' : op.end;
    return `[${op.start} … ${end}] client ${op.client}: ${this.#model.describe(op)}`;
  }
}

function twinsOf<I, O>(operations: readonly Operation<I, O>[]): number[] {
  const latest = new Map<string, number>();
  return operations.map(({ input }, at) => {
    const text = JSON.stringify(input);
    const twin = latest.get(text) ?? -1;
    latest.set(text, at);
    return twin;
  });
}

function countKnown<S>({ low, ahead }: Attempt<S>): number {
  return low + ahead.length;
}

function withKnown<S>(attempt: Attempt<S>, at: number): Pick<Attempt<S>, 'low' | 'ahead'> {
  if (at !== attempt.low) return { low: attempt.low, ahead: inserted(attempt.ahead, at) };
  let low = at + 1;
  let taken = 0;
  while (attempt.ahead[taken] === low) {
    low++;
    taken++;
  }
  return { low, ahead: attempt.ahead.slice(taken) };
}

function inserted(ascending: readonly number[], item: number): readonly number[] {
  const at = ascending.findIndex((other) => other > item);
  return at === -1 ? [...ascending, item] : ascending.toSpliced(at, 0, item);
}

/** Both ascending. */
function isSubset(small: readonly number[], large: readonly number[]): boolean {
  if (small.length > large.length) return false;
  let at = 0;
  for (const item of large) if (item === small[at]) at++;
  return at === small.length;
}
