/** What is wrong with a configuration: Consul's sentence, and for people the keys and places that it is about. */

import type { LineColumn } from './key-positions.ts';

export interface ConfigLocation extends LineColumn {
  /** As given: a path, or `flag -bind`. */
  readonly file: string;
  /** '' for a mistake in the file's syntax. Flags have line 0. */
  readonly key: string;
}

export interface ConfigErrorDetails {
  /** The keys at fault, dotted; known before their places are. */
  readonly keys?: readonly string[];
  /** For a syntax error: characters from the beginning of the text. */
  readonly offset?: number;
  readonly locations?: readonly ConfigLocation[];
}

/** The message is Consul's to the letter: scripts match on it. Places stand beside it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly keys: readonly string[];
  readonly offset: number | undefined;
  readonly locations: readonly ConfigLocation[];

  constructor(message: string, { keys = [], offset, locations = [] }: ConfigErrorDetails = {}) {
    super(message);
    this.keys = keys;
    this.offset = offset;
    this.locations = locations;
  }
}

/** One line a place: `    at agent.hcl:3:5: ports.http`; '' when the places are not known. */
export function locationLines(error: unknown): string {
  return error instanceof ConfigError ? error.locations.map(locationLine).join('') : '';
}

function locationLine({ file, line, column, key }: ConfigLocation): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `    at ${place}${key === '' ? '' : `: ${key}`}\n`;
}
