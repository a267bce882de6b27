/** Filter expressions over the agent's own services and checks. */

import { refused } from '../../shared/errors.ts';
import type { FilterRoot } from '../http/options.ts';

/** @throws ConsulError: expressions are not evaluated yet, and an unfiltered answer would be a wrong one */
export function compileFilter(root: FilterRoot, _expression: string): (candidate: unknown) => boolean {
  throw refused(
    `Failed to create boolean expression evaluator: filters over ${root} objects are not supported`,
  );
}
