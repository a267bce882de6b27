/** What the tables hold. All records, lists in them included, are immutable: a change replaces them. */

import type { Coordinate, HealthCheck, Node, Service, Session, Uint64 } from '../../shared/types/v1.ts';
import type { PackedBytes } from './packed-bytes.ts';

/** A node with the checks that are its own rather than a service's, ordered by check ID. */
export interface NodeRecord {
  readonly key: string;
  readonly node: Node;
  readonly checks: HealthCheck[];
}

/** A service instance with its checks, ordered by check ID. Its node's record is found under `nodeKey`. */
export interface InstanceRecord {
  readonly nodeKey: string;
  readonly service: Service;
  readonly checks: HealthCheck[];
}

/** `modifyIndex` never falls; `session` is '' when the key is not locked. */
export interface KvRecord {
  readonly key: string;
  readonly value: PackedBytes;
  readonly flags: Uint64;
  readonly lockIndex: number;
  readonly session: string;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** Until when a key can't be locked, by the wall clock of the leader that ended its lock. */
export interface LockDelay {
  readonly untilMs: number;
}

export interface CoordinateRecord {
  readonly Node: string;
  readonly Segment: string;
  readonly Coord: Coordinate;
}

/** A part of a snapshot that is being restored under this ID. */
export interface RestorePiece {
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** One tag of a service name, or, with `tag` undefined, the name itself; `count` instances have it. */
export interface TagRecord {
  readonly name: string;
  readonly tag: string | undefined;
  readonly count: number;
}

export type SessionRecord = Session;
