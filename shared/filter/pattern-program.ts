/** A regular expression as steps for a machine that follows all alternatives at once (Thompson 1968, Pike; Cox 2009). */

import type { Assertion, CharacterSet, Pattern } from './pattern-syntax.ts';
import { PatternError } from './pattern-syntax.ts';

export type Step =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  /** Goes on at both, `first` preferred. */
  | { readonly kind: 'fork'; first: number; second: number }
  | { readonly kind: 'jump'; to: number }
  /** Notes the position in the text: of group n, slot 2n is the beginning and 2n + 1 the end. */
  | { readonly kind: 'save'; readonly slot: number }
  | { readonly kind: 'found' };

export interface ProgramOptions {
  /** Whether groups are noted. */
  readonly saves: boolean;
  /** Larger patterns, by nested counts such as `(a{1000}){1000}`, are refused. */
  readonly mostSteps: number;
}

/** @throws PatternError `expression too large` */
export function compileSteps(pattern: Pattern, source: string, options: ProgramOptions): Step[] {
  const steps: Step[] = [];
  const emitter = { steps, source, ...options };
  emit(emitter, pattern);
  steps.push({ kind: 'found' });
  return steps;
}

interface Emitter extends ProgramOptions {
  readonly steps: Step[];
  readonly source: string;
}

function emit(emitter: Emitter, pattern: Pattern): void {
  const { steps, source, saves, mostSteps } = emitter;
  if (steps.length > mostSteps) throw new PatternError('expression too large', source);
  switch (pattern.kind) {
    case 'set':
    case 'assertion':
      steps.push(pattern);
      return;
    case 'group':
      if (saves) steps.push({ kind: 'save', slot: 2 * pattern.number });
      emit(emitter, pattern.of);
      if (saves) steps.push({ kind: 'save', slot: 2 * pattern.number + 1 });
      return;
    case 'sequence':
      for (const part of pattern.parts) emit(emitter, part);
      return;
    case 'choice':
      emitChoice(emitter, pattern.parts);
      return;
    case 'repeat':
      emitRepeat(emitter, pattern);
      return;
    default:
      pattern satisfies never;
  }
}

function emitChoice(emitter: Emitter, parts: readonly Pattern[]): void {
  const { steps } = emitter;
  const ends: { kind: 'jump'; to: number }[] = [];
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1) {
      emit(emitter, part);
      break;
    }
    const fork = { kind: 'fork' as const, first: steps.length + 1, second: 0 };
    steps.push(fork);
    emit(emitter, part);
    const jump = { kind: 'jump' as const, to: 0 };
    steps.push(jump);
    ends.push(jump);
    fork.second = steps.length;
  }
  for (const end of ends) end.to = steps.length;
}

function emitRepeat(emitter: Emitter, pattern: Pattern & { kind: 'repeat' }): void {
  const { steps } = emitter;
  const { of, least, most, isLazy } = pattern;
  for (let i = 0; i < least; i++) {
    const before = steps.length;
    emit(emitter, of);
    // Repeating nothing is nothing, but nested a few times over it would take for ever to write down.
    if (steps.length === before) break;
  }
  const isUnbounded = most === Number.POSITIVE_INFINITY;
  const skips: { enter: number; fork: { first: number; second: number } }[] = [];
  const rounds = isUnbounded ? 1 : most - least;
  for (let i = 0; i < rounds; i++) {
    const start = steps.length;
    const fork = { kind: 'fork' as const, first: 0, second: 0 };
    steps.push(fork);
    skips.push({ enter: start + 1, fork });
    emit(emitter, of);
    if (isUnbounded) steps.push({ kind: 'jump', to: start });
  }
  for (const { enter, fork } of skips) {
    fork.first = isLazy ? steps.length : enter;
    fork.second = isLazy ? enter : steps.length;
  }
}
