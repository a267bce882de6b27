/** Floating services: registrations that belong to the cluster and are carried by one agent at a time. */

import type { CheckDefinition } from './definitions.ts';
import type { HealthCheck, RegisterRequest, Service } from './v1.ts';

/** A check of a floating service: how it stands in the catalog, and how an agent runs it. */
export interface FloatingCheck {
  /** `Node` and the indexes are those of the catalog entry; in a registration they don't count. */
  readonly check: HealthCheck;
  /** null: nothing runs (maintenance mode). */
  readonly definition: CheckDefinition | null;
}

/** A service, or the sidecar that was registered with it, and its checks. */
export interface FloatingPart {
  readonly service: Service;
  /** For changes in the catalog; '' is the agent's own. */
  readonly token: string;
  readonly isSidecar: boolean;
  readonly checks: readonly FloatingCheck[];
}

/** Where a floating service is, and nothing else of it. */
export interface FloatingPlace {
  /** Service ID. */
  readonly id: string;
  /** Name of the node whose agent carries it. */
  readonly node: string;
  /** Index of the last change of the placement or of its definition: fences what the carrier tells the catalog. */
  readonly generation: number;
}

/** A floating service as its carrier needs it: every check with the status that the catalog has. */
export interface PlacedService extends FloatingPlace {
  /** Index since when it is on this node without a break. */
  readonly since: number;
  /** The service itself, then its sidecar if it has one. */
  readonly parts: readonly FloatingPart[];
}

export interface FloatingRegistration {
  /** The carrier's own entry, without services and checks. */
  readonly node: RegisterRequest;
  readonly parts: readonly FloatingPart[];
  /** Checks that the service has and the registration doesn't name go. */
  readonly replaceChecks: boolean;
}

/** Changes checks of a service while it is on this node. */
export interface FloatingCheckChange {
  readonly id: string;
  readonly node: string;
  readonly set: readonly FloatingCheck[];
  /** IDs of checks to be removed. */
  readonly remove: readonly string[];
}

export interface FloatingMove {
  readonly id: string;
  /** The placement that is to be moved: nothing happens when it has changed. */
  readonly generation: number;
  /** Where to. */
  readonly node: string;
}

export interface FloatingDeregistration {
  /** ID of the service, or of a sidecar, which then goes alone. */
  readonly id: string;
  /** Only while this is the placement's generation; 0: always. */
  readonly generation: number;
  /** The catalog entry stays: the service belongs to the agent that carries it from now on. */
  readonly release: boolean;
}

/** What a carrier is told whose placement is gone, elsewhere or newer than it knows. Followed by details. */
export const NOT_PLACED = 'floating service is not placed so';

/** What an agent is told that the leader still takes for dead. */
export const CARRIER_FAILED = 'the agent is not known to be alive, so it cannot carry floating services';
