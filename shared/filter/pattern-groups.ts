/**
 * What the groups of a regular expression match, by Go's rule (leftmost, and of those the first choice), in time linear
 * in the text: all alternatives are followed at once in order of preference (Pike's machine; Cox 2009).
 */

import { holds, isInSet } from './pattern.ts';
import { compileSteps, type Step } from './pattern-program.ts';
import type { Pattern } from './pattern-syntax.ts';
import { parsePattern } from './pattern-syntax.ts';

/** Each step may cost a copy of all positions for each character, so fewer are allowed than for a plain match. */
const MOST_STEPS = 5000;

/**
 * @returns gives, for a text that matches, the whole match and then each group, '' for groups that took no part
 * @throws PatternError in Go's words
 */
export function compileGroups(source: string): (text: string) => readonly string[] | undefined {
  const whole: Pattern = { kind: 'group', number: 0, of: parsePattern(source) };
  const steps = compileSteps(whole, source, { saves: true, mostSteps: MOST_STEPS });
  const slots = Math.max(...steps.map((step) => (step.kind === 'save' ? step.slot + 1 : 0)));
  return (text) => {
    const positions = matchPositions(steps, slots, text);
    return positions === undefined ? undefined : slices(text, positions);
  };
}

function slices(text: string, positions: readonly number[]): string[] {
  const found: string[] = [];
  for (let slot = 0; slot < positions.length; slot += 2) {
    const start = positions[slot] ?? -1;
    const end = positions[slot + 1] ?? -1;
    found.push(start < 0 || end < 0 ? '' : text.slice(start, end));
  }
  return found;
}

/** A place in the pattern with what it took to get there: positions in the text by slot, −1 where there is none. */
interface Thread {
  readonly at: number;
  readonly positions: readonly number[];
}

/** Threads by falling preference; `mark` tells by the position in the text at which a step was added. */
interface Threads {
  list: Thread[];
  readonly mark: Int32Array;
}

function matchPositions(steps: readonly Step[], slots: number, text: string): readonly number[] | undefined {
  const none: readonly number[] = new Array(slots).fill(-1);
  let now: Threads = { list: [], mark: new Int32Array(steps.length).fill(-1) };
  let next: Threads = { list: [], mark: new Int32Array(steps.length).fill(-1) };
  let best: readonly number[] | undefined;
  for (let position = 0; ; ) {
    // A match may begin anywhere, but what begins later is less preferred than anything under way.
    if (best === undefined) follow(steps, now, { at: 0, positions: none }, text, position);
    const code = text.codePointAt(position);
    const after = position + (code !== undefined && code > 0xffff ? 2 : 1);
    next.list = [];
    for (const thread of now.list) {
      const step = steps[thread.at];
      if (step?.kind === 'found') {
        best = thread.positions;
        // All others are less preferred.
        break;
      }
      if (step?.kind === 'set' && code !== undefined && isInSet(step.set, code)) {
        follow(steps, next, { at: thread.at + 1, positions: thread.positions }, text, after);
      }
    }
    if (code === undefined || (best !== undefined && next.list.length === 0)) return best;
    [now, next] = [next, now];
    position = after;
  }
}

/** Adds a thread and all that it leads to without a character, in order of preference. */
function follow(
  steps: readonly Step[],
  threads: Threads,
  from: Thread,
  text: string,
  position: number,
): void {
  const pending = [from];
  for (let thread = pending.pop(); thread !== undefined; thread = pending.pop()) {
    const { at, positions } = thread;
    if (threads.mark[at] === position) continue;
    threads.mark[at] = position;
    const step = steps[at];
    switch (step?.kind) {
      case 'set':
      case 'found':
        threads.list.push(thread);
        break;
      case 'jump':
        pending.push({ at: step.to, positions });
        break;
      case 'fork':
        pending.push({ at: step.second, positions }, { at: step.first, positions });
        break;
      case 'save':
        pending.push({ at: at + 1, positions: positions.with(step.slot, position) });
        break;
      case 'assertion':
        if (holds(step.assertion, text, position)) pending.push({ at: at + 1, positions });
        break;
      default:
        throw new Error('pattern: a step beyond the end');
    }
  }
}
