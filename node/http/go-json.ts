/**
 * Decodes JSON bodies as Go does: a type is described once as a `Decoder`, and field names match in any case, unknown
 * fields and wrong types are refused in Go's words, `null` leaves the zero value.
 */

import { DurationSyntaxError, NS_PER_MS, parseDurationNs } from '../../shared/durations.ts';
import type { Uint64 } from '../../shared/types/v1.ts';
import { decodeGoBase64 } from './base64.ts';
import { GoJsonError, type JsonNode, JsonNumber, JsonObject, parseFirstJson } from './go-json-parse.ts';

export { GoJsonError } from './go-json-parse.ts';

/**
 * Go goes on after a wrong type or unknown field and reports the first of them at the end; a failure inside a type
 * with a decoder of its own ends everything at once. `failure` is that first complaint.
 */
export interface DecodeState {
  failure: string | undefined;
}

export interface Decoder<T> {
  /** What an absent field and (for most types) `null` give. */
  readonly zero: T;
  /** @param field dotted path for complaints, '' for the whole body */
  decode(node: JsonNode, state: DecodeState, field: string): T;
}

export type Decoded<D> = D extends Decoder<infer T> ? T : never;

/** Decodes the first JSON value of the body. @throws GoJsonError with Go's text, such as `EOF` */
export function decodeJson<T>(body: Uint8Array, decoder: Decoder<T>): T {
  return decodeNode(parseFirstJson(body), decoder, '');
}

function decodeNode<T>(node: JsonNode, decoder: Decoder<T>, field: string): T {
  const state: DecodeState = { failure: undefined };
  const value = decoder.decode(node, state, field);
  if (state.failure !== undefined) throw new GoJsonError(state.failure);
  return value;
}

export const text: Decoder<string> = {
  zero: '',
  decode(node, state, field) {
    if (typeof node === 'string') return node;
    return mismatch(node, state, field, 'string', '');
  },
};

export const bool: Decoder<boolean> = {
  zero: false,
  decode(node, state, field) {
    if (typeof node === 'boolean') return node;
    return mismatch(node, state, field, 'bool', false);
  },
};

/** Go's `int`: 64 bits, here as far as a double is exact. */
export const int: Decoder<number> = {
  zero: 0,
  decode(node, state, field) {
    if (node instanceof JsonNumber && /^-?\d+$/.test(node.text)) {
      const value = Number(node.text);
      if (Math.abs(value) < 2 ** 63) return value;
    }
    return mismatch(node, state, field, 'int', 0);
  },
};

export const uint64: Decoder<Uint64> = {
  zero: 0,
  decode(node, state, field) {
    if (node instanceof JsonNumber && /^\d+$/.test(node.text)) {
      const exact = BigInt(node.text);
      if (exact < 1n << 64n) return asUint64(exact);
    }
    return mismatch(node, state, field, 'uint64', 0);
  },
};

/** Go's `[]byte`: base64 text. `null` and absent are null. */
export const bytes: Decoder<Uint8Array | null> = {
  zero: null,
  decode(node, state, field) {
    if (typeof node !== 'string') return mismatch(node, state, field, '[]uint8', null);
    try {
      return decodeGoBase64(node);
    } catch (thrown) {
      if (!(thrown instanceof GoJsonError)) throw thrown;
      state.failure ??= thrown.message;
      return null;
    }
  },
};

export const float: Decoder<number> = {
  zero: 0,
  decode(node, state, field) {
    if (node instanceof JsonNumber) return Number(node.text);
    return mismatch(node, state, field, 'float64', 0);
  },
};

/** Any value as plain data; numbers become doubles, as in Go's `interface{}`. */
export const anything: Decoder<unknown> = { zero: null, decode: (node) => plain(node) };

/**
 * Milliseconds, from duration text or a number of nanoseconds. Other types count as 0, as Go's decoders for these
 * fields see them.
 */
export const durationMs: Decoder<number> = {
  zero: 0,
  decode: (node) => durationNs(node) / NS_PER_MS,
};

/** As `durationMs`, in nanoseconds. */
export const durationAsNs: Decoder<number> = { zero: 0, decode: (node) => durationNs(node) };

/** Nanoseconds of such a field. @throws GoJsonError with the text of Go's duration parser */
export function durationNs(node: JsonNode): number {
  if (node instanceof JsonNumber) return Math.trunc(Number(node.text));
  if (typeof node !== 'string') return 0;
  try {
    return parseDurationNs(node);
  } catch (error) {
    if (error instanceof DurationSyntaxError) throw new GoJsonError(error.message);
    throw error;
  }
}

/** The untouched tree, for fields with rules of their own. undefined when absent. */
export const rawNode: Decoder<JsonNode | undefined> = { zero: undefined, decode: (node) => node };

export function listOf<T>(item: Decoder<T>): Decoder<T[] | null> {
  return {
    zero: null,
    decode(node, state, field) {
      if (Array.isArray(node)) return node.map((each) => item.decode(each, state, field));
      return mismatch(node, state, field, '[]', null);
    },
  };
}

export function mapOf<T>(value: Decoder<T>): Decoder<Record<string, T> | null> {
  return {
    zero: null,
    decode(node, state, field) {
      if (!(node instanceof JsonObject)) return mismatch(node, state, field, 'map', null);
      const entries = node.keys.map((key, i): [string, T] => [
        key,
        value.decode(node.values[i] ?? null, state, field),
      ]);
      return Object.fromEntries(entries.sort(([a], [b]) => compareUtf8(a, b)));
    },
  };
}

/** Absent and `null` are undefined. */
export function optional<T>(decoder: Decoder<T>): Decoder<T | undefined> {
  return {
    zero: undefined,
    decode: (node, state, field) => (node === null ? undefined : decoder.decode(node, state, field)),
  };
}

/** A field that is accepted and dropped. */
export const ignored: Decoder<undefined> = { zero: undefined, decode: () => undefined };

type Fields = Readonly<Record<string, Decoder<unknown>>>;
type StructOf<F extends Fields> = { [K in keyof F]: Decoded<F[K]> };

export interface StructOptions<F extends Fields> {
  /** Further spellings: alias → field. They count only when the field itself is absent or zero. */
  readonly aliases?: Readonly<Record<string, keyof F & string>>;
  /** Unknown fields are dropped instead of refused. */
  readonly ignoreUnknown?: boolean;
  /** The Go type has a decoder of its own: complaints inside end everything and paths start anew. */
  readonly isCustom?: boolean;
}

export function struct<F extends Fields>(fields: F, options: StructOptions<F> = {}): Decoder<StructOf<F>> {
  const shape = new StructShape(fields, options);
  const zero = shape.zero() as StructOf<F>;
  const decode = (node: JsonNode, state: DecodeState, field: string): StructOf<F> => {
    if (!(node instanceof JsonObject)) return mismatch(node, state, field, 'struct', zero);
    return shape.decode(node, state, field) as StructOf<F>;
  };
  if (options.isCustom !== true) return { zero, decode };
  return { zero, decode: (node) => decodeNode(node, { zero, decode }, '') };
}

/** Looks fields up by exact name, then in any case, as Go does. */
class StructShape {
  readonly #fields: Fields;
  readonly #aliases: ReadonlyMap<string, string>;
  readonly #byLowerName: ReadonlyMap<string, string>;
  readonly #ignoresUnknown: boolean;

  constructor(fields: Fields, options: StructOptions<Fields>) {
    this.#fields = fields;
    this.#aliases = new Map(Object.entries(options.aliases ?? {}));
    const names = [...Object.keys(fields), ...this.#aliases.keys()];
    this.#byLowerName = new Map(names.map((name) => [name.toLowerCase(), name]));
    this.#ignoresUnknown = options.ignoreUnknown === true;
  }

  zero(): Record<string, unknown> {
    return Object.fromEntries(Object.entries(this.#fields).map(([name, { zero }]) => [name, zero]));
  }

  decode(node: JsonObject, state: DecodeState, path: string): Record<string, unknown> {
    const decoded = this.zero();
    const aliased: [field: string, value: unknown][] = [];
    for (const [i, key] of node.keys.entries()) {
      const name = this.#byLowerName.get(key.toLowerCase());
      if (name === undefined) {
        if (!this.#ignoresUnknown) state.failure ??= `json: unknown field ${JSON.stringify(key)}`;
        continue;
      }
      const field = this.#aliases.get(name) ?? name;
      const value = this.#fields[field]?.decode(node.values[i] ?? null, state, `${path}.${name}`);
      if (field === name) decoded[field] = value;
      else aliased.push([field, value]);
    }
    for (const [field, value] of aliased) if (isZero(decoded[field])) decoded[field] = value;
    return decoded;
  }
}

/** Bytewise order of the UTF-8 forms, in which Go prints the keys of maps. */
export function compareUtf8(a: string, b: string): number {
  // UTF-16 order differs only where one side has a surrogate and the other a character above them.
  const isPlain = !HIGH.test(a) || !HIGH.test(b);
  if (!isPlain) return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
  return a < b ? -1 : a > b ? 1 : 0;
}

const HIGH = /[\ud800-\uffff]/;

/** A plain number as long as that is exact. */
export function asUint64(exact: bigint): Uint64 {
  return exact <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(exact) : exact;
}

function isZero(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === undefined || value === null || value === '' || value === 0 || value === false;
}

/** `null` is no mismatch: it leaves the zero value. */
function mismatch<T>(node: JsonNode, state: DecodeState, field: string, goType: string, zero: T): T {
  if (node === null) return zero;
  const into = field === '' ? `Go value of type ${goType}` : `Go struct field ${field} of type ${goType}`;
  state.failure ??= `json: cannot unmarshal ${describe(node)} into ${into}`;
  return zero;
}

/** How Go names what it found; integers that do not fit are named with their digits. */
function describe(node: JsonNode): string {
  if (Array.isArray(node)) return 'array';
  if (node instanceof JsonNumber) return `number${/^\d{1,15}$/.test(node.text) ? '' : ` ${node.text}`}`;
  if (node instanceof JsonObject) return 'object';
  return typeof node === 'boolean' ? 'bool' : 'string';
}

function plain(node: JsonNode): unknown {
  if (Array.isArray(node)) return node.map(plain);
  if (node instanceof JsonNumber) return Number(node.text);
  if (node instanceof JsonObject) {
    const entries = node.keys.map((key, i): [string, unknown] => [key, plain(node.values[i] ?? null)]);
    return Object.fromEntries(entries.sort(([a], [b]) => compareUtf8(a, b)));
  }
  return node;
}
