/** Whether a query is meant for this node. */

import { decodeQueryFilter } from '../codec/query-payloads.ts';
import type { Tags } from '../codec/tags.ts';

const MAX_EXPRESSION_LENGTH = 256;

/** All filters must match; one that cannot be read, or whose expression could run away, matches nothing. */
export function matchesFilters(filters: readonly Uint8Array[], nodeName: string, tags: Tags): boolean {
  return filters.every((bytes) => {
    const filter = decodeQueryFilter(bytes);
    if (filter === undefined) return false;
    if (filter.kind === 'nodes') return filter.names.includes(nodeName);
    return tagMatches(filter.expression, tags[filter.tag] ?? '');
  });
}

/**
 * Peers use a linear-time engine; this one backtracks. So only expressions that cannot take more than quadratic time are
 * run: no repeated groups, no references, and at most two unbounded repetitions.
 */
function tagMatches(expression: string, value: string): boolean {
  if (expression.length > MAX_EXPRESSION_LENGTH) return false;
  const isRepeatedGroup = /\)[*+?{]/.test(expression);
  const isReferring = /\\[1-9k]|\(\?[=!<]/.test(expression);
  const repetitions = expression.match(/[*+]|\{\d*,/g)?.length ?? 0;
  if (isRepeatedGroup || isReferring || repetitions > 2) return false;
  try {
    return new RegExp(expression, 'u').test(value);
  } catch {
    // Not an expression that we understand: no match, as for peers.
    return false;
  }
}
