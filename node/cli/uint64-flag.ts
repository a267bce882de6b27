/** Flags that hold an unsigned 64-bit number. */

import type { Uint64 } from '../../shared/types/v1.ts';
import type { ParsedFlags } from '../config/flags.ts';
import { textFlag } from './flag-access.ts';

/** Of a flag of the kind `uint`. @returns 0 when not given */
export function uint64Flag(flags: ParsedFlags, name: string): Uint64 {
  const value = BigInt(textFlag(flags, name, '0'));
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}
