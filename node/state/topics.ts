/** Names of everything that can change. The functions here are the only makers of a `Topic`. */

import { byteText, nameKey } from './byte-text.ts';
import type { Topic } from './types.ts';

/** Prefixes of topics that `WatchRegistry` treats on their own. */
export const KV_KEY_PREFIX = 'kv:';
export const KV_TREE_PREFIX = 'kv-tree:';

export const topic = {
  /** Any node record. */
  nodes: 'nodes',
  /** Any service instance. */
  services: 'services',
  /** Any session created or ended. */
  sessions: 'sessions',
  /** Any coordinate. */
  coordinates: 'coordinates',
  /** Any prepared query. */
  queries: 'queries',
  /** Any configuration entry. */
  configEntries: 'config-entries',
  /** The autopilot configuration. */
  autopilot: 'autopilot',
  /** Any placement of a floating service. */
  floating: 'floating',

  /** The node's record, its services, its coming and going. */
  node: (name: string): Topic => `node:${nameKey(name)}`,
  /** Instances of a service and the records of their nodes. */
  service: (name: string): Topic => `service:${nameKey(name)}`,
  /** As `service`, and the checks of its instances and of their nodes. */
  serviceHealth: (name: string): Topic => `service-health:${nameKey(name)}`,
  /** Proxies and native instances for a service, with their nodes and checks. */
  connect: (name: string): Topic => `connect:${nameKey(name)}`,
  /** Checks attached to instances of a service. */
  serviceChecks: (name: string): Topic => `service-checks:${nameKey(name)}`,
  /** All checks on a node. */
  nodeChecks: (node: string): Topic => `node-checks:${nameKey(node)}`,
  /** Checks in a state, of which case counts; `any`: all checks. */
  checksInState: (state: string): Topic => `state-checks:${state}`,

  kvKey: (key: string): Topic => KV_KEY_PREFIX + byteText(key),
  /** All keys that start with the prefix. */
  kvTree: (prefix: string): Topic => KV_TREE_PREFIX + byteText(prefix),

  /** Floating services placed on a node. */
  floatingOn: (node: string): Topic => `floating-on:${nameKey(node)}`,

  session: (id: string): Topic => `session:${id.toLowerCase()}`,
  query: (id: string): Topic => `query:${id.toLowerCase()}`,
  nodeSessions: (node: string): Topic => `node-sessions:${nameKey(node)}`,
} as const;
