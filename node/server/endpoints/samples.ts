/** Requests with everything that tests rarely care about filled in. For tests. */

import { EMPTY_CHECK_DEFINITION } from '../../../shared/types/definitions.ts';
import type { FloatingCheck, FloatingPart } from '../../../shared/types/floating.ts';
import type { PreparedQueryDefinition, QueryService } from '../../../shared/types/prepared-query.ts';
import type { TxnCheckOp, TxnKvOp, TxnNodeOp, TxnServiceOp } from '../../../shared/types/txn.ts';
import type { DeregisterRequest, RegisterRequest } from '../../../shared/types/v1.ts';
import { EMPTY_PROXY } from '../../../shared/types/v1.ts';
import type {
  HealthServiceArgs,
  KvApplyArgs,
  KvVerb,
  ServiceArgs,
  SessionCreateArgs,
} from '../../rpc/endpoints.ts';
import { NO_MODIFIERS } from '../../rpc/endpoints.ts';
import type { CheckRegistration, ServiceRegistration } from '../../state/catalog-records.ts';

export function registration(node: string, rest: Partial<RegisterRequest> = {}): RegisterRequest {
  return {
    Datacenter: '',
    ID: '',
    Node: node,
    Address: '10.0.0.1',
    TaggedAddresses: null,
    NodeMeta: null,
    Service: null,
    Check: null,
    Checks: null,
    SkipNodeUpdate: false,
    ...rest,
  };
}

export function service(
  id: string,
  name: string,
  rest: Partial<ServiceRegistration> = {},
): ServiceRegistration {
  return {
    ID: id,
    Service: name,
    Tags: null,
    Address: '',
    Meta: null,
    Port: 0,
    Weights: { Passing: 1, Warning: 1 },
    EnableTagOverride: false,
    Proxy: EMPTY_PROXY,
    Connect: {},
    ...rest,
  };
}

export function check(id: string, status: string, rest: Partial<CheckRegistration> = {}): CheckRegistration {
  return {
    Node: '',
    CheckID: id,
    Name: id,
    Status: status,
    Notes: '',
    Output: '',
    ServiceID: '',
    ServiceName: '',
    ServiceTags: null,
    Type: '',
    Definition: {},
    ...rest,
  };
}

export function deregistration(node: string, rest: Partial<DeregisterRequest> = {}): DeregisterRequest {
  return { Datacenter: '', Node: node, ServiceID: '', CheckID: '', ...rest };
}

export function kvWrite(verb: KvVerb, key: string, value = '', rest: Partial<KvApplyArgs> = {}): KvApplyArgs {
  return { verb, key, value: Buffer.from(value), flags: 0, index: 0, session: '', ...rest };
}

export function sessionArgs(node: string, rest: Partial<SessionCreateArgs> = {}): SessionCreateArgs {
  return {
    name: '',
    node,
    lockDelayNs: 15e9,
    behavior: '',
    ttl: '',
    nodeChecks: [],
    serviceChecks: null,
    checks: undefined,
    ...rest,
  };
}

export function serviceArgs(name: string, rest: Partial<ServiceArgs> = {}): ServiceArgs {
  return { service: name, tags: [], kind: 'service', ...NO_MODIFIERS, ...rest };
}

export function healthArgs(name: string, rest: Partial<HealthServiceArgs> = {}): HealthServiceArgs {
  return { ...serviceArgs(name), passingOnly: false, ...rest };
}

export function txnKv(verb: string, key: string, rest: Partial<TxnKvOp> = {}): TxnKvOp {
  return { kind: 'kv', verb, key, value: null, flags: 0, index: '0', session: '', ...rest };
}

export function txnNode(
  verb: string,
  name: string,
  rest: Partial<TxnNodeOp['node']> = {},
  index = '0',
): TxnNodeOp {
  const node = {
    ID: '',
    Node: name,
    Address: '',
    Datacenter: '',
    TaggedAddresses: null,
    Meta: null,
    ...rest,
  };
  return { kind: 'node', verb, node, index };
}

export function txnService(
  verb: string,
  node: string,
  registered: ServiceRegistration,
  index = '0',
): TxnServiceOp {
  return { kind: 'service', verb, node, service: registered, index };
}

export function txnCheck(verb: string, registered: CheckRegistration, index = '0'): TxnCheckOp {
  return { kind: 'check', verb, check: registered, index };
}

export const NO_TEMPLATE: PreparedQueryDefinition['Template'] = {
  Type: '',
  Regexp: '',
  RemoveEmptyTags: false,
};

/** A query for the service `web`. */
export function preparedQuery(
  name: string,
  rest: Partial<Omit<PreparedQueryDefinition, 'Service'>> = {},
  looksFor: Partial<QueryService> = {},
): PreparedQueryDefinition {
  return {
    ID: '',
    Name: name,
    Session: '',
    Token: '',
    Template: NO_TEMPLATE,
    Service: {
      Service: 'web',
      Failover: { NearestN: 0, Datacenters: null },
      OnlyPassing: false,
      IgnoreCheckIDs: null,
      Near: '',
      Tags: null,
      NodeMeta: null,
      ServiceMeta: null,
      Connect: false,
      ...looksFor,
    },
    DNS: { TTL: '' },
    ...rest,
  };
}

export function floatingPart(
  registered: ServiceRegistration,
  checks: readonly FloatingCheck[],
  token = '',
): FloatingPart {
  return {
    service: { ...registered, CreateIndex: 0, ModifyIndex: 0 },
    token,
    isSidecar: false,
    checks,
  };
}

/** A TTL check of a service. */
export function floatingCheck(id: string, serviceId: string, status: string): FloatingCheck {
  return {
    check: { ...check(id, status, { ServiceID: serviceId }), CreateIndex: 0, ModifyIndex: 0 },
    definition: { ...EMPTY_CHECK_DEFINITION, id, name: id, serviceId, ttlMs: 10_000 },
  };
}
