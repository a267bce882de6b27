/** Decodes the body of a configuration entry: keys in any case or in snake case, checked against the entry's kind. */

import { DurationSyntaxError, formatDurationNs, parseDurationNs } from '../../shared/durations.ts';
import { badRequest } from '../../shared/errors.ts';
import { isEmptyJson } from '../../shared/json.ts';
import type { ConfigEntryDefinition, ConfigEntryKind } from '../../shared/types/config-entry.ts';
import { isConfigEntryKind } from '../../shared/types/config-entry.ts';
import type { ScalarKind, Shape, Shapes } from './config-entry-shapes.ts';
import { entryShape } from './config-entry-shapes.ts';
import { anything, compareUtf8, GoJsonError } from './go-json.ts';
import { type JsonNode, JsonNumber, JsonObject, parseFirstJson } from './go-json-parse.ts';

/** @throws ConsulError 400 `Bad request: Request decoding failed: …` */
export function decodeConfigEntry(body: Uint8Array): ConfigEntryDefinition {
  const node = parsed(body);
  const kind = node instanceof JsonObject ? kindOf(node) : undefined;
  if (!(node instanceof JsonObject) || kind === undefined) {
    throw failed('Payload does not contain a kind/Kind key at the top level');
  }
  if (!isConfigEntryKind(kind)) throw failed(`invalid config entry kind: ${kind}`);
  const unknownKeys: string[] = [];
  const entry = structValue(node, entryShape(kind), '', unknownKeys, TOP_LEVEL_KEYS);
  if (unknownKeys.length > 0) throw failed(unknownKeysText(unknownKeys));
  return normalized(kind, entry);
}

/** Accepted beside the fields of every kind; the servers set the indexes. */
const TOP_LEVEL_KEYS: readonly string[] = ['kind', 'createindex', 'modifyindex'];

function parsed(body: Uint8Array): JsonNode {
  try {
    return parseFirstJson(body);
  } catch (thrown) {
    if (thrown instanceof GoJsonError) throw failed(thrown.message);
    throw thrown;
  }
}

function failed(text: string) {
  return badRequest(`Bad request: Request decoding failed: ${text}`);
}

function kindOf(node: JsonObject): string | undefined {
  const at = node.keys.findIndex((key) => key === 'Kind' || key === 'kind');
  const kind = at < 0 ? undefined : node.values[at];
  return typeof kind === 'string' ? kind : undefined;
}

function unknownKeysText(keys: readonly string[]): string {
  const lines = keys.map((key) => `\t* invalid config key ${JSON.stringify(key)}\n`).join('');
  return `${keys.length} error${keys.length === 1 ? '' : 's'} occurred:\n${lines}\n`;
}

function normalized(kind: ConfigEntryKind, fields: Record<string, unknown>): ConfigEntryDefinition {
  const entry: Record<string, unknown> = { ...fields };
  if (typeof entry.Protocol === 'string') entry.Protocol = entry.Protocol.toLowerCase();
  if (Array.isArray(entry.Listeners)) {
    entry.Listeners = entry.Listeners.map((listener: { readonly Protocol: string }) => ({
      ...listener,
      Protocol: listener.Protocol.toLowerCase() || 'tcp',
    }));
  }
  const { Name: given, ...rest } = entry;
  const name = kind === 'proxy-defaults' ? 'global' : typeof given === 'string' ? given : '';
  return { Kind: kind, Name: name, ...rest };
}

function structValue(
  node: JsonObject,
  shapes: Shapes,
  path: string,
  unknownKeys: string[],
  alsoAllowed: readonly string[] = [],
): Record<string, unknown> {
  const given = new Map<string, JsonNode>();
  const names = new Map(Object.keys(shapes).map((name) => [plainKey(name), name]));
  for (const [i, key] of node.keys.entries()) {
    const name = names.get(plainKey(key));
    if (name !== undefined) given.set(name, node.values[i] ?? null);
    else if (!alsoAllowed.includes(plainKey(key))) unknownKeys.push(path === '' ? key : `${path}.${key}`);
  }
  const value: Record<string, unknown> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const inner = path === '' ? name : `${path}.${name}`;
    const field = decoded(given.get(name) ?? null, shape, inner, unknownKeys);
    if (!shape.omits || isShown(field, shape)) value[name] = field;
  }
  return value;
}

function plainKey(key: string): string {
  return key.replaceAll('_', '').toLowerCase();
}

function decoded(node: JsonNode, shape: Shape, path: string, unknownKeys: string[]): unknown {
  switch (shape.is) {
    case 'struct':
      if (node === null) return shape.omits ? undefined : structValue(NO_FIELDS, shape.fields, path, []);
      if (!(node instanceof JsonObject)) throw mismatch(path, 'struct', node);
      return structValue(node, shape.fields, path, unknownKeys);
    case 'list':
      if (node === null) return null;
      if (!Array.isArray(node)) throw mismatch(path, 'slice', node);
      return node.map((item, i) => decoded(item, shape.of, `${path}[${i}]`, unknownKeys));
    case 'map':
      if (node === null) return null;
      if (!(node instanceof JsonObject)) throw mismatch(path, 'map', node);
      return mapValue(node, shape.of, path, unknownKeys);
    case 'anything':
      return anything.decode(node, { failure: undefined }, '');
    default:
      return scalarOf(node, shape.is, path);
  }
}

const NO_FIELDS = new JsonObject();

function mapValue(node: JsonObject, of: Shape, path: string, unknownKeys: string[]): Record<string, unknown> {
  const entries = node.keys.map((key, i): [string, unknown] => [
    key,
    decoded(node.values[i] ?? null, of, `${path}[${key}]`, unknownKeys),
  ]);
  return Object.fromEntries(entries.sort(([a], [b]) => compareUtf8(a, b)));
}

function scalarOf(node: JsonNode, kind: ScalarKind, path: string): unknown {
  switch (kind) {
    case 'text':
      if (node === null) return '';
      if (typeof node === 'string') return node;
      throw mismatch(path, 'string', node);
    case 'bool':
      if (node === null) return false;
      if (typeof node === 'boolean') return node;
      throw mismatch(path, 'bool', node);
    case 'int':
    case 'float':
      return numberOf(node, kind, path);
    case 'duration':
      return durationOf(node, path);
    default:
      return kind satisfies never;
  }
}

function numberOf(node: JsonNode, kind: 'int' | 'float', path: string): number {
  if (node === null) return 0;
  const number = node instanceof JsonNumber ? Number(node.text) : Number.NaN;
  if (kind === 'float' ? Number.isFinite(number) : Number.isSafeInteger(number)) return number;
  throw mismatch(path, kind, node);
}

/** As Go prints it, '' for none; numbers are nanoseconds. */
function durationOf(node: JsonNode, path: string): string {
  if (node === null) return '';
  try {
    const ns = typeof node === 'string' ? parseDurationNs(node) : numberOf(node, 'int', path);
    return ns === 0 ? '' : formatDurationNs(ns);
  } catch (thrown) {
    if (!(thrown instanceof DurationSyntaxError)) throw thrown;
    throw failed(`1 error(s) decoding:\n\n* error decoding '${path}': ${thrown.message}`);
  }
}

function mismatch(path: string, wanted: string, node: JsonNode) {
  return failed(
    `1 error(s) decoding:\n\n* '${path}' expected type '${wanted}', got unconvertible type '${typeName(node)}'`,
  );
}

function typeName(node: JsonNode): string {
  if (Array.isArray(node)) return '[]interface {}';
  if (node instanceof JsonObject) return 'map[string]interface {}';
  if (node instanceof JsonNumber) return 'float64';
  return typeof node === 'boolean' ? 'bool' : 'string';
}

/** What Go's `omitempty` does not leave out: objects count as pointers to them. */
function isShown(value: unknown, shape: Shape): boolean {
  return shape.is === 'struct' ? value !== undefined : !isZero(value) && !isEmptyJson(value);
}

function isZero(value: unknown): boolean {
  return value === '' || value === 0 || value === false;
}
