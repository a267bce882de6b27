/** Floating services: placed on an agent, moved by the leader, and the same wherever they are. */

import type {
  FloatingCheckChange,
  FloatingDeregistration,
  FloatingMove,
  FloatingPlace,
  FloatingRegistration,
  PlacedService,
} from '../../shared/types/floating.ts';
import { readEndpoint, writeEndpoint } from './endpoint.ts';
import type { NoArgs } from './endpoints.ts';

/** What a node is to carry, ordered by service ID. */
export const floatingOnNode = readEndpoint<{ readonly node: string }, FloatingPlace[]>('Floating.OnNode');
/** Those of the services that are on the node, as it needs them. */
export const floatingGet = readEndpoint<
  { readonly node: string; readonly ids: readonly string[] },
  PlacedService[]
>('Floating.Get');
/** Where a floating service is, by its ID or by that of one of its checks; null when there is none. */
export const floatingPlace = readEndpoint<
  { readonly kind: 'service' | 'check'; readonly id: string },
  FloatingPlace | null
>('Floating.Place');
export const floatingList = readEndpoint<NoArgs, FloatingPlace[]>('Floating.List');

/** The service as it is placed now. */
export const floatingRegister = writeEndpoint<FloatingRegistration, PlacedService>('Floating.Register');
export const floatingChecks = writeEndpoint<FloatingCheckChange, PlacedService>('Floating.Checks');
/** Of the leader: IDs of what was moved. */
export const floatingAssign = writeEndpoint<{ readonly moves: readonly FloatingMove[] }, string[]>(
  'Floating.Assign',
);
/** Index of the change; 0 when there is no such placement. */
export const floatingDeregister = writeEndpoint<FloatingDeregistration, number>('Floating.Deregister');
