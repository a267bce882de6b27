/** All `snapshot` commands take exactly one file. */

import type { ParsedFlags } from '../../../config/flags.ts';

export function fileArgumentProblem(flags: ParsedFlags): string | undefined {
  const { rest } = flags;
  if (rest.length === 0) return 'Missing FILE argument';
  return rest.length > 1 ? `Too many arguments (expected 1, got ${rest.length})` : undefined;
}
