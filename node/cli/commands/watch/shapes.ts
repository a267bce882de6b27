/**
 * The objects that `watch` shows. Consul decodes the agent's answer and encodes it again, so keys that the API leaves
 * out reappear with their zero values, and in the client's order. Handlers rely on that form.
 */

import type { HealthCheck, HealthEntry, KvEntry, Service } from '../../../../shared/types/v1.ts';

export function asKeyValue(entry: KvEntry): Record<string, unknown> {
  return {
    Key: entry.Key,
    CreateIndex: entry.CreateIndex,
    ModifyIndex: entry.ModifyIndex,
    LockIndex: entry.LockIndex,
    Flags: entry.Flags,
    Value: entry.Value,
    Session: entry.Session ?? '',
  };
}

export function asHealthEntry(entry: HealthEntry): Record<string, unknown> {
  return { Node: entry.Node, Service: asService(entry.Service), Checks: (entry.Checks ?? []).map(asCheck) };
}

export function asCheck(check: HealthCheck): Record<string, unknown> {
  const definition = check.Definition ?? {};
  return {
    Node: check.Node,
    CheckID: check.CheckID,
    Name: check.Name,
    Status: check.Status,
    Notes: check.Notes,
    Output: check.Output,
    ServiceID: check.ServiceID,
    ServiceName: check.ServiceName,
    ServiceTags: check.ServiceTags,
    Type: check.Type ?? '',
    Definition: {
      Interval: definition.Interval ?? '0s',
      Timeout: definition.Timeout ?? '0s',
      DeregisterCriticalServiceAfter: definition.DeregisterCriticalServiceAfter ?? '0s',
      HTTP: definition.HTTP ?? '',
      Header: definition.Header ?? null,
      Method: definition.Method ?? '',
      Body: definition.Body ?? '',
      TLSSkipVerify: definition.TLSSkipVerify ?? false,
      TCP: definition.TCP ?? '',
    },
    CreateIndex: check.CreateIndex,
    ModifyIndex: check.ModifyIndex,
  };
}

/** Keys that are undefined here are left out when rendered. */
function asService(service: Service): Record<string, unknown> {
  return {
    Kind: service.Kind,
    ID: service.ID,
    Service: service.Service,
    Tags: service.Tags,
    Meta: service.Meta,
    Port: service.Port,
    Address: service.Address,
    TaggedAddresses: service.TaggedAddresses,
    Weights: service.Weights,
    EnableTagOverride: service.EnableTagOverride,
    CreateIndex: service.CreateIndex,
    ModifyIndex: service.ModifyIndex,
    Proxy: service.Proxy,
    Connect: service.Connect,
  };
}
