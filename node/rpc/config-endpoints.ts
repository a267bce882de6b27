/** Configuration entries, and the services that gateways expose by them. */

import type { ConfigEntry, ConfigEntryDefinition, GatewayService } from '../../shared/types/config-entry.ts';
import type { ServiceSummary } from '../../shared/types/ui.ts';
import type { Uint64 } from '../../shared/types/v1.ts';
import { readEndpoint, writeEndpoint } from './endpoint.ts';

export type ConfigEntryApplyArgs =
  | { readonly op: 'upsert'; readonly entry: ConfigEntryDefinition }
  /** Only while the entry has this ModifyIndex; 0: only when there is none. */
  | { readonly op: 'cas'; readonly entry: ConfigEntryDefinition; readonly index: Uint64 }
  | { readonly op: 'delete'; readonly kind: string; readonly name: string };

/** Whether it took effect: false when a cas lost. */
export const configEntryApply = writeEndpoint<ConfigEntryApplyArgs, boolean>('ConfigEntry.Apply');
/** null when there is none. Names are in any case. */
export const configEntryGet = readEndpoint<
  { readonly kind: string; readonly name: string },
  ConfigEntry | null
>('ConfigEntry.Get');
/** Ordered by name; '' is a kind of which there are none. */
export const configEntryList = readEndpoint<{ readonly kind: string }, ConfigEntry[]>('ConfigEntry.List');

/** null when the gateway exposes nothing or is unknown. Ordered by service name. */
export const catalogGatewayServices = readEndpoint<{ readonly gateway: string }, GatewayService[] | null>(
  'Catalog.GatewayServices',
);
/** The services that a gateway exposes, summed up. */
export const internalGatewayServiceSummary = readEndpoint<{ readonly gateway: string }, ServiceSummary[]>(
  'Internal.GatewayServiceSummary',
);
