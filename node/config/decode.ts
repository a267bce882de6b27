/** Checks a parsed file against the schema and merges several: later scalars replace, lists append, blocks merge. */

import { ConfigError } from './config-error.ts';
import type { Schema } from './schema.ts';

/** A decoded configuration value; blocks and maps are plain objects with lower-case schema keys. */
export type Tree = { [key: string]: TreeValue };
export type TreeValue = string | number | boolean | null | TreeValue[] | Tree;

/**
 * @param value what the file's parser produced
 * @param format HCL cannot tell a single block from a list of one, JSON can
 * @returns the same content with keys in the schema's spelling
 * @throws ConfigError `1 error occurred:\n\t* invalid config key foo\n\n` or `1 error(s) decoding:\n\n* 'ports.http' expected type …`
 */
export function decodeTree(value: unknown, schema: Schema, format: 'json' | 'hcl'): Tree {
  const unknownKeys: string[] = [];
  const typeErrors: TypeError[] = [];
  if (format === 'json' && !isTree(value)) {
    throw new ConfigError(
      `json: cannot unmarshal ${jsonKind(value)} into Go value of type map[string]interface {}`,
    );
  }
  const tree = decode(value, schema, { format, unknownKeys, typeErrors }, '');
  if (typeErrors.length > 0) {
    throw new ConfigError(
      `${typeErrors.length} error(s) decoding:\n\n${typeErrors.map((e) => `* ${e.text}`).join('\n')}`,
      { keys: typeErrors.map((e) => e.path) },
    );
  }
  if (unknownKeys.length > 0)
    throw new ConfigError(listErrors(unknownKeys.map((key) => `invalid config key ${key}`)), {
      keys: unknownKeys,
    });
  return tree as Tree;
}

/** Consul's list of several problems: `2 errors occurred:`, one bullet each, two line ends. */
export function listErrors(texts: readonly string[]): string {
  const head = texts.length === 1 ? '1 error occurred:' : `${texts.length} errors occurred:`;
  return `${head}\n${texts.map((text) => `\t* ${text}\n`).join('')}\n`;
}

/** Merges `over` onto `base`; neither is changed. A `service` or `check` block is appended to the plural list. */
export function mergeTrees(base: Tree, over: Tree): Tree {
  return mergeObjects(pluralised(base), pluralised(over));
}

function mergeObjects(base: Tree, over: Tree): Tree {
  const merged: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    if (Array.isArray(before) && Array.isArray(value)) merged[key] = [...before, ...value];
    else if (isTree(before) && isTree(value)) merged[key] = mergeObjects(before, value);
    else if (value !== null) merged[key] = value;
  }
  return merged;
}

function pluralised(tree: Tree): Tree {
  const { service, check, ...rest } = tree;
  if (service !== undefined && service !== null) rest.services = [...asList(rest.services), service];
  if (check !== undefined && check !== null) rest.checks = [...asList(rest.checks), check];
  return rest;
}

function asList(value: TreeValue | undefined): TreeValue[] {
  return Array.isArray(value) ? value : [];
}

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface TypeError {
  readonly path: string;
  readonly text: string;
}

/** What the walk over a file carries along and collects. */
interface Decoding {
  readonly format: 'json' | 'hcl';
  readonly unknownKeys: string[];
  readonly typeErrors: TypeError[];
}

function decode(value: unknown, schema: Schema, decoding: Decoding, path: string): TreeValue {
  const wrongType = (text: string) => decoding.typeErrors.push({ path, text });
  if (value === null || value === undefined) return null;
  switch (schema.kind) {
    case 'any':
      return value as TreeValue;
    case 'string':
    case 'duration':
      if (typeof value === 'string') return value;
      break;
    case 'bool':
      if (typeof value === 'boolean') return value;
      break;
    case 'int':
      if (typeof value === 'number' && Number.isInteger(value)) return value;
      break;
    case 'float':
      if (typeof value === 'number') return value;
      break;
    case 'list':
      if (Array.isArray(value) || (decoding.format === 'hcl' && isBlockLike(schema.item) && isTree(value))) {
        const items: unknown[] = Array.isArray(value) ? value : [value];
        return items.map((item, i) => decode(item, schema.item, decoding, `${path}[${i}]`));
      }
      wrongType(`'${path}': source data must be an array or slice, got ${goKind(value)}`);
      return null;
    case 'map':
      if (isTree(value)) {
        const entries = Object.entries(value).map(([key, item]): [string, TreeValue] => [
          key,
          decode(item, schema.value, decoding, `${path}[${key}]`),
        ]);
        return Object.fromEntries(entries);
      }
      wrongType(`'${path}' expected a map, got '${goKind(value)}'`);
      return null;
    case 'block':
      if (isTree(value)) return decodeBlock(value, schema.fields, decoding, path);
      wrongType(`'${path}' expected a map, got '${goKind(value)}'`);
      return null;
  }
  wrongType(`'${path}' expected type '${goTypeName(schema)}', got unconvertible type '${goType(value)}'`);
  return null;
}

function decodeBlock(
  value: Tree,
  fields: Readonly<Record<string, Schema>>,
  decoding: Decoding,
  path: string,
): Tree {
  const decoded: Tree = {};
  for (const [key, item] of Object.entries(value)) {
    const name = key.toLowerCase();
    const at = path === '' ? key : `${path}.${key}`;
    const schema = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (schema === undefined) decoding.unknownKeys.push(at);
    else decoded[name] = decode(item, schema, decoding, at);
  }
  return decoded;
}

function isBlockLike(schema: Schema): boolean {
  return schema.kind === 'block' || schema.kind === 'any';
}

function jsonKind(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : goKind(value) === 'float64' ? 'number' : goKind(value);
}

function goTypeName(schema: Schema): string {
  if (schema.kind === 'float') return 'float64';
  return schema.kind === 'duration' ? 'string' : schema.kind;
}

/** Go's name of the type that its JSON decoder gives such a value. */
function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'float64';
  return typeof value === 'string' ? 'string' : 'map[string]interface {}';
}

function goKind(value: unknown): string {
  if (Array.isArray(value)) return 'slice';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return 'float64';
  return typeof value === 'string' ? 'string' : 'map';
}
