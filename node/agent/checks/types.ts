/** What a probe answers and how one is run. */

import type { CheckStatus } from '../../../shared/types/v1.ts';

export interface CheckResult {
  readonly status: CheckStatus;
  /** Already within the check's output limit. */
  readonly output: string;
}

/**
 * Probes once. Ends by itself within the check's timeout (plus the time to clean up), never rejects, and ends soon
 * after `signal` aborts; what it answers then is not looked at.
 */
export type CheckProbe = (signal: AbortSignal) => Promise<CheckResult>;

export const passing = (output: string): CheckResult => ({ status: 'passing', output });
export const warning = (output: string): CheckResult => ({ status: 'warning', output });
export const critical = (output: string): CheckResult => ({ status: 'critical', output });
