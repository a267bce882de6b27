/** Operations on the servers themselves: events, gossip keys, autopilot, leadership, network coordinates. */

import type { AutopilotConfig, AutopilotSettings, ServerHealthReport } from '../../shared/types/autopilot.ts';
import type { Coordinate, Uint64 } from '../../shared/types/v1.ts';
import { readEndpoint, writeEndpoint } from './endpoint.ts';
import type { NoArgs } from './endpoints.ts';

/** Spreads a user event from the asked server on; `payload` is the whole encoded event. */
export const internalEventFire = writeEndpoint<{ readonly name: string; readonly payload: Uint8Array }, true>(
  'Internal.EventFire',
);

export type KeyringOperation = 'list' | 'install' | 'use' | 'remove';

export interface KeyringArgs {
  readonly operation: KeyringOperation;
  /** Base64 text; '' for `list`. */
  readonly key: string;
  /** 0–5. */
  readonly relayFactor: number;
}

/** What one pool answered, as `/v1/operator/keyring` lists it. */
export interface KeyringAnswer {
  readonly WAN: boolean;
  readonly Datacenter: string;
  readonly Messages: Readonly<Record<string, string>>;
  readonly Keys: Readonly<Record<string, number>>;
  readonly PrimaryKeys: Readonly<Record<string, number>>;
  readonly NumNodes: number;
  /** '' when all went well. */
  readonly Error: string;
}

/** On the LAN pool of the asked server. */
export const internalKeyringOperation = writeEndpoint<KeyringArgs, KeyringAnswer>(
  'Internal.KeyringOperation',
);

export const operatorAutopilotGet = readEndpoint<NoArgs, AutopilotConfig>(
  'Operator.AutopilotGetConfiguration',
);
/** `cas`: only when this is the current ModifyIndex. @returns whether it was stored */
export const operatorAutopilotSet = writeEndpoint<
  { readonly settings: AutopilotSettings; readonly cas: Uint64 | undefined },
  boolean
>('Operator.AutopilotSetConfiguration');
export const operatorServerHealth = readEndpoint<NoArgs, ServerHealthReport>('Operator.ServerHealth');

/** To the server with this ID; '': to the most up-to-date voter. */
export const operatorTransferLeader = writeEndpoint<{ readonly id: string }, true>('Operator.TransferLeader');

export interface DatacenterCoordinates {
  readonly Datacenter: string;
  readonly AreaID: string;
  readonly Coordinates: readonly {
    readonly Node: string;
    readonly Segment: string;
    readonly Coord: Coordinate;
  }[];
}

/** Servers of all datacenters where the WAN pool puts them. */
export const coordinateListDatacenters = readEndpoint<NoArgs, DatacenterCoordinates[]>(
  'Coordinate.ListDatacenters',
);
