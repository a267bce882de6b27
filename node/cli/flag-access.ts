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
