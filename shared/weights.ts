/** The rule for DNS weights of a service, wherever they come from. */

import type { Weights } from './types/v1.ts';

const MAX_WEIGHT = 65_535;

/** @returns what is wrong, in Consul's words; undefined when nothing is */
export function weightsProblem(weights: Weights | undefined): string | undefined {
  if (weights === undefined) return undefined;
  if (weights.Passing < 1) return 'Passing must be greater than 0';
  if (weights.Warning < 0) return 'Warning must be greater or equal than 0';
  if (weights.Passing > MAX_WEIGHT || weights.Warning > MAX_WEIGHT)
    return 'DNS Weight must be between 0 and 65535';
  return undefined;
}
