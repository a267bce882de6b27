/** Go-style command line flags: `-name value`, `-name=value`, `--name`, booleans without a value, the first word ends them. */

export interface FlagSpec {
  readonly name: string;
  /** `uint` is an unsigned 64-bit number, kept as text; `strings` and `pairs` (`key=value`) may be repeated. */
  readonly kind: 'string' | 'int' | 'uint' | 'bool' | 'duration' | 'strings' | 'pairs';
  /** Shown by `-h`; one or more sentences. */
  readonly usage: string;
}

export type FlagValue = string | number | boolean | string[];

export interface ParsedFlags {
  readonly values: ReadonlyMap<string, FlagValue>;
  /** Flags in the order given, repeatable ones once per use. */
  readonly order: readonly { readonly name: string; readonly value: FlagValue }[];
  readonly rest: readonly string[];
}

/** `-h` or `-help` was given. */
export class HelpRequested extends Error {
  override readonly name = 'HelpRequested';
}

/** The message is Go's, e.g. `flag provided but not defined: -bogus`. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);
const MAX_UINT64 = 2n ** 64n - 1n;
const MAX_UINT64_DIGITS = 20;

/**
 * @param isDuration judges duration text
 * @throws HelpRequested, FlagError
 */
export function parseFlags(
  args: readonly string[],
  specs: readonly FlagSpec[],
  isDuration: (text: string) => boolean,
): ParsedFlags {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const values = new Map<string, FlagValue>();
  const order: { name: string; value: FlagValue }[] = [];
  let at = 0;
  for (; at < args.length; at++) {
    const word = args[at] ?? '';
    if (word === '--') {
      at++;
      break;
    }
    if (!word.startsWith('-') || word === '-') break;
    const [name, inline] = splitFlag(word);
    const spec = byName.get(name);
    if (spec === undefined) {
      if (name === 'h' || name === 'help') throw new HelpRequested();
      throw new FlagError(`flag provided but not defined: -${name}`);
    }
    let text = inline;
    if (text === undefined && spec.kind === 'bool') text = 'true';
    if (text === undefined) {
      at++;
      text = args[at];
      if (text === undefined) throw new FlagError(`flag needs an argument: -${name}`);
    }
    const value = parseValue(spec, text, isDuration);
    if (spec.kind === 'strings' || spec.kind === 'pairs') {
      const before = values.get(name);
      values.set(name, [...(Array.isArray(before) ? before : []), text]);
    } else {
      values.set(name, value);
    }
    order.push({ name, value });
  }
  return { values, order, rest: args.slice(at) };
}

function splitFlag(word: string): [name: string, inline: string | undefined] {
  const bare = word.startsWith('--') ? word.slice(2) : word.slice(1);
  const equals = bare.indexOf('=');
  if (bare === '' || bare.startsWith('-') || equals === 0) throw new FlagError(`bad flag syntax: ${word}`);
  return equals < 0 ? [bare, undefined] : [bare.slice(0, equals), bare.slice(equals + 1)];
}

function parseValue(spec: FlagSpec, text: string, isDuration: (text: string) => boolean): FlagValue {
  switch (spec.kind) {
    case 'bool':
      if (TRUE.has(text)) return true;
      if (FALSE.has(text)) return false;
      throw new FlagError(`invalid boolean value ${JSON.stringify(text)} for -${spec.name}: parse error`);
    case 'int':
      if (!/^[+-]?\d+$/.test(text)) throw invalidValue(spec, text, 'parse error');
      if (!Number.isSafeInteger(Number(text))) throw invalidValue(spec, text, 'value out of range');
      return Number(text);
    case 'uint':
      if (!/^\d+$/.test(text)) throw invalidValue(spec, text, 'parse error');
      if (text.length > MAX_UINT64_DIGITS || BigInt(text) > MAX_UINT64)
        throw invalidValue(spec, text, 'value out of range');
      return text;
    case 'duration':
      if (isDuration(text)) return text;
      throw invalidValue(spec, text, 'parse error');
    case 'pairs':
      if (!text.includes('=')) throw invalidValue(spec, text, `Missing "=" value in argument: ${text}`);
      return text;
    case 'string':
    case 'strings':
      return text;
  }
}

function invalidValue(spec: FlagSpec, text: string, reason: string): FlagError {
  return new FlagError(`invalid value ${JSON.stringify(text)} for flag -${spec.name}: ${reason}`);
}
