/** JSON text with Go's words for what is wrong with it. */

import { ConfigError } from './config-error.ts';
import { type KeyPosition, newPosition } from './key-positions.ts';

/** @throws ConfigError `unexpected end of JSON input`, `invalid character '}' looking for beginning of object key string`, … */
export function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    scan(text);
    throw new ConfigError('invalid JSON');
  }
}

/** Where its keys stand. @throws ConfigError as `parseJsonText` */
export function jsonKeyPositions(text: string): KeyPosition {
  return scan(text);
}

/** Walks the text as Go's scanner does. @throws ConfigError that names the first byte that does not fit */
function scan(text: string): KeyPosition {
  const scanner = new Scanner(text);
  const root = newPosition(0);
  scanner.value(root);
  scanner.blanks();
  scanner.end();
  return root;
}

const END = 'unexpected end of JSON input';
/** Deeper nesting is refused rather than overflowing the stack. */
const MAX_DEPTH = 1000;

/** Invariant: `#at` is the offset of the next unread character. */
class Scanner {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  blanks(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? '')) this.#at++;
  }

  end(): void {
    if (this.#at < this.#text.length) this.#fail('after top-level value');
  }

  value(into: KeyPosition): void {
    this.blanks();
    const first = this.#text[this.#at];
    if (first === undefined) this.#end();
    if (++this.#depth > MAX_DEPTH) throw new ConfigError('exceeded max depth', { offset: this.#at });
    if (first === '{') this.#object(into);
    else if (first === '[') this.#array(into);
    else if (first === '"') this.#string();
    else if (first === '-' || (first >= '0' && first <= '9')) this.#number();
    else if (first === 't') this.#literal('true');
    else if (first === 'f') this.#literal('false');
    else if (first === 'n') this.#literal('null');
    else this.#fail('looking for beginning of value');
    this.#depth--;
  }

  #object(into: KeyPosition): void {
    this.#at++;
    this.blanks();
    if (this.#take('}')) return;
    for (;;) {
      this.blanks();
      if (this.#peek() !== '"') this.#fail('looking for beginning of object key string');
      const start = this.#at;
      this.#string();
      const key: unknown = JSON.parse(this.#text.slice(start, this.#at));
      this.blanks();
      if (!this.#take(':')) this.#fail('after object key');
      const child = newPosition(start);
      into.children.set(String(key), child);
      this.value(child);
      this.blanks();
      if (this.#take('}')) return;
      if (!this.#take(',')) this.#fail('after object key:value pair');
    }
  }

  #array(into: KeyPosition): void {
    this.#at++;
    this.blanks();
    if (this.#take(']')) return;
    for (;;) {
      this.blanks();
      const child = newPosition(this.#at);
      into.children.set(String(into.children.size), child);
      this.value(child);
      this.blanks();
      if (this.#take(']')) return;
      if (!this.#take(',')) this.#fail('after array element');
    }
  }

  #string(): void {
    this.#at++;
    for (;;) {
      const char = this.#peek();
      if (char === '"') {
        this.#at++;
        return;
      }
      if (char < ' ') this.#fail('in string literal');
      this.#at++;
      if (char === '\\') this.#escape();
    }
  }

  #escape(): void {
    if (!'"\\/bfnrtu'.includes(this.#peek())) this.#fail('in string escape code');
    const isUnicode = this.#peek() === 'u';
    this.#at++;
    for (let i = 0; isUnicode && i < 4; i++) {
      if (!/[0-9a-fA-F]/.test(this.#peek())) this.#fail('in \\u hexadecimal character escape');
      this.#at++;
    }
  }

  #number(): void {
    const match = /^-?(?:0|[1-9]\d*)?(?:\.\d*)?(?:[eE][+-]?\d*)?/.exec(
      this.#text.slice(this.#at, this.#at + 400),
    );
    this.#at += match?.[0].length ?? 0;
    const last = this.#text[this.#at - 1] ?? '';
    if (last >= '0' && last <= '9') return;
    this.#fail(
      last === '.'
        ? 'after decimal point in numeric literal'
        : last === '-'
          ? 'in numeric literal'
          : 'in exponent of numeric literal',
    );
  }

  #literal(word: string): void {
    this.#at++;
    for (const expected of word.slice(1)) {
      if (this.#peek() !== expected) this.#fail(`in literal ${word} (expecting '${expected}')`);
      this.#at++;
    }
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  #peek(): string {
    const char = this.#text[this.#at];
    if (char === undefined) this.#end();
    return char;
  }

  #fail(where: string): never {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) this.#end();
    const char = String.fromCodePoint(code);
    const shown = char === "'" ? "'\\''" : char === '"' ? "'\"'" : `'${JSON.stringify(char).slice(1, -1)}'`;
    throw new ConfigError(`invalid character ${shown} ${where}`, { offset: this.#at });
  }

  #end(): never {
    throw new ConfigError(END, { offset: this.#at });
  }
}
