/** What an alias check shows, given the checks of the node that it looks at. */

import type { HealthCheck } from '../../../shared/types/v1.ts';
import { type CheckResult, critical, passing } from './types.ts';

export interface AliasTarget {
  /** Node that the checks are of; for the message. */
  readonly node: string;
  /** '' looks at the checks of the node itself only. */
  readonly serviceId: string;
  /** The alias check: never a reason for itself. */
  readonly ownCheckId: string;
}

/**
 * The worst of the node's own and the service's checks. Critical when the service does not exist.
 *
 * @param checks all checks of the target's node, any order
 */
export function aliasResult(
  target: AliasTarget,
  checks: Iterable<HealthCheck>,
  serviceExists: boolean,
): CheckResult {
  if (target.serviceId !== '' && !serviceExists)
    return critical(`Service ${target.serviceId} could not be found on node ${target.node}`);
  let result = passing('No checks found.');
  for (const check of checks) {
    if (check.ServiceID !== '' && check.ServiceID !== target.serviceId) continue;
    if (check.CheckID === target.ownCheckId) continue;
    if (check.Status === 'critical') return critical(failingText(check));
    if (check.Status === 'warning') result = { status: 'warning', output: failingText(check) };
    else if (result.status === 'passing') result = passing('All checks passing.');
  }
  return result;
}

function failingText(check: HealthCheck): string {
  return `Aliased check ${JSON.stringify(check.Name)} failing: ${check.Output}`;
}
