/**
 * Regular expressions whose running time is linear in the text, whatever the pattern: all alternatives are followed at
 * once (Thompson 1968) instead of one after the other. Patterns come from outside, so one that takes exponential time
 * would be a way to stop a server.
 */

import type { Assertion, CharacterSet, Pattern } from './pattern-syntax.ts';
import { PatternError, parsePattern } from './pattern-syntax.ts';

export { PatternError };

/** Patterns that need more steps, by nested counts such as `(a{1000}){1000}`, are refused. */
const MOST_STEPS = 20_000;

type Step =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  /** Goes on at both. */
  | { readonly kind: 'fork'; first: number; second: number }
  | { readonly kind: 'jump'; to: number }
  | { readonly kind: 'found' };

/**
 * @returns whether a text contains a match; anchors are the pattern's own
 * @throws PatternError in Go's words
 */
export function compilePattern(source: string): (text: string) => boolean {
  // Most patterns in practice are plain words.
  if (!/[\\^$.|?*+()[\]{}]/.test(source)) return (text) => text.includes(source);
  const steps: Step[] = [];
  emit(steps, parsePattern(source), source);
  steps.push({ kind: 'found' });
  return (text) => isFound(steps, text);
}

function emit(steps: Step[], pattern: Pattern, source: string): void {
  if (steps.length > MOST_STEPS) throw new PatternError('expression too large', source);
  switch (pattern.kind) {
    case 'set':
    case 'assertion':
      steps.push(pattern);
      return;
    case 'group':
      emit(steps, pattern.of, source);
      return;
    case 'sequence':
      for (const part of pattern.parts) emit(steps, part, source);
      return;
    case 'choice':
      emitChoice(steps, pattern.parts, source);
      return;
    case 'repeat':
      emitRepeat(steps, pattern, source);
      return;
    default:
      pattern satisfies never;
  }
}

function emitChoice(steps: Step[], parts: readonly Pattern[], source: string): void {
  const ends: { kind: 'jump'; to: number }[] = [];
  for (const [i, part] of parts.entries()) {
    const fork = { kind: 'fork' as const, first: steps.length + 1, second: 0 };
    const isLast = i === parts.length - 1;
    if (!isLast) steps.push(fork);
    emit(steps, part, source);
    if (isLast) break;
    const jump = { kind: 'jump' as const, to: 0 };
    steps.push(jump);
    ends.push(jump);
    fork.second = steps.length;
  }
  for (const end of ends) end.to = steps.length;
}

function emitRepeat(steps: Step[], { of, least, most }: Pattern & { kind: 'repeat' }, source: string): void {
  for (let i = 0; i < least; i++) {
    const before = steps.length;
    emit(steps, of, source);
    // Repeating nothing is nothing, but nested a few times over it would take for ever to write down.
    if (steps.length === before) break;
  }
  if (most === Number.POSITIVE_INFINITY) {
    const fork = { kind: 'fork' as const, first: steps.length + 1, second: 0 };
    const start = steps.length;
    steps.push(fork);
    emit(steps, of, source);
    steps.push({ kind: 'jump', to: start });
    fork.second = steps.length;
    return;
  }
  const forks: { kind: 'fork'; first: number; second: number }[] = [];
  for (let i = least; i < most; i++) {
    const fork = { kind: 'fork' as const, first: steps.length + 1, second: 0 };
    steps.push(fork);
    forks.push(fork);
    emit(steps, of, source);
  }
  for (const fork of forks) fork.second = steps.length;
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
    else if (holds(step.assertion, text, position)) pending.push(at + 1);
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
