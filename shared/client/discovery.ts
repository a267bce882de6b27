/** `/v1/catalog` and `/v1/health`: which services there are, where, and how they are. */

import type { NodeWithServices } from '../types/answers.ts';
import type { CatalogDeregistration, CatalogRegistration } from '../types/requests.ts';
import type { HealthCheck, HealthEntry, Node, ServiceNode } from '../types/v1.ts';
import { type Calls, part } from './calls.ts';
import type { Answer, Query, ReadOptions, WriteOptions } from './transport.ts';
import type { WatchOptions } from './watch.ts';

/** Which entries of a list. */
export interface Selection {
  /** A filter expression such as `Service.Meta.team == core`. */
  readonly filter?: string;
  /** Sorts by distance from this node; `_agent`: from the agent asked. */
  readonly near?: string;
  /** Nodes with all of this metadata. */
  readonly nodeMeta?: Readonly<Record<string, string>>;
}

export interface InstanceSelection extends Selection {
  /** All of these. */
  readonly tags?: readonly string[];
}

export interface HealthSelection extends InstanceSelection {
  /** Only instances whose checks all pass. */
  readonly passing?: boolean;
}

export interface CatalogClient {
  datacenters(options?: WriteOptions): Promise<string[]>;
  nodes(selection?: Selection & ReadOptions): Promise<Node[]>;
  /** Tags by service name. */
  services(options?: ReadOptions): Promise<Record<string, string[]>>;
  service(name: string, selection?: InstanceSelection & ReadOptions): Promise<ServiceNode[]>;
  /** undefined when there is no such node. */
  node(name: string, options?: ReadOptions): Promise<NodeWithServices | undefined>;
  register(registration: CatalogRegistration, options?: WriteOptions): Promise<void>;
  deregister(deregistration: CatalogDeregistration, options?: WriteOptions): Promise<void>;
  watchServices(options?: WatchOptions): AsyncGenerator<Answer<Record<string, string[]>>, void, void>;
  watchNodes(selection?: Selection & WatchOptions): AsyncGenerator<Answer<Node[]>, void, void>;
}

export interface HealthClient {
  /** Instances of a service with their checks. */
  service(name: string, selection?: HealthSelection & ReadOptions): Promise<HealthEntry[]>;
  /** Checks of a service. */
  checks(service: string, selection?: Selection & ReadOptions): Promise<HealthCheck[]>;
  node(name: string, options?: ReadOptions): Promise<HealthCheck[]>;
  state(
    state: 'any' | 'passing' | 'warning' | 'critical',
    selection?: Selection & ReadOptions,
  ): Promise<HealthCheck[]>;
  /** Follows the instances of a service. */
  watch(
    service: string,
    selection?: HealthSelection & WatchOptions,
  ): AsyncGenerator<Answer<HealthEntry[]>, void, void>;
}

export function createCatalogClient({ read, watch, write }: Calls): CatalogClient {
  return {
    datacenters: async (options) => (await read<string[]>('/v1/catalog/datacenters', {}, options)).value,
    nodes: async (given = {}) => {
      const { query, options } = splitSelection(given);
      return (await read<Node[]>('/v1/catalog/nodes', query, options)).value;
    },
    services: async (options) =>
      (await read<Record<string, string[]>>('/v1/catalog/services', {}, options)).value,
    service: async (name, given = {}) => {
      const { query, options } = splitSelection(given);
      return (await read<ServiceNode[]>(`/v1/catalog/service/${part(name)}`, query, options)).value;
    },
    node: async (name, options) =>
      (await read<NodeWithServices | null>(`/v1/catalog/node/${part(name)}`, {}, options)).value ?? undefined,
    register: async (registration, options) => {
      await write('PUT', '/v1/catalog/register', {}, registration, options);
    },
    deregister: async (deregistration, options) => {
      await write('PUT', '/v1/catalog/deregister', {}, deregistration, options);
    },
    watchServices: (options) => watch('/v1/catalog/services', {}, options),
    watchNodes: (given = {}) => {
      const { query, options } = splitSelection(given);
      return watch('/v1/catalog/nodes', query, options);
    },
  };
}

export function createHealthClient({ read, watch }: Calls): HealthClient {
  const checks = async (path: string, given: HealthSelection & ReadOptions = {}) => {
    const { query, options } = splitSelection(given);
    return (await read<HealthCheck[]>(path, query, options)).value;
  };
  return {
    service: async (name, given = {}) => {
      const { query, options } = splitSelection(given);
      return (await read<HealthEntry[]>(`/v1/health/service/${part(name)}`, query, options)).value;
    },
    checks: (service, given) => checks(`/v1/health/checks/${part(service)}`, given),
    node: (name, options) => checks(`/v1/health/node/${part(name)}`, options),
    state: (state, given) => checks(`/v1/health/state/${part(state)}`, given),
    watch: (service, given = {}) => {
      const { query, options } = splitSelection(given);
      return watch(`/v1/health/service/${part(service)}`, query, options);
    },
  };
}

function splitSelection<T extends object>(given: HealthSelection & T) {
  const { filter, near, nodeMeta, tags, passing, ...options } = given;
  const query: Query = {
    filter,
    near,
    'node-meta': Object.entries(nodeMeta ?? {}).map(([key, value]) => `${key}:${value}`),
    tag: tags,
    passing,
  };
  return { query, options };
}
