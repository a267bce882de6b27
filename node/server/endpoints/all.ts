/** Every endpoint that is answered from the state or through the log. */

import type { AnyReadHandler, AnyWriteHandler } from '../handlers.ts';
import * as autopilot from './autopilot.ts';
import * as catalog from './catalog.ts';
import * as configEntry from './config-entry.ts';
import * as coordinate from './coordinate.ts';
import * as dump from './dump.ts';
import * as floating from './floating.ts';
import * as health from './health.ts';
import * as kv from './kv.ts';
import * as preparedQuery from './prepared-query.ts';
import * as session from './session.ts';
import * as txn from './txn.ts';
import * as writeSession from './write-session.ts';

/** Reads; each may throw a `ConsulError` for arguments that Consul refuses. */
export const READ_HANDLERS: readonly AnyReadHandler[] = [
  catalog.listNodesHandler,
  catalog.listServicesHandler,
  catalog.serviceNodesHandler,
  catalog.nodeServicesHandler,
  catalog.nodeServiceListHandler,
  catalog.listDatacentersHandler,
  floating.onNodeHandler,
  floating.getHandler,
  floating.placeHandler,
  floating.listHandler,
  health.nodeChecksHandler,
  health.serviceChecksHandler,
  health.checksInStateHandler,
  health.serviceHealthHandler,
  kv.getHandler,
  kv.listHandler,
  kv.listKeysHandler,
  session.getHandler,
  session.listHandler,
  session.nodeSessionsHandler,
  coordinate.listNodesHandler,
  txn.readHandler,
  preparedQuery.getHandler,
  preparedQuery.listHandler,
  preparedQuery.explainHandler,
  preparedQuery.executeHandler,
  preparedQuery.executeRemoteHandler,
  configEntry.getHandler,
  configEntry.listHandler,
  configEntry.gatewayServicesHandler,
  configEntry.gatewaySummaryHandler,
  dump.serviceDumpHandler,
  dump.serviceSummaryHandler,
  dump.nodeDumpHandler,
  dump.nodeInfoHandler,
  dump.serviceAtAddressHandler,
  autopilot.getHandler,
];

/** Writes through the log. */
export const WRITE_HANDLERS: readonly AnyWriteHandler[] = [
  catalog.registerHandler,
  catalog.deregisterHandler,
  floating.registerHandler,
  floating.checksHandler,
  floating.assignHandler,
  floating.deregisterHandler,
  kv.applyHandler,
  session.createHandler,
  session.destroyHandler,
  coordinate.updateHandler,
  txn.applyHandler,
  preparedQuery.applyHandler,
  configEntry.applyHandler,
  autopilot.setHandler,
  writeSession.openHandler,
];
