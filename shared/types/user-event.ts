/** User events as agents keep them; `/v1/event/list` shows them under other names. */

export interface NewUserEvent {
  readonly name: string;
  /** null: there was none. */
  readonly payload: Uint8Array | null;
  /** Regular expressions over node name, service ID and tag; '' fits all. */
  readonly nodeFilter: string;
  readonly serviceFilter: string;
  readonly tagFilter: string;
}

export interface UserEvent extends NewUserEvent {
  /** UUID, lower case. */
  readonly id: string;
  readonly version: number;
  /** Lamport time at which it was heard; 0 for one that was only just fired. */
  readonly lTime: bigint;
}
