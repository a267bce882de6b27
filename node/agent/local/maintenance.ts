/** The checks that stand for maintenance mode of a service or of the node. */

import type { HealthCheck, Service } from '../../../shared/types/v1.ts';

export const NODE_MAINTENANCE_ID = '_node_maintenance';

export function serviceMaintenanceId(serviceId: string): string {
  return `_service_maintenance:${serviceId}`;
}

/** @param service undefined for the node @param reason '' gives Consul's default text */
export function maintenanceCheck(
  nodeName: string,
  service: Service | undefined,
  reason: string,
): HealthCheck {
  const subject = service === undefined ? 'node' : 'service';
  return {
    Node: nodeName,
    CheckID: service === undefined ? NODE_MAINTENANCE_ID : serviceMaintenanceId(service.ID),
    Name: service === undefined ? 'Node Maintenance Mode' : 'Service Maintenance Mode',
    Status: 'critical',
    Notes:
      reason === ''
        ? `Maintenance mode is enabled for this ${subject}, but no reason was provided. This is a default message.`
        : reason,
    Output: '',
    ServiceID: service?.ID ?? '',
    ServiceName: service?.Service ?? '',
    ServiceTags: service?.Tags ?? [],
    Type: 'maintenance',
    Definition: {},
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}
