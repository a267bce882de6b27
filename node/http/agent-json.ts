/** Local services, checks and members as the agent endpoints print them. */

import type { HealthCheck, Member, Service } from '../../shared/types/v1.ts';
import { compareUtf8 } from './go-json.ts';

/** The same map with its keys in the order in which Go prints them. */
export function sortedByKey<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => compareUtf8(a, b)));
}

/** As `sortedByKey`, for maps inside maps and lists too. */
export function sortedDeep(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedDeep);
  if (typeof value !== 'object' || value === null) return value;
  const sorted = sortedByKey(value as Record<string, unknown>);
  return Object.fromEntries(Object.entries(sorted).map(([key, each]) => [key, sortedDeep(each)]));
}

/** `AgentService`: indexes left out, tags and meta never null, mesh parts only where there are any. */
export function agentService(service: Service, contentHash?: string): Record<string, unknown> {
  const kind = service.Kind ?? '';
  return {
    ...(kind !== '' && { Kind: kind }),
    ID: service.ID,
    Service: service.Service,
    Tags: service.Tags ?? [],
    Meta: sortedByKey(service.Meta ?? {}),
    Port: service.Port,
    Address: service.Address,
    ...(hasKeys(service.TaggedAddresses) && { TaggedAddresses: sortedByKey(service.TaggedAddresses) }),
    Weights: { Passing: service.Weights.Passing, Warning: service.Weights.Warning },
    EnableTagOverride: service.EnableTagOverride,
    ...(contentHash !== undefined && { ContentHash: contentHash }),
    ...(kind !== '' && { Proxy: service.Proxy }),
    ...(service.Connect.Native === true && { Connect: { Native: true } }),
  };
}

/** A check in the catalog's shape, tags never null. */
export function agentCheck(check: HealthCheck): HealthCheck {
  return {
    Node: check.Node,
    CheckID: check.CheckID,
    Name: check.Name,
    Status: check.Status,
    Notes: check.Notes,
    Output: check.Output,
    ServiceID: check.ServiceID,
    ServiceName: check.ServiceName,
    ServiceTags: check.ServiceTags ?? [],
    Type: check.Type,
    Definition: check.Definition,
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}

/** The client library's shape that local health answers use: every field of the definition is printed. */
export function apiCheck(check: HealthCheck): Record<string, unknown> {
  const tags = check.ServiceTags;
  return {
    ...agentCheck(check),
    ServiceTags: tags === null || tags.length === 0 ? null : tags,
    Type: '',
    Definition: {
      Interval: '0s',
      Timeout: '0s',
      DeregisterCriticalServiceAfter: '0s',
      HTTP: '',
      Header: null,
      Method: '',
      Body: '',
      TLSSkipVerify: false,
      TCP: '',
    },
  };
}

export function memberJson(member: Member): Member {
  return {
    Name: member.Name,
    Addr: member.Addr,
    Port: member.Port,
    Tags: sortedByKey(member.Tags),
    Status: member.Status,
    ProtocolMin: member.ProtocolMin,
    ProtocolMax: member.ProtocolMax,
    ProtocolCur: member.ProtocolCur,
    DelegateMin: member.DelegateMin,
    DelegateMax: member.DelegateMax,
    DelegateCur: member.DelegateCur,
  };
}

function hasKeys<T>(map: Record<string, T> | undefined): map is Record<string, T> {
  return map !== undefined && Object.keys(map).length > 0;
}
