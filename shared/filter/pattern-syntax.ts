/** Parses regular expressions in RE2's syntax, which is what Go, and so Consul, understands. */

/** Ranges of code points, each low and high end inclusive, ascending or not. */
export interface CharacterSet {
  readonly ranges: readonly (readonly [low: number, high: number])[];
  readonly isNegated: boolean;
  readonly ignoresCase: boolean;
}

export type Assertion = 'text-start' | 'text-end' | 'line-start' | 'line-end' | 'word' | 'not-word';

export type Pattern =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  | { readonly kind: 'sequence' | 'choice'; readonly parts: readonly Pattern[] }
  /** `number` counts opening parentheses from 1. */
  | { readonly kind: 'group'; readonly number: number; readonly of: Pattern }
  /** `most` is Infinity without an upper bound. Laziness decides only which match is found, not whether there is one. */
  | {
      readonly kind: 'repeat';
      readonly of: Pattern;
      readonly least: number;
      readonly most: number;
      readonly isLazy: boolean;
    };

/** `message` is Go's, without `error parsing regexp: `. */
export class PatternError extends Error {
  override readonly name = 'PatternError';

  constructor(problem: string, where: string) {
    super(`${problem}: \`${where}\``);
  }
}

const MOST_REPEATS = 1000;
const DEEPEST_NESTING = 200;

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
}

type Ranges = readonly (readonly [number, number])[];

const MAX_CODE = 0x10ffff;
const DIGIT: Ranges = [[0x30, 0x39]];
const WORD: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const SPACE: Ranges = [
  [0x09, 0x0a],
  [0x0c, 0x0d],
  [0x20, 0x20],
];

const NAMED_CLASSES: ReadonlyMap<string, Ranges> = new Map<string, Ranges>([
  ['alnum', [...DIGIT, [0x41, 0x5a], [0x61, 0x7a]]],
  [
    'alpha',
    [
      [0x41, 0x5a],
      [0x61, 0x7a],
    ],
  ],
  ['ascii', [[0, 0x7f]]],
  [
    'blank',
    [
      [0x09, 0x09],
      [0x20, 0x20],
    ],
  ],
  [
    'cntrl',
    [
      [0, 0x1f],
      [0x7f, 0x7f],
    ],
  ],
  ['digit', DIGIT],
  ['graph', [[0x21, 0x7e]]],
  ['lower', [[0x61, 0x7a]]],
  ['print', [[0x20, 0x7e]]],
  [
    'punct',
    [
      [0x21, 0x2f],
      [0x3a, 0x40],
      [0x5b, 0x60],
      [0x7b, 0x7e],
    ],
  ],
  [
    'space',
    [
      [0x09, 0x0d],
      [0x20, 0x20],
    ],
  ],
  ['upper', [[0x41, 0x5a]]],
  ['word', WORD],
  ['xdigit', [...DIGIT, [0x41, 0x46], [0x61, 0x66]]],
]);

const ESCAPED_CONTROLS: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };

/** Classes by Unicode property (`\pL`) are not supported. @throws PatternError */
export function parsePattern(text: string): Pattern {
  const parser = new Parser(text);
  const pattern = parser.choice({ i: false, m: false, s: false }, 0);
  if (!parser.atEnd()) throw new PatternError('unexpected )', text);
  return pattern;
}

class Parser {
  readonly #text: string;
  readonly #characters: readonly string[];
  #at = 0;
  #groups = 0;

  constructor(text: string) {
    this.#text = text;
    this.#characters = [...text];
  }

  atEnd(): boolean {
    return this.#at >= this.#characters.length;
  }

  choice(outer: Flags, depth: number): Pattern {
    if (depth > DEEPEST_NESTING) throw new PatternError('expression nests too deeply', this.#text);
    // A group of flags alone holds for the rest of the group around it, over alternatives too.
    const flags = { current: outer };
    const parts = [this.#sequence(flags, depth)];
    while (this.#take('|')) parts.push(this.#sequence(flags, depth));
    return parts.length === 1 ? (parts[0] as Pattern) : { kind: 'choice', parts };
  }

  #sequence(flags: { current: Flags }, depth: number): Pattern {
    const parts: Pattern[] = [];
    while (!this.atEnd() && !this.#sees('|') && !this.#sees(')')) {
      if (this.#sees('(?') && this.#setsFlags(flags)) continue;
      parts.push(this.#repeated(this.#atom(flags.current, depth)));
    }
    return { kind: 'sequence', parts };
  }

  #repeated(atom: Pattern): Pattern {
    const from = this.#at;
    const bounds = this.#repeat();
    if (bounds === undefined) return atom;
    const isLazy = this.#take('?');
    const afterFirst = this.#at;
    if (this.#repeat() !== undefined) {
      throw new PatternError(
        'invalid nested repetition operator',
        this.#slice(from, Math.max(this.#at, afterFirst)),
      );
    }
    return { kind: 'repeat', of: atom, least: bounds[0], most: bounds[1], isLazy };
  }

  #repeat(): readonly [number, number] | undefined {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#take('?')) return [0, 1];
    const found = /^\{([0-9]{1,9})(,([0-9]{0,9}))?\}/.exec(
      this.#characters.slice(this.#at, this.#at + 24).join(''),
    );
    if (found === null) return undefined;
    const [whole, low, comma, high] = found;
    const least = Number(low);
    const most = comma === undefined ? least : high === '' ? Number.POSITIVE_INFINITY : Number(high);
    const isTooMuch = least > MOST_REPEATS || (most > MOST_REPEATS && most !== Number.POSITIVE_INFINITY);
    if (isTooMuch || most < least) throw new PatternError('invalid repeat count', whole);
    this.#at += whole.length;
    return [least, most];
  }

  #atom(flags: Flags, depth: number): Pattern {
    const from = this.#at;
    const character = this.#next();
    switch (character) {
      case '(':
        return this.#group(flags, depth);
      case '[':
        return setOf(this.#bracketed(from), flags);
      case '.':
        return setOf({ ranges: flags.s ? [] : [[0x0a, 0x0a]], isNegated: true }, flags);
      case '^':
        return { kind: 'assertion', assertion: flags.m ? 'line-start' : 'text-start' };
      case '$':
        return { kind: 'assertion', assertion: flags.m ? 'line-end' : 'text-end' };
      case '\\':
        return this.#escapedAtom(from, flags);
      case '*':
      case '+':
      case '?':
        throw new PatternError('missing argument to repetition operator', character);
      default:
        return setOf(only(codeOf(character)), flags);
    }
  }

  #group(flags: Flags, depth: number): Pattern {
    // Only flags and a colon make a group that is not counted; a name means nothing here.
    const inner = this.#take('?') ? this.#groupFlags(flags) : undefined;
    const number = inner === undefined ? ++this.#groups : 0;
    const pattern = this.choice(inner ?? flags, depth + 1);
    if (!this.#take(')')) throw new PatternError('missing closing )', this.#text);
    return number === 0 ? pattern : { kind: 'group', number, of: pattern };
  }

  /** After `(?`: flags and a colon, or a name; then undefined. */
  #groupFlags(flags: Flags): Flags | undefined {
    const rest = this.#characters.slice(this.#at).join('');
    const name = /^P<([A-Za-z0-9_]+)>/.exec(rest)?.[0];
    if (name !== undefined) {
      this.#at += [...name].length;
      return undefined;
    }
    const written = /^([imsU]*)(?:-([imsU]+))?:/.exec(rest);
    if (written === null) throw this.#unsupported(rest);
    this.#at += written[0].length;
    return withFlags(flags, written[1] ?? '', written[2] ?? '');
  }

  /** `(?i)` and the like. */
  #setsFlags(flags: { current: Flags }): boolean {
    const written = /^\(\?([imsU]*)(?:-([imsU]+))?\)/.exec(
      this.#characters.slice(this.#at, this.#at + 40).join(''),
    );
    if (written === null || written[0] === '(?)') return false;
    this.#at += written[0].length;
    flags.current = withFlags(flags.current, written[1] ?? '', written[2] ?? '');
    return true;
  }

  #unsupported(rest: string): PatternError {
    const shown = /^P?[<=!]?[^:)]?/.exec(rest)?.[0] ?? '';
    return new PatternError('invalid or unsupported Perl syntax', `(?${shown.slice(0, 2)}`);
  }

  #escapedAtom(from: number, flags: Flags): Pattern {
    if (this.atEnd()) throw new PatternError('trailing backslash at end of expression', '');
    if (this.#take('A')) return { kind: 'assertion', assertion: 'text-start' };
    if (this.#take('z')) return { kind: 'assertion', assertion: 'text-end' };
    if (this.#take('b')) return { kind: 'assertion', assertion: 'word' };
    if (this.#take('B')) return { kind: 'assertion', assertion: 'not-word' };
    return setOf(this.#escapedSet() ?? only(this.#escapedCode(from)), flags);
  }

  /** `\d` and its kin; undefined for any other escape. */
  #escapedSet(): { ranges: Ranges; isNegated: boolean } | undefined {
    for (const [letter, ranges] of [
      ['d', DIGIT],
      ['w', WORD],
      ['s', SPACE],
    ] as const) {
      if (this.#take(letter)) return { ranges, isNegated: false };
      if (this.#take(letter.toUpperCase())) return { ranges, isNegated: true };
    }
    return undefined;
  }

  #escapedCode(from: number): number {
    const character = this.#next();
    const control = ESCAPED_CONTROLS[character];
    if (control !== undefined) return control;
    if (character === 'x') return this.#hexCode(from);
    if (character === '0') {
      let code = 0;
      for (let digits = 0; digits < 2 && /^[0-7]$/.test(this.#peek()); digits++)
        code = code * 8 + Number(this.#next());
      return code;
    }
    if (/^[\p{P}\p{S}]$/u.test(character) && codeOf(character) < 0x80) return codeOf(character);
    throw new PatternError('invalid escape sequence', this.#slice(from, this.#at));
  }

  #hexCode(from: number): number {
    const rest = this.#characters.slice(this.#at, this.#at + 12).join('');
    const found = /^(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,8})\})/.exec(rest);
    const code = Number.parseInt(found?.[1] ?? found?.[2] ?? '', 16);
    if (found === null || code > MAX_CODE) {
      throw new PatternError('invalid escape sequence', this.#slice(from, this.#at + 1));
    }
    this.#at += found[0].length;
    return code;
  }

  /** After `[`. */
  #bracketed(from: number): { ranges: Ranges; isNegated: boolean } {
    const isNegated = this.#take('^');
    const ranges: (readonly [number, number])[] = [];
    for (let isFirst = true; isFirst || !this.#sees(']'); isFirst = false) {
      if (this.atEnd()) throw new PatternError('missing closing ]', this.#slice(from));
      ranges.push(...this.#classItem(from));
    }
    this.#next();
    return { ranges, isNegated };
  }

  #classItem(open: number): Ranges {
    if (this.#sees('[:')) {
      const found = /^\[:(\^?)([a-z]*):\]/.exec(this.#characters.slice(this.#at, this.#at + 12).join(''));
      if (found !== null) {
        const ranges = NAMED_CLASSES.get(found[2] ?? '');
        if (ranges === undefined) throw new PatternError('invalid character class range', found[0]);
        this.#at += found[0].length;
        return found[1] === '^' ? complement(ranges) : ranges;
      }
    }
    if (this.#sees('\\')) {
      this.#at++;
      const set = this.#escapedSet();
      if (set !== undefined) return set.isNegated ? complement(set.ranges) : set.ranges;
      this.#at--;
    }
    const from = this.#at;
    const low = this.#classCode(open);
    if (!this.#sees('-') || this.#characters[this.#at + 1] === ']') return [[low, low]];
    this.#next();
    const high = this.#classCode(open);
    if (high < low) throw new PatternError('invalid character class range', this.#slice(from, this.#at));
    return [[low, high]];
  }

  #classCode(open: number): number {
    if (this.atEnd()) throw new PatternError('missing closing ]', this.#slice(open));
    const from = this.#at;
    const character = this.#next();
    if (character !== '\\') return codeOf(character);
    if (this.atEnd()) throw new PatternError('missing closing ]', this.#slice(open));
    return this.#escapedCode(from);
  }

  #peek(): string {
    return this.#characters[this.#at] ?? '';
  }

  #next(): string {
    return this.#characters[this.#at++] ?? '';
  }

  #sees(text: string): boolean {
    return [...text].every((character, i) => this.#characters[this.#at + i] === character);
  }

  #take(character: string): boolean {
    if (this.#peek() !== character || this.atEnd()) return false;
    this.#at++;
    return true;
  }

  #slice(from: number, to?: number): string {
    return this.#characters.slice(from, to).join('');
  }
}

function setOf(set: { ranges: Ranges; isNegated: boolean }, flags: Flags): Pattern {
  return { kind: 'set', set: { ...set, ignoresCase: flags.i } };
}

function only(code: number): { ranges: Ranges; isNegated: boolean } {
  return { ranges: [[code, code]], isNegated: false };
}

function withFlags(flags: Flags, on: string, off: string): Flags {
  const has = (flag: 'i' | 'm' | 's') => (flags[flag] || on.includes(flag)) && !off.includes(flag);
  return { i: has('i'), m: has('m'), s: has('s') };
}

function complement(ranges: Ranges): Ranges {
  const gaps: (readonly [number, number])[] = [];
  let next = 0;
  for (const [low, high] of [...ranges].sort(([a], [b]) => a - b)) {
    if (low > next) gaps.push([next, low - 1]);
    next = Math.max(next, high + 1);
  }
  return next <= MAX_CODE ? [...gaps, [next, MAX_CODE]] : gaps;
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}
