/** Parses the first JSON value of a body into a tree, with the complaints of Go's scanner and numbers kept as text. */

/** A body that Go would refuse; `message` is Go's text. */
export class GoJsonError extends Error {
  override readonly name = 'GoJsonError';
}

/** A number as written: only the field it goes to knows whether it is an integer, and how large it may be. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** Members in the order written, a repeated key included: the later one wins when decoded. */
export class JsonObject {
  readonly keys: string[] = [];
  readonly values: JsonNode[] = [];
}

export type JsonNode = null | boolean | string | JsonNumber | JsonNode[] | JsonObject;

/** Far above any real definition, far below what the stack holds. */
const MAX_DEPTH = 500;

/** @throws GoJsonError `EOF` for a blank body, `unexpected EOF` for a cut one, `invalid character …` otherwise */
export function parseFirstJson(body: Uint8Array): JsonNode {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  return new Parser(text).first();
}

const LITERALS: Readonly<Record<string, readonly [word: string, value: boolean | null]>> = {
  t: ['true', true],
  f: ['false', false],
  n: ['null', null],
};

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  first(): JsonNode {
    this.#skipBlanks();
    if (this.#at >= this.#text.length) throw new GoJsonError('EOF');
    return this.#value();
  }

  #value(): JsonNode {
    this.#skipBlanks();
    const c = this.#text[this.#at];
    if (c === '{') return this.#nested(() => this.#object());
    if (c === '[') return this.#nested(() => this.#array());
    if (c === '"') return this.#string();
    if (c === '-' || isDigit(c)) return this.#number();
    const literal = c === undefined ? undefined : LITERALS[c];
    if (literal === undefined) throw this.#unexpected('looking for beginning of value');
    return this.#literal(literal[0], literal[1]);
  }

  #nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new GoJsonError('exceeded max depth');
    const value = parse();
    this.#depth--;
    return value;
  }

  #object(): JsonObject {
    const object = new JsonObject();
    this.#at++;
    this.#skipBlanks();
    if (this.#take('}')) return object;
    for (;;) {
      this.#skipBlanks();
      if (this.#text[this.#at] !== '"') throw this.#unexpected('looking for beginning of object key string');
      object.keys.push(this.#string());
      this.#skipBlanks();
      if (!this.#take(':')) throw this.#unexpected('after object key');
      object.values.push(this.#value());
      this.#skipBlanks();
      if (this.#take('}')) return object;
      if (!this.#take(',')) throw this.#unexpected('after object key:value pair');
    }
  }

  #array(): JsonNode[] {
    const items: JsonNode[] = [];
    this.#at++;
    this.#skipBlanks();
    if (this.#take(']')) return items;
    for (;;) {
      items.push(this.#value());
      this.#skipBlanks();
      if (this.#take(']')) return items;
      if (!this.#take(',')) throw this.#unexpected('after array element');
    }
  }

  #literal(word: string, value: boolean | null): boolean | null {
    for (let i = 0; i < word.length; i++, this.#at++) {
      if (this.#text[this.#at] !== word[i])
        throw this.#unexpected(`in literal ${word} (expecting '${word[i]}')`);
    }
    return value;
  }

  #number(): JsonNumber {
    const start = this.#at;
    if (this.#take('-') && !isDigit(this.#text[this.#at])) throw this.#unexpected('in numeric literal');
    if (!this.#take('0')) this.#digits();
    if (this.#take('.')) {
      if (!isDigit(this.#text[this.#at])) throw this.#unexpected('after decimal point in numeric literal');
      this.#digits();
    }
    if (this.#take('e') || this.#take('E')) {
      if (!this.#take('+')) this.#take('-');
      if (!isDigit(this.#text[this.#at])) throw this.#unexpected('in exponent of numeric literal');
      this.#digits();
    }
    return new JsonNumber(this.#text.slice(start, this.#at));
  }

  #digits(): void {
    while (isDigit(this.#text[this.#at])) this.#at++;
  }

  #string(): string {
    let start = ++this.#at;
    let value = '';
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === QUOTE) {
        value += this.#text.slice(start, this.#at++);
        return value.toWellFormed();
      }
      if (code === BACKSLASH) {
        value += this.#text.slice(start, this.#at++) + this.#escape();
        start = this.#at;
      } else if (Number.isNaN(code) || code < BLANK) {
        throw this.#unexpected('in string literal');
      } else {
        this.#at++;
      }
    }
  }

  /** Stands behind the backslash. */
  #escape(): string {
    const c = this.#text[this.#at];
    if (c === 'u') {
      this.#at++;
      return this.#hexEscape();
    }
    const simple = c === undefined ? undefined : ESCAPES[c];
    if (simple === undefined) throw this.#unexpected('in string escape code');
    this.#at++;
    return simple;
  }

  #hexEscape(): string {
    const start = this.#at;
    for (; this.#at < start + 4; this.#at++) {
      if (!/[0-9a-fA-F]/.test(this.#text[this.#at] ?? ''))
        throw this.#unexpected('in \\u hexadecimal character escape');
    }
    return String.fromCharCode(Number.parseInt(this.#text.slice(start, this.#at), 16));
  }

  #take(c: string): boolean {
    if (this.#text[this.#at] !== c) return false;
    this.#at++;
    return true;
  }

  #skipBlanks(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== BLANK && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #unexpected(where: string): GoJsonError {
    const code = this.#text.codePointAt(this.#at);
    if (code === undefined) return new GoJsonError('unexpected EOF');
    return new GoJsonError(`invalid character ${quoteCharacter(code)} ${where}`);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const BLANK = 0x20;

const NAMED_CONTROLS: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  92: '\\\\',
};

/** Go looks at bytes: of a character above ASCII it names the first byte, taken as Latin-1. */
function quoteCharacter(codePoint: number): string {
  if (codePoint === 0x27) return "'\\''";
  const named = NAMED_CONTROLS[codePoint];
  if (named !== undefined) return `'${named}'`;
  if (codePoint < 0x20 || codePoint === 0x7f) return `'\\x${codePoint.toString(16).padStart(2, '0')}'`;
  const first = Buffer.from(String.fromCodePoint(codePoint), 'utf8')[0] ?? codePoint;
  return `'${String.fromCharCode(first)}'`;
}

function isDigit(c: string | undefined): boolean {
  return c !== undefined && c >= '0' && c <= '9';
}
