/** `Internal.*` and look-ups by address: reads of the catalog as a whole. */

import { applyFilter } from '../../../shared/filter/apply.ts';
import type { FilterKind } from '../../../shared/filter/fields.ts';
import {
  catalogServiceAtAddress,
  internalNodeDump,
  internalNodeInfo,
  internalServiceDump,
  internalServiceSummary,
} from '../../rpc/dump-endpoints.ts';
import {
  nodeDump,
  nodeInfo,
  serviceAtAddress,
  serviceDump,
  summarizeServices,
} from '../../state/dump-queries.ts';
import type { Answer } from '../../state/types.ts';
import { readFromTables } from './define.ts';

export const serviceDumpHandler = readFromTables(internalServiceDump, (tables, args) =>
  filtered('health-entry', args.filter, serviceDump(tables)),
);

export const serviceSummaryHandler = readFromTables(internalServiceSummary, (tables, args) => {
  const answer = filtered('health-entry', args.filter, serviceDump(tables));
  return { ...answer, value: summarizeServices(answer.value) };
});

export const nodeDumpHandler = readFromTables(internalNodeDump, (tables, args) =>
  filtered('node-info', args.filter, nodeDump(tables)),
);

export const nodeInfoHandler = readFromTables(internalNodeInfo, (tables, args) =>
  nodeInfo(tables, args.node),
);

export const serviceAtAddressHandler = readFromTables(catalogServiceAtAddress, (tables, args) =>
  serviceAtAddress(tables, args.address),
);

function filtered<T>(kind: FilterKind, filter: string, answer: Answer<T[]>): Answer<T[]> {
  return filter === '' ? answer : { ...answer, value: applyFilter(kind, filter, answer.value) };
}
