/** Filter expressions over the agent's own services and checks. */

import { compileFilter as compile } from '../../shared/filter/apply.ts';
import type { FilterRoot } from '../http/options.ts';

/** @throws ConsulError 500 with Consul's text when the expression is malformed or names an unknown selector */
export function compileFilter(root: FilterRoot, expression: string): (candidate: unknown) => boolean {
  return compile(root === 'check' ? 'agent-check' : 'agent-service', expression);
}
