/** Parses filter expressions: `ServiceTags contains eu and not (Meta.env == dev or ServicePort == 80)`. */

export type Operator =
  | 'Equal'
  | 'Not Equal'
  | 'Is Empty'
  | 'Is Not Empty'
  | 'In'
  | 'Not In'
  | 'Matches'
  | 'Not Matches';

export interface Match {
  readonly kind: 'match';
  readonly selector: readonly string[];
  readonly operator: Operator;
  /** '' for the emptiness operators. */
  readonly value: string;
}

export type Expression =
  | Match
  | { readonly kind: 'not'; readonly of: Expression }
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression };

/** `message` is Consul's: `1:6 (5): no match found, expected: …`. */
export class FilterSyntaxError extends Error {
  override readonly name = 'FilterSyntaxError';
}

/** Parentheses and `not`s within one another; more are refused so that the stack suffices. */
const DEEPEST_NESTING = 200;

/** @throws FilterSyntaxError */
export function parseFilter(text: string): Expression {
  const parser = new Parser(text);
  parser.blank();
  const expression = parser.or(0);
  parser.blank();
  if (expression === undefined || !parser.atEnd()) throw parser.noMatch();
  return expression;
}

/** Operators that need a value, with the form in which they are written. */
const VALUE_OPERATORS: readonly (readonly [words: readonly string[], operator: Operator])[] = [
  [['=='], 'Equal'],
  [['!='], 'Not Equal'],
  [['contains'], 'In'],
  [['not', 'contains'], 'Not In'],
  [['matches'], 'Matches'],
  [['not', 'matches'], 'Not Matches'],
];

/**
 * Methods return undefined, and leave the position where it was, when the text at it is something else. The farthest
 * position at which anything was looked for in vain is what a syntax error points at.
 */
class Parser {
  readonly #text: string;
  #at = 0;
  #farthest = 0;
  #expected = new Set<string>();

  constructor(text: string) {
    this.#text = text;
  }

  or(depth: number): Expression | undefined {
    return this.#chain('or', () => this.#and(depth));
  }

  blank(): boolean {
    const from = this.#at;
    while (this.#at < this.#text.length && ' \t\r\n'.includes(this.#text.charAt(this.#at))) this.#at++;
    if (this.#at === from) this.#missed('[ \\t\\r\\n]');
    return this.#at > from;
  }

  atEnd(): boolean {
    if (this.#at < this.#text.length) this.#missed('EOF');
    return this.#at >= this.#text.length;
  }

  noMatch(): FilterSyntaxError {
    const expected = [...this.#expected].sort();
    const last = expected.pop() ?? '';
    const list = expected.length === 0 ? last : `${expected.join(', ')} or ${last}`;
    return new FilterSyntaxError(`${this.#place(this.#farthest)}: no match found, expected: ${list}`);
  }

  #and(depth: number): Expression | undefined {
    return this.#chain('and', () => this.#not(depth));
  }

  /** Operands joined by a keyword, the tree leaning to the right; built in a loop so that long ones need no stack. */
  #chain(keyword: 'and' | 'or', operand: () => Expression | undefined): Expression | undefined {
    const first = operand();
    if (first === undefined) return undefined;
    const operands = [first];
    for (;;) {
      const from = this.#at;
      const next = this.#words(keyword) ? operand() : undefined;
      if (next === undefined) {
        this.#at = from;
        return operands.reduceRight((right, left) => ({ kind: keyword, left, right }));
      }
      operands.push(next);
    }
  }

  #not(depth: number): Expression | undefined {
    if (depth > DEEPEST_NESTING) throw this.#error(this.#at, 'expression', 'Nested too deeply');
    const from = this.#at;
    if (this.#literal('not') && this.blank()) {
      const of = this.#not(depth + 1);
      if (of !== undefined) return { kind: 'not', of };
    }
    this.#at = from;
    return this.#group(depth);
  }

  #group(depth: number): Expression | undefined {
    const from = this.#at;
    if (!this.#literal('(')) return this.#match();
    this.blank();
    const inner = this.or(depth + 1);
    if (inner !== undefined) {
      this.blank();
      if (!this.#literal(')')) throw this.#error(this.#at, 'grouping', 'Unmatched parentheses');
      return inner;
    }
    this.#at = from;
    return undefined;
  }

  #match(): Match | undefined {
    const from = this.#at;
    const selector = this.#selector();
    if (selector !== undefined) {
      const found = this.#selectorFirst(selector);
      if (found !== undefined) return found;
    }
    this.#at = from;
    return this.#valueFirst();
  }

  #selectorFirst(selector: readonly string[]): Match | undefined {
    const from = this.#at;
    for (const [words, operator] of VALUE_OPERATORS) {
      if (this.#operator(words)) {
        const value = this.#value();
        if (value !== undefined) return { kind: 'match', selector, operator, value };
      }
      this.#at = from;
    }
    if (this.#words('is', 'empty', '')) return { kind: 'match', selector, operator: 'Is Empty', value: '' };
    this.#at = from;
    if (this.#words('is', 'not', 'empty', '')) {
      return { kind: 'match', selector, operator: 'Is Not Empty', value: '' };
    }
    this.#at = from;
    return undefined;
  }

  #valueFirst(): Match | undefined {
    const from = this.#at;
    const value = this.#value();
    if (value === undefined) return undefined;
    const afterValue = this.#at;
    let operator: Operator | undefined = this.#words('in') ? 'In' : undefined;
    if (operator === undefined) {
      this.#at = afterValue;
      operator = this.#words('not', 'in') ? 'Not In' : undefined;
    }
    if (operator === undefined) {
      this.#at = from;
      return undefined;
    }
    const selector = this.#selector();
    if (selector === undefined) throw this.#error(this.#at, 'match', 'Invalid selector');
    return { kind: 'match', selector, operator, value };
  }

  /** Symbols may stand close to their sides, words need blanks around them. */
  #operator(words: readonly string[]): boolean {
    if (words[0] !== '==' && words[0] !== '!=') return this.#words(...words);
    this.blank();
    if (!this.#literal(words[0])) return false;
    this.blank();
    return true;
  }

  /** Each word after blanks, and blanks after the last; a last word '' means that none need follow. */
  #words(...words: readonly string[]): boolean {
    for (const word of words) {
      if (word === '') return true;
      if (!this.blank() || !this.#literal(word)) return false;
    }
    return this.blank();
  }

  #value(): string | undefined {
    const from = this.#at;
    if (this.#selector() !== undefined) return this.#text.slice(from, this.#at);
    return this.#number() ?? this.#string();
  }

  #selector(): string[] | undefined {
    const first = this.#identifier();
    if (first === undefined) return undefined;
    const path = [first];
    for (;;) {
      const next = this.#member() ?? this.#index();
      if (next === undefined) return path;
      path.push(next);
    }
  }

  #member(): string | undefined {
    const from = this.#at;
    const name = this.#literal('.') ? this.#identifier() : undefined;
    if (name === undefined) this.#at = from;
    return name;
  }

  #index(): string | undefined {
    if (!this.#literal('[')) return undefined;
    this.blank();
    const key = this.#string();
    if (key === undefined) throw this.#error(this.#at, 'index', 'Invalid index');
    this.blank();
    if (!this.#literal(']')) throw this.#error(this.#at, 'index', 'Unclosed index expression');
    return key;
  }

  #identifier(): string | undefined {
    const found = this.#pattern(/[A-Za-z][A-Za-z0-9_]*/y);
    if (found === undefined) this.#missed('[a-zA-Z]');
    else this.#missed('[a-zA-Z0-9_]');
    return found;
  }

  #number(): string | undefined {
    const found = this.#pattern(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?/y);
    if (found === undefined) {
      this.#missed('"-"');
      // A minus without its number: the number is what is missed.
      const sign = this.#text.charAt(this.#at) === '-' ? 1 : 0;
      this.#at += sign;
      this.#missed('"0"', '[1-9]');
      this.#at -= sign;
      return undefined;
    }
    const next = this.#text.charAt(this.#at);
    if (!' \t\r\n)'.includes(next)) throw this.#error(this.#at, 'number', 'Invalid number literal');
    return found;
  }

  #string(): string | undefined {
    const from = this.#at;
    const quote = this.#text.charAt(from);
    if (quote !== '"' && quote !== '`') {
      this.#missed('"\\""', '"`"');
      return undefined;
    }
    const end = this.#text.indexOf(quote, from + 1);
    if (end < 0) throw this.#error(this.#text.length, 'string', 'Unterminated string literal');
    this.#at = end + 1;
    const content = this.#text.slice(from + 1, end);
    const value = quote === '`' ? content.replaceAll('\r', '') : unescaped(content);
    if (value === undefined) throw this.#error(from, 'string', 'invalid syntax');
    return value;
  }

  #literal(text: string): boolean {
    if (this.#text.startsWith(text, this.#at)) {
      this.#at += text.length;
      return true;
    }
    this.#missed(JSON.stringify(text));
    return false;
  }

  #pattern(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #missed(...expected: readonly string[]): void {
    if (this.#at < this.#farthest) return;
    if (this.#at > this.#farthest) {
      this.#farthest = this.#at;
      this.#expected = new Set();
    }
    for (const item of expected) this.#expected.add(item);
  }

  #error(at: number, rule: string, problem: string): FilterSyntaxError {
    return new FilterSyntaxError(`${this.#place(at)}: rule "${rule}": ${problem}`);
  }

  /** Line, column in characters, and in parentheses the offset in bytes. A line break is column 0 of the next line. */
  #place(at: number): string {
    const lines = this.#text.slice(0, at + 1).split('\n');
    const line = lines.at(-1) ?? '';
    const column = lines.length > 1 && this.#text.charAt(at) === '\n' ? 0 : [...line].length;
    const isPastEnd = at >= this.#text.length;
    const offset = new TextEncoder().encode(this.#text.slice(0, at)).length;
    return `${lines.length}:${column + (isPastEnd ? 1 : 0)} (${offset})`;
  }
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

/** Go's double-quoted text without its quotes; undefined when it is none. */
function unescaped(content: string): string | undefined {
  if (content.includes('\n')) return undefined;
  if (!content.includes('\\')) return content;
  let value = '';
  let at = 0;
  const escapes = /\\(?:([abfnrtv\\])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
  while (at < content.length) {
    if (content.charAt(at) !== '\\') {
      value += content.charAt(at++);
      continue;
    }
    escapes.lastIndex = at;
    const found = escapes.exec(content);
    if (found === null) return undefined;
    const [whole, simple, hex, octal, short, long] = found;
    const code =
      octal === undefined ? Number.parseInt(hex ?? short ?? long ?? '0', 16) : Number.parseInt(octal, 8);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || (octal !== undefined && code > 0xff))
      return undefined;
    value += simple === undefined ? String.fromCodePoint(code) : (SIMPLE_ESCAPES[simple] ?? '');
    at += whole.length;
  }
  return value;
}
