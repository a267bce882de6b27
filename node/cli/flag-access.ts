/** Typed look-ups in parsed flags. */

import type { ParsedFlags } from '../config/flags.ts';

export function textFlag(flags: ParsedFlags, name: string, fallback = ''): string {
  const value = flags.values.get(name);
  return typeof value === 'string' ? value : fallback;
}

export function boolFlag(flags: ParsedFlags, name: string): boolean {
  return flags.values.get(name) === true;
}

export function listFlag(flags: ParsedFlags, name: string): readonly string[] {
  const value = flags.values.get(name);
  return Array.isArray(value) ? value : [];
}

/** What a thrown value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** @returns undefined when not given */
export function intFlag(flags: ParsedFlags, name: string): number | undefined {
  const value = flags.values.get(name);
  return typeof value === 'number' ? value : undefined;
}

/** @returns undefined when not given, or when given as empty text */
export function optionalTextFlag(flags: ParsedFlags, name: string): string | undefined {
  const value = textFlag(flags, name);
  return value === '' ? undefined : value;
}

/** `key=value` pairs; a pair without `=` has an empty value. */
export function pairsFlag(flags: ParsedFlags, name: string): Record<string, string> {
  return Object.fromEntries(
    listFlag(flags, name).map((pair) => {
      const equals = pair.indexOf('=');
      return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
}
