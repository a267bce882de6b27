/**
 * Services and checks as answers show them that Consul does not tidy up: transactions, executed queries and what the UI
 * reads. There a list of tags that was not given is null rather than empty.
 */

import type { HealthCheck, HealthEntry, Service } from './v1.ts';

export function serviceAsStored(service: Service): Service {
  return (service.Tags?.length ?? 0) > 0 ? service : { ...service, Tags: null };
}

export function checkAsStored(check: HealthCheck): HealthCheck {
  return (check.ServiceTags?.length ?? 0) > 0 ? check : { ...check, ServiceTags: null };
}

export function entryAsStored({ Node, Service, Checks }: HealthEntry): HealthEntry {
  return { Node, Service: serviceAsStored(Service), Checks: Checks.map(checkAsStored) };
}
