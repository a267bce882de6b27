/** The objects of `/v1/internal/ui` as on the wire. */

import type { HealthCheck, Node, Service } from './v1.ts';

/** A node with everything on it. */
export interface NodeInfo {
  ID: string;
  Node: string;
  Address: string;
  TaggedAddresses: Node['TaggedAddresses'];
  Meta: Node['Meta'];
  Services: Service[];
  Checks: HealthCheck[];
}

/** All instances of a service name in numbers. Optional keys are absent when empty. */
export interface ServiceSummary {
  Kind?: string;
  Name: string;
  /** Sorted; null when there are none. */
  Tags: string[] | null;
  /** Sorted; a node is repeated for each of its instances. */
  Nodes: string[];
  InstanceCount: number;
  ProxyFor?: string[];
  /** Checks of instances, and those of their nodes once for each instance. */
  ChecksPassing: number;
  ChecksWarning: number;
  ChecksCritical: number;
  ExternalSources: string[] | null;
  GatewayConfig: { Addresses?: string[] };
}
