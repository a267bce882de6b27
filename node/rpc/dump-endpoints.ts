/** Reads of the whole catalog, for the web UI and for reverse look-ups. */

import type { NodeInfo, ServiceSummary } from '../../shared/types/ui.ts';
import type { HealthEntry } from '../../shared/types/v1.ts';
import { readEndpoint } from './endpoint.ts';

export interface DumpArgs {
  /** A filter expression over what is dumped, '' for none. */
  readonly filter: string;
}

/** Every instance with node and checks, ordered by node and service ID. */
export const internalServiceDump = readEndpoint<DumpArgs, HealthEntry[]>('Internal.ServiceDump');
/** `Internal.ServiceDump` summed up by service name: the filter is over its entries. Ordered by name. */
export const internalServiceSummary = readEndpoint<DumpArgs, ServiceSummary[]>('Internal.ServiceSummary');
/** Every node, ordered by name. */
export const internalNodeDump = readEndpoint<DumpArgs, NodeInfo[]>('Internal.NodeDump');
/** `[]` when the node is unknown, else one. */
export const internalNodeInfo = readEndpoint<{ readonly node: string }, NodeInfo[]>('Internal.NodeInfo');

/** The name of the first service instance with exactly this address of its own, '' when there is none. */
export const catalogServiceAtAddress = readEndpoint<{ readonly address: string }, string>(
  'Catalog.ServiceAtAddress',
);
