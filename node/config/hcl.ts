/**
 * A reader for HCL 1, as far as agent files go: `key = value`, nested blocks (labelled ones too), lists, maps,
 * strings with escapes, heredocs, numbers, booleans, and `#`, `//` and block comments.
 */

import { ConfigError } from './config-error.ts';
import { addRepeatable, type KeyPosition, lineColumn, newPosition } from './key-positions.ts';

type HclValue = string | number | boolean | HclValue[] | { [key: string]: HclValue };
type HclObject = { [key: string]: HclValue };

/** Deeper nesting is refused rather than overflowing the stack. */
const MAX_DEPTH = 100;

/**
 * Repeated blocks of one name become a list.
 * @throws ConfigError `At 3:7: expected …`
 */
export function parseHcl(text: string): unknown {
  return new Reader(text).body(undefined, 0, newPosition(0));
}

/** Where its keys stand. @throws ConfigError as `parseHcl` */
export function hclKeyPositions(text: string): KeyPosition {
  const root = newPosition(0);
  new Reader(text).body(undefined, 0, root);
  return root;
}

/** Invariant: `#at` is the offset of the next unread character; blanks and comments before a token are skipped lazily. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Items up to `close`, or to the end of the text when undefined. */
  body(close: '}' | undefined, depth: number, into: KeyPosition): HclObject {
    if (depth > MAX_DEPTH) this.#fail('nesting is too deep');
    const items: HclObject = {};
    for (;;) {
      this.#skip();
      while (this.#peek() === ',') {
        this.#at++;
        this.#skip();
      }
      const next = this.#peek();
      if (next === close) {
        if (close !== undefined) this.#at++;
        return items;
      }
      if (next === undefined) this.#fail(`object expected closing RBRACE got: EOF`);
      this.#item(items, depth, into);
    }
  }

  #item(items: HclObject, depth: number, into: KeyPosition): void {
    const offset = this.#at;
    const key = this.#key();
    this.#skip();
    if (this.#peek() === '=') {
      this.#at++;
      const child = newPosition(offset);
      into.children.set(key, child);
      add(items, key, this.#value(depth, child), false);
      return;
    }
    const labels: string[] = [];
    let child = newPosition(offset);
    addRepeatable(into, key, child);
    while (this.#peek() === '"' || isIdentStart(this.#peek())) {
      const labelled = newPosition(this.#at);
      const label = this.#key();
      labels.push(label);
      child.children.set(label, labelled);
      child = labelled;
      this.#skip();
    }
    if (this.#peek() !== '{') this.#fail(`key '${key}' expected start of object ('{') or assignment ('=')`);
    this.#at++;
    let value: HclValue = this.body('}', depth + 1, child);
    for (const label of labels.reverse()) value = { [label]: value };
    add(items, key, value, true);
  }

  #key(): string {
    this.#skip();
    if (this.#peek() === '"') return this.#string();
    const word = /^[A-Za-z_][\w.-]*/.exec(this.#text.slice(this.#at, this.#at + 256))?.[0];
    if (word === undefined) this.#fail(`illegal character ${JSON.stringify(this.#peek() ?? 'EOF')}`);
    this.#at += word.length;
    return word;
  }

  #value(depth: number, into: KeyPosition): HclValue {
    this.#skip();
    const next = this.#peek();
    if (next === '"') return this.#string();
    if (next === '{') {
      this.#at++;
      return this.body('}', depth + 1, into);
    }
    if (next === '[') return this.#list(depth + 1, into);
    if (next === '<' && this.#text.startsWith('<<', this.#at)) return this.#heredoc();
    const word = /^[^\s,\]}#]+/.exec(this.#text.slice(this.#at, this.#at + 256))?.[0] ?? '';
    const value =
      word === 'true' ? true : word === 'false' ? false : /^[+-]?[\d.]/.test(word) ? Number(word) : undefined;
    if (value === undefined || Number.isNaN(value))
      this.#fail(`Unknown token: ${JSON.stringify(word === '' ? (next ?? 'EOF') : word)}`);
    this.#at += word.length;
    return value;
  }

  #list(depth: number, into: KeyPosition): HclValue[] {
    if (depth > MAX_DEPTH) this.#fail('nesting is too deep');
    this.#at++;
    const items: HclValue[] = [];
    for (;;) {
      this.#skip();
      if (this.#peek() === ']') {
        this.#at++;
        return items;
      }
      const child = newPosition(this.#at);
      into.children.set(String(items.length), child);
      items.push(this.#value(depth, child));
      this.#skip();
      if (this.#peek() === ',') this.#at++;
      else if (this.#peek() !== ']') this.#fail('error parsing list, expected comma or list end');
    }
  }

  #string(): string {
    const match = /^"(?:[^"\\\n]|\\.)*"/.exec(this.#text.slice(this.#at));
    if (match === null) this.#fail('literal not terminated');
    this.#at += match[0].length;
    return match[0]
      .slice(1, -1)
      .replace(/\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)/g, (_, code: string) => unescaped(code));
  }

  #heredoc(): string {
    const open = /^<<(-?)([A-Za-z_]\w*)\r?\n/.exec(this.#text.slice(this.#at));
    if (open === null) this.#fail('heredoc anchor not found');
    const start = this.#at + open[0].length;
    const close = new RegExp(`^([ \\t]*)${open[2]}[ \\t]*\\r?$`, 'm');
    const body = this.#text.slice(start);
    const end = close.exec(body);
    if (end === null) this.#fail('heredoc not terminated');
    this.#at = start + end.index + end[0].length;
    const content = body.slice(0, end.index);
    return open[1] === '-' ? unindented(content, end[1] ?? '') : content;
  }

  #skip(): void {
    const blanks = /(?:\s+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*/y;
    blanks.lastIndex = this.#at;
    this.#at += blanks.exec(this.#text)?.[0].length ?? 0;
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #fail(what: string): never {
    const { line, column } = lineColumn(this.#text, this.#at);
    throw new ConfigError(`At ${line}:${column}: ${what}`, { offset: this.#at });
  }
}

/** A name that comes again turns into a list of what it named. */
function add(items: HclObject, key: string, value: HclValue, isBlock: boolean): void {
  const before = Object.hasOwn(items, key) ? items[key] : undefined;
  if (before === undefined) items[key] = value;
  else if (isBlock && Array.isArray(before)) before.push(value);
  else if (isBlock) items[key] = [before, value];
  else items[key] = value;
}

/** Takes the closing marker's indent off every line, or off none when one has less. */
function unindented(content: string, indent: string): string {
  const lines = content.split('\n');
  const isIndented = lines.every(
    (line, i) => line.startsWith(indent) || (i === lines.length - 1 && line === ''),
  );
  return isIndented ? lines.map((line) => line.slice(indent.length)).join('\n') : content;
}

function isIdentStart(char: string | undefined): boolean {
  return char !== undefined && /[A-Za-z_]/.test(char);
}

function unescaped(code: string): string {
  if (/^[uU]/.test(code)) return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
  return { n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v' }[code] ?? code;
}
