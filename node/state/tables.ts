/** All tables of the replicated state with their secondary indexes, and how to return them to an earlier state. */

import type { AutopilotConfig } from '../../shared/types/autopilot.ts';
import type { ConfigEntry } from '../../shared/types/config-entry.ts';
import type { HealthCheck } from '../../shared/types/v1.ts';
import type { FloatingRecord } from './floating-records.ts';
import type { Checkpoint } from './ordered-map.ts';
import { OrderedMap } from './ordered-map.ts';
import type { PreparedQueryRecord } from './prepared-queries.ts';
import type {
  CoordinateRecord,
  InstanceRecord,
  KvRecord,
  LockDelay,
  NodeRecord,
  RestorePiece,
  SessionRecord,
  TagRecord,
} from './records.ts';
import type { RememberedWrite, WriteSession } from './write-sessions.ts';

/**
 * Each key is given as (part, part): parts are `nameKey`s unless said otherwise, joined by `compoundKey`.
 * Tables for prepared queries, configuration entries and ACLs belong here too, beside their file in this folder.
 *
 * Invariant: a secondary index holds exactly the records of its table that its comment says, the same objects.
 */
export class Tables {
  /** (node) */
  readonly nodes = new OrderedMap<NodeRecord>();
  /** (node ID), nodes that have one. */
  readonly nodesById = new OrderedMap<NodeRecord>();

  /** (node, service ID) */
  readonly instances = new OrderedMap<InstanceRecord>();
  /** (service name, node, service ID) */
  readonly instancesByName = new OrderedMap<InstanceRecord>();
  /** (service name that it stands for in the mesh, node, service ID), proxies and native instances. */
  readonly instancesByConnect = new OrderedMap<InstanceRecord>();
  /** (exact service name) counts its instances; (exact service name, exact tag) those with the tag. */
  readonly serviceTags = new OrderedMap<TagRecord>();

  /** (node, check ID) */
  readonly checks = new OrderedMap<HealthCheck>();
  /** (service name, node, check ID), checks of services. */
  readonly checksByService = new OrderedMap<HealthCheck>();
  /** (exact status, node, check ID) */
  readonly checksByState = new OrderedMap<HealthCheck>();

  /** byteText(key) */
  readonly kv = new OrderedMap<KvRecord>();
  /** (session ID, byteText(key)), keys that are locked. */
  readonly kvBySession = new OrderedMap<KvRecord>();
  /** byteText(key or prefix) that was deleted → index of the deletion. */
  readonly tombstones = new OrderedMap<number>();
  /** byteText(key) */
  readonly lockDelays = new OrderedMap<LockDelay>();

  /** (session ID) */
  readonly sessions = new OrderedMap<SessionRecord>();
  /** (node, session ID) */
  readonly sessionsByNode = new OrderedMap<SessionRecord>();
  /** (node, check ID, session ID), one entry for each check that a session depends on. */
  readonly sessionsByCheck = new OrderedMap<SessionRecord>();

  /** (query ID) */
  readonly preparedQueries = new OrderedMap<PreparedQueryRecord>();
  /** (query name), those that have one, templates included. */
  readonly preparedQueriesByName = new OrderedMap<PreparedQueryRecord>();
  /** (query name), templates; the name may be ''. */
  readonly preparedQueryTemplates = new OrderedMap<PreparedQueryRecord>();
  /** (session ID, query ID) */
  readonly preparedQueriesBySession = new OrderedMap<PreparedQueryRecord>();

  /** (exact kind, entry name) */
  readonly configEntries = new OrderedMap<ConfigEntry>();

  /** (service ID) of the main service. */
  readonly floating = new OrderedMap<FloatingRecord>();
  /** (service ID) of each of its services, sidecars included. */
  readonly floatingByService = new OrderedMap<FloatingRecord>();
  /** (check ID) of each of its checks. */
  readonly floatingByCheck = new OrderedMap<FloatingRecord>();
  /** (node that carries it, service ID of the main service) */
  readonly floatingByNode = new OrderedMap<FloatingRecord>();

  /** (node) */
  readonly coordinates = new OrderedMap<CoordinateRecord>();

  /** One record under `config`. */
  readonly autopilot = new OrderedMap<AutopilotConfig>();

  /** (sequence number, see `restore`): a snapshot to be restored, as far as it has come. */
  readonly restorePieces = new OrderedMap<RestorePiece>();

  /** (write session ID) */
  readonly writeSessions = new OrderedMap<WriteSession>();
  /** (write session ID, sequence number), writes that may be sent again, with their results. */
  readonly rememberedWrites = new OrderedMap<RememberedWrite>();

  /** Highest change index per table and per service name; names are made by `table-indexes`. */
  readonly indexes = new OrderedMap<number>();
}

/** Runs a change that throws when refused; what it had done until then is undone. */
export function transact<T>(tables: Tables, change: () => T): T {
  const saved = Object.values(tables).map((map: OrderedMap<unknown>) => ({ map, at: map.checkpoint() }));
  try {
    return change();
  } catch (thrown) {
    for (const { map, at } of saved) map.rollback(at as Checkpoint<unknown>);
    throw thrown;
  }
}
