/** What every write to the tables is given, and how it says no. */

import type { Tables } from './tables.ts';
import type { WatchRegistry } from './watch-registry.ts';

export interface Change {
  readonly tables: Tables;
  readonly watches: WatchRegistry;
  /** Log index of the command: becomes the ModifyIndex of what it changes. */
  readonly index: number;
  /** The proposer's wall clock when it made the command, milliseconds. */
  readonly nowMs: number;
}

/** The command can't be applied; `message` is what the caller sees. The same on every server. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

export const MISSING_NODE = 'Missing node registration';
export const MISSING_SERVICE = 'Missing service registration';
