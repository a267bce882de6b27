/** Flags that hold an unsigned 64-bit number. */

import type { Uint64 } from '../../shared/types/v1.ts';
import type { ParsedFlags } from '../config/flags.ts';
import { textFlag } from './flag-access.ts';

/** @returns 0 when not given, undefined when it is no such number */
export function uint64Flag(flags: ParsedFlags, name: string): Uint64 | undefined {
  const text = textFlag(flags, name);
  if (text === '') return 0;
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const value = BigInt(text);
  if (value >= 2n ** 64n) return undefined;
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
