/** Reads flags and files into one merged tree, in Consul's order of precedence. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseDurationNs } from '../../shared/durations.ts';
import { AGENT_FLAGS } from './agent-flags.ts';
import { ConfigError } from './config-error.ts';
import { decodeTree, isTree, mergeTrees, type Tree, type TreeValue } from './decode.ts';
import { type FlagValue, type ParsedFlags, parseFlags } from './flags.ts';
import { parseHcl } from './hcl.ts';
import { parseJsonText } from './json-text.ts';
import { type ConfigFormat, type ConfigSource, located } from './locate.ts';
import { CONFIG_SCHEMA } from './schema.ts';

export interface LoadedConfig {
  readonly tree: Tree;
  readonly isDev: boolean;
  /** The files and fragments that it was merged from, in that order. */
  readonly sources: readonly ConfigSource[];
  /** Files that were skipped and why, in words for the log. */
  readonly warnings: readonly string[];
}

/** @throws FlagError, HelpRequested */
export function parseAgentFlags(args: readonly string[]): ParsedFlags {
  return parseFlags(args, AGENT_FLAGS, isDuration);
}

/**
 * Merges, later wins: list-valued flags, files in command-line order, scalar flags, `-hcl` fragments.
 * @throws ConfigError whose message names the file
 */
export function loadConfig(flags: ParsedFlags): LoadedConfig {
  if (flags.rest.length > 0) throw new ConfigError(`Unexpected extra arguments: [${flags.rest.join(' ')}]`);
  const format = formatOf(flags.values.get('config-format'));
  const warnings: string[] = [];
  const sources: ConfigSource[] = [];
  let tree: Tree = flagTree(flags, (value) => Array.isArray(value));
  for (const { name, value } of flags.order) {
    if (name !== 'config-dir' && name !== 'config-file') continue;
    for (const file of readConfigPath(String(value), format, warnings)) {
      sources.push(file);
      tree = mergeTrees(tree, file.tree);
    }
  }
  tree = mergeTrees(
    tree,
    flagTree(flags, (value) => !Array.isArray(value)),
  );
  sources.push({ name: 'flags', format: 'hcl', content: '', flags: scalarFlags(flags) });
  for (const fragment of [flags.values.get('hcl') ?? []].flat()) {
    const source = parseSource(String(fragment), 'hcl', 'flag -hcl');
    sources.push(source);
    tree = mergeTrees(tree, source.tree);
  }
  return { tree, isDev: flags.values.get('dev') === true, sources, warnings };
}

/**
 * One file, or every `.json` and `.hcl` file of a directory in order of name.
 * @throws ConfigError
 */
export function readConfigPath(
  path: string,
  format: ConfigFormat | undefined,
  warnings: string[],
): ParsedSource[] {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch (error) {
    throw new ConfigError(`config: Open failed on ${path}. open ${path}: ${systemText(error)}`);
  }
  if (!isDirectory) return readConfigFile(path, format, warnings);
  return readdirSync(path)
    .sort()
    .map((name) => join(path, name))
    .filter((file) => statSync(file).isFile() && statSync(file).size > 0)
    .flatMap((file) => readConfigFile(file, format, warnings));
}

export interface ParsedSource extends ConfigSource {
  readonly tree: Tree;
}

/** @throws ConfigError `failed to parse NAME: …` */
export function parseConfigText(content: string, format: ConfigFormat, name: string): Tree {
  return parseSource(content, format, name).tree;
}

function parseSource(content: string, format: ConfigFormat, name: string): ParsedSource {
  const source = { name, format, content };
  try {
    const parsed = format === 'json' ? parseJsonText(content) : withRepeatedBlocks(parseHcl(content));
    return { ...source, tree: decodeTree(parsed, CONFIG_SCHEMA, format) };
  } catch (error) {
    throw located(error, [source], (text) => `failed to parse ${name}: ${text}`);
  }
}

/** HCL lets `service` and `check` blocks repeat; the plural keys hold lists. */
function withRepeatedBlocks(root: unknown): unknown {
  if (!isTree(root)) return root;
  const tree: Tree = { ...root };
  for (const key of ['service', 'check']) {
    const blocks = tree[key];
    if (!Array.isArray(blocks)) continue;
    delete tree[key];
    tree[`${key}s`] = [...[tree[`${key}s`] ?? []].flat(), ...blocks];
  }
  return tree;
}

function readConfigFile(path: string, format: ConfigFormat | undefined, warnings: string[]): ParsedSource[] {
  const actual = format ?? (path.endsWith('.json') ? 'json' : path.endsWith('.hcl') ? 'hcl' : undefined);
  if (actual === undefined) {
    warnings.push(`skipping file ${path}, extension must be .hcl or .json, or config format must be set`);
    return [];
  }
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`config: Open failed on ${path}. open ${path}: ${systemText(error)}`);
  }
  return [parseSource(content, actual, path)];
}

function formatOf(value: FlagValue | undefined): ConfigFormat | undefined {
  if (value === undefined || value === 'json' || value === 'hcl') return value;
  throw new ConfigError("-config-format must be either 'hcl' or 'json'");
}

function flagTree(flags: ParsedFlags, include: (value: FlagValue) => boolean): Tree {
  const tree: Tree = {};
  for (const { name, key, kind } of AGENT_FLAGS) {
    const value = flags.values.get(name);
    if (key === undefined || value === undefined || !include(value)) continue;
    setPath(tree, key.split('.'), kind === 'strings' && key === 'node_meta' ? metaPairs(value) : value);
  }
  return tree;
}

/** Key → flag, for the flags that win over files. */
function scalarFlags(flags: ParsedFlags): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name, key } of AGENT_FLAGS) {
    const value = flags.values.get(name);
    if (key !== undefined && value !== undefined && !Array.isArray(value)) found.set(key, name);
  }
  return found;
}

function metaPairs(value: FlagValue): Tree {
  const pairs = Array.isArray(value) ? value : [];
  return Object.fromEntries(
    pairs.map((pair) => {
      const colon = pair.indexOf(':');
      return colon < 0 ? [pair, ''] : [pair.slice(0, colon), pair.slice(colon + 1)];
    }),
  );
}

function setPath(tree: Tree, path: readonly string[], value: TreeValue): void {
  const [head, ...tail] = path;
  if (head === undefined) return;
  if (tail.length === 0) {
    tree[head] = value;
    return;
  }
  const inner = tree[head];
  const child: Tree = typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? inner : {};
  tree[head] = child;
  setPath(child, tail, value);
}

function isDuration(text: string): boolean {
  try {
    parseDurationNs(text);
    return true;
  } catch {
    // Not a duration is the answer, not a failure.
    return false;
  }
}

/** The system's words for the usual reasons, as Go prints them. */
function systemText(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'no such file or directory';
  if (code === 'EACCES') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}
