/** `/v1/agent`: services and checks of an agent, or of all agents as one when a gateway is asked. */

import type { AgentSelf, AgentService } from '../types/answers.ts';
import type { CheckRegistration, CheckUpdate, ServiceRegistration } from '../types/requests.ts';
import type { HealthCheck, Member } from '../types/v1.ts';
import { type Calls, part } from './calls.ts';
import type { WriteOptions } from './transport.ts';

type Signal = Pick<WriteOptions, 'signal'>;

export interface AgentServices {
  /** By ID. */
  list(filter?: string, options?: Signal): Promise<Record<string, AgentService>>;
  /** The same ID again replaces the service. With `replacesChecks`, checks that it doesn't name go. */
  register(
    registration: ServiceRegistration,
    options?: Signal & { readonly replacesChecks?: boolean },
  ): Promise<void>;
  deregister(id: string, options?: Signal): Promise<void>;
  setMaintenance(id: string, isOn: boolean, reason?: string, options?: Signal): Promise<void>;
}

/** `pass`, `warn`, `fail` and `update` are for TTL checks; a note becomes the check's output. */
export interface AgentChecks {
  /** By ID. */
  list(filter?: string, options?: Signal): Promise<Record<string, HealthCheck>>;
  register(registration: CheckRegistration, options?: Signal): Promise<void>;
  deregister(id: string, options?: Signal): Promise<void>;
  pass(id: string, note?: string, options?: Signal): Promise<void>;
  warn(id: string, note?: string, options?: Signal): Promise<void>;
  fail(id: string, note?: string, options?: Signal): Promise<void>;
  update(id: string, update: CheckUpdate, options?: Signal): Promise<void>;
}

export interface AgentClient {
  self(options?: Signal): Promise<AgentSelf>;
  members(options?: Signal): Promise<Member[]>;
  setMaintenance(isOn: boolean, reason?: string, options?: Signal): Promise<void>;
  readonly services: AgentServices;
  readonly checks: AgentChecks;
}

export function createAgentClient(calls: Calls): AgentClient {
  const { read, write } = calls;
  return {
    self: async (options) => (await read<AgentSelf>('/v1/agent/self', {}, options)).value,
    members: async (options) => (await read<Member[] | null>('/v1/agent/members', {}, options)).value ?? [],
    setMaintenance: (isOn, reason, options) =>
      write('PUT', '/v1/agent/maintenance', { enable: String(isOn), reason }, undefined, options),
    services: agentServices(calls),
    checks: agentChecks(calls),
  };
}

function agentServices({ read, write }: Calls): AgentServices {
  return {
    list: async (filter, options) =>
      (await read<Record<string, AgentService>>('/v1/agent/services', { filter }, options)).value,
    register: (registration, { replacesChecks = false, ...options } = {}) => {
      const query = { 'replace-existing-checks': replacesChecks };
      return write('PUT', '/v1/agent/service/register', query, registration, options);
    },
    deregister: (id, options) =>
      write('PUT', `/v1/agent/service/deregister/${part(id)}`, {}, undefined, options),
    setMaintenance: (id, isOn, reason, options) => {
      const query = { enable: String(isOn), reason };
      return write('PUT', `/v1/agent/service/maintenance/${part(id)}`, query, undefined, options);
    },
  };
}

function agentChecks({ read, write }: Calls): AgentChecks {
  const report = (verb: string) => (id: string, note?: string, options?: Signal) =>
    write<void>('PUT', `/v1/agent/check/${verb}/${part(id)}`, { note }, undefined, options);
  return {
    list: async (filter, options) =>
      (await read<Record<string, HealthCheck>>('/v1/agent/checks', { filter }, options)).value,
    register: (registration, options) => write('PUT', '/v1/agent/check/register', {}, registration, options),
    deregister: (id, options) =>
      write('PUT', `/v1/agent/check/deregister/${part(id)}`, {}, undefined, options),
    pass: report('pass'),
    warn: report('warn'),
    fail: report('fail'),
    update: (id, update, options) => write('PUT', `/v1/agent/check/update/${part(id)}`, {}, update, options),
  };
}
