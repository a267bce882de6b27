/** Which instances are healthy enough to be answered, and the weight that SRV gives them (reference: health). */

import type { HealthCheck, HealthEntry } from '../types/v1.ts';

const NODE_MAINTENANCE = '_node_maintenance';
const SERVICE_MAINTENANCE_PREFIX = '_service_maintenance:';

/** Checks of the node and of this instance count, whatever else the entry carries. No checks: healthy. */
export function isHealthy(entry: HealthEntry, onlyPassing: boolean): boolean {
  return entry.Checks.every((check) => {
    if (check.ServiceID !== '' && check.ServiceID !== entry.Service.ID) return true;
    return onlyPassing ? check.Status === 'passing' : check.Status !== 'critical';
  });
}

/** 0–65535, from the state of the node's checks and those of the service's name. */
export function srvWeight(entry: HealthEntry): number {
  const { Weights, Service } = entry.Service;
  const checks = entry.Checks.filter((check) => check.ServiceName === '' || check.ServiceName === Service);
  switch (worstStatus(checks)) {
    case 'passing':
      return clampWeight(Weights.Passing);
    case 'warning':
      return clampWeight(Weights.Warning);
    case 'critical':
    case 'maintenance':
      return 0;
    case 'unknown':
      return 1;
  }
}

function worstStatus(
  checks: readonly HealthCheck[],
): 'passing' | 'warning' | 'critical' | 'maintenance' | 'unknown' {
  const seen = new Set<string>();
  for (const check of checks) {
    if (check.CheckID === NODE_MAINTENANCE || check.CheckID.startsWith(SERVICE_MAINTENANCE_PREFIX)) {
      seen.add('maintenance');
    } else if (check.Status === 'passing' || check.Status === 'warning' || check.Status === 'critical') {
      seen.add(check.Status);
    } else {
      return 'unknown';
    }
  }
  if (seen.has('maintenance')) return 'maintenance';
  if (seen.has('critical')) return 'critical';
  return seen.has('warning') ? 'warning' : 'passing';
}

function clampWeight(weight: number): number {
  return Math.min(65535, Math.max(0, Math.trunc(weight)));
}
