/** `ConfigEntry.*`, and what gateways expose. */

import { refused } from '../../../shared/errors.ts';
import { isConfigEntryKind } from '../../../shared/types/config-entry.ts';
import {
  type ConfigEntryApplyArgs,
  catalogGatewayServices,
  configEntryApply,
  configEntryGet,
  configEntryList,
  internalGatewayServiceSummary,
} from '../../rpc/config-endpoints.ts';
import { configEntriesOfKind, configEntry } from '../../state/config-entries.ts';
import { summarizeServices } from '../../state/dump-queries.ts';
import { gatewayInstances, gatewayServices } from '../../state/gateway-queries.ts';
import type { Command } from '../handlers.ts';
import { readFromTables, writeByCommand } from './define.ts';

export const getHandler = readFromTables(configEntryGet, (tables, args) => {
  refuseUnknownKind(args.kind);
  return configEntry(tables, args.kind, args.name);
});

export const listHandler = readFromTables(configEntryList, (tables, args) => {
  if (args.kind !== '') refuseUnknownKind(args.kind);
  return configEntriesOfKind(tables, args.kind);
});

export const applyHandler = writeByCommand(configEntryApply, applyCommand, (applied) => applied === true);

export const gatewayServicesHandler = readFromTables(catalogGatewayServices, (tables, args) =>
  gatewayServices(tables, args.gateway),
);

export const gatewaySummaryHandler = readFromTables(internalGatewayServiceSummary, (tables, args) => {
  const answer = gatewayInstances(tables, args.gateway);
  return { ...answer, value: summarizeServices(answer.value) };
});

/** @throws ConsulError */
function applyCommand(args: ConfigEntryApplyArgs): Command {
  if (args.op === 'delete') {
    refuseUnknownKind(args.kind);
    return { type: 'config-entry-delete', kind: args.kind, name: args.name };
  }
  refuseUnknownKind(args.entry.Kind);
  if (args.entry.Name === '') throw refused('Name is required');
  const ifModifyIndex = args.op === 'cas' ? { ifModifyIndex: args.index } : {};
  return { type: 'config-entry-set', entry: args.entry, ...ifModifyIndex };
}

function refuseUnknownKind(kind: string): void {
  if (!isConfigEntryKind(kind)) throw refused(`invalid config entry kind: ${kind}`);
}
