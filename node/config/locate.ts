/** Finds the places of what a configuration error is about, in the files that the configuration came from. */

import { ConfigError, type ConfigLocation } from './config-error.ts';
import { hclKeyPositions } from './hcl.ts';
import { jsonKeyPositions } from './json-text.ts';
import { findKey, type KeyPosition, lineColumn } from './key-positions.ts';

export type ConfigFormat = 'json' | 'hcl';

export interface ConfigSource {
  /** A path, or `flag -hcl`. */
  readonly name: string;
  readonly format: ConfigFormat;
  readonly content: string;
  /** For the flags, which have no text: key → name of the flag that sets it. */
  readonly flags?: ReadonlyMap<string, string>;
}

/**
 * The same error with its places: where each key was set last, or where the syntax breaks off.
 * @param reword makes the new message
 */
export function located(
  error: unknown,
  sources: readonly ConfigSource[],
  reword: (text: string) => string = (text) => text,
): ConfigError {
  if (!(error instanceof ConfigError)) {
    return new ConfigError(reword(error instanceof Error ? error.message : String(error)));
  }
  if (error.locations.length > 0) return error;
  const { keys, offset } = error;
  const [only] = sources;
  const locations =
    offset !== undefined && only !== undefined
      ? [{ file: only.name, key: '', ...lineColumn(only.content, offset) }]
      : placesOf(keys, sources);
  return new ConfigError(reword(error.message), { keys, locations });
}

/** Runs `build` and adds places to what it throws. */
export function locating<T>(sources: readonly ConfigSource[], build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof ConfigError) throw located(error, sources);
    throw error;
  }
}

function placesOf(keys: readonly string[], sources: readonly ConfigSource[]): ConfigLocation[] {
  const parsed = sources.map((source) => ({ source, root: positionsOf(source) })).reverse();
  return keys.flatMap((key) => {
    for (const { source, root } of parsed) {
      const flag = source.flags?.get(key);
      if (flag !== undefined) return [{ file: `flag -${flag}`, key, line: 0, column: 0 }];
      const found = root === undefined ? undefined : findKey(root, key);
      if (found !== undefined)
        return [{ file: source.name, key, ...lineColumn(source.content, found.offset) }];
    }
    return [];
  });
}

function positionsOf({ format, content }: ConfigSource): KeyPosition | undefined {
  try {
    return format === 'json' ? jsonKeyPositions(content) : hclKeyPositions(content);
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
