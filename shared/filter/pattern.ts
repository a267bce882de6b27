/**
 * Regular expressions whose running time is linear in the text, whatever the pattern: all alternatives are followed at
 * once (Thompson 1968) instead of one after the other. Patterns come from outside, so one that takes exponential time
 * would be a way to stop a server.
 */

import { compileSteps, type Step } from './pattern-program.ts';
import type { Assertion, CharacterSet } from './pattern-syntax.ts';
import { PatternError, parsePattern } from './pattern-syntax.ts';

export { PatternError };

/** Patterns that need more steps, by nested counts such as `(a{1000}){1000}`, are refused. */
const MOST_STEPS = 20_000;

/**
 * @returns whether a text contains a match; anchors are the pattern's own
 * @throws PatternError in Go's words
 */
export function compilePattern(source: string): (text: string) => boolean {
  // Most patterns in practice are plain words.
  if (!/[\\^$.|?*+()[\]{}]/.test(source)) return (text) => text.includes(source);
  const steps = compileSteps(parsePattern(source), source, { saves: false, mostSteps: MOST_STEPS });
  return (text) => isFound(steps, text);
}

/** Steps that wait for the next character, each once: `mark` tells by the position at which a step was added. */
interface Threads {
  readonly at: number[];
  readonly mark: Int32Array;
}

function isFound(steps: readonly Step[], text: string): boolean {
  let now: Threads = { at: [], mark: new Int32Array(steps.length).fill(-1) };
  let next: Threads = { at: [], mark: new Int32Array(steps.length).fill(-1) };
  for (let position = 0; ; ) {
    // A match may begin anywhere.
    if (follow(steps, now, 0, text, position)) return true;
    const code = text.codePointAt(position);
    if (code === undefined) return false;
    const after = position + (code > 0xffff ? 2 : 1);
    next.at.length = 0;
    for (const at of now.at) {
      const step = steps[at];
      if (step?.kind === 'set' && isInSet(step.set, code) && follow(steps, next, at + 1, text, after))
        return true;
    }
    [now, next] = [next, now];
    position = after;
  }
}

/** Adds a step and all that it leads to without a character. @returns whether that includes the end of the pattern */
function follow(
  steps: readonly Step[],
  threads: Threads,
  from: number,
  text: string,
  position: number,
): boolean {
  const pending = [from];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    if (threads.mark[at] === position) continue;
    threads.mark[at] = position;
    const step = steps[at];
    if (step === undefined) throw new Error('pattern: a step beyond the end');
    if (step.kind === 'found') return true;
    if (step.kind === 'set') threads.at.push(at);
    else if (step.kind === 'jump') pending.push(step.to);
    else if (step.kind === 'fork') pending.push(step.second, step.first);
    else if (step.kind === 'save' || holds(step.assertion, text, position)) pending.push(at + 1);
  }
  return false;
}

export function holds(assertion: Assertion, text: string, position: number): boolean {
  switch (assertion) {
    case 'text-start':
      return position === 0;
    case 'text-end':
      return position === text.length;
    case 'line-start':
      return position === 0 || text[position - 1] === '\n';
    case 'line-end':
      return position === text.length || text[position] === '\n';
    case 'word':
      return isWord(text[position - 1]) !== isWord(text[position]);
    case 'not-word':
      return isWord(text[position - 1]) === isWord(text[position]);
    default:
      return assertion satisfies never;
  }
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /^[0-9A-Za-z_]$/.test(character);
}

export function isInSet(set: CharacterSet, code: number): boolean {
  let isListed = isInRanges(set, code);
  if (!isListed && set.ignoresCase) {
    const character = String.fromCodePoint(code);
    isListed = [character.toLowerCase(), character.toUpperCase()].some((other) =>
      isInRanges(set, other.codePointAt(0) ?? code),
    );
  }
  return isListed !== set.isNegated;
}

function isInRanges({ ranges }: CharacterSet, code: number): boolean {
  for (const [low, high] of ranges) if (code >= low && code <= high) return true;
  return false;
}
