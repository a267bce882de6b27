/** What the rest of the agent knows of membership: one gossip pool (LAN or WAN). */

import type { Coordinate } from '../../shared/types/v1.ts';

export type MemberStatus = 'none' | 'alive' | 'leaving' | 'left' | 'failed';

/** The number of each status on the wire and in `/v1/agent/members`. */
export const MEMBER_STATUS_NUMBER: Readonly<Record<MemberStatus, number>> = {
  none: 0,
  alive: 1,
  leaving: 2,
  left: 3,
  failed: 4,
};

export interface GossipMember {
  readonly name: string;
  /** IP text, no port. */
  readonly address: string;
  readonly port: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly status: MemberStatus;
  /** Protocol min, max, current, delegate min, max, current. */
  readonly versions: readonly [number, number, number, number, number, number];
}

export type GossipEvent =
  | {
      readonly kind: 'member-join' | 'member-leave' | 'member-failed' | 'member-update' | 'member-reap';
      readonly members: readonly GossipMember[];
    }
  | { readonly kind: 'user'; readonly lTime: bigint; readonly name: string; readonly payload: Uint8Array };

/** Timers of the failure detector and dissemination, milliseconds (reference: timer profiles). */
export interface GossipTimers {
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
  readonly suspicionMult: number;
  readonly gossipIntervalMs: number;
  readonly gossipNodes: number;
  readonly retransmitMult: number;
  readonly pushPullIntervalMs: number;
  readonly gossipToTheDeadMs: number;
  readonly tcpTimeoutMs: number;
  readonly reconnectIntervalMs: number;
  readonly reconnectTimeoutMs: number;
  readonly tombstoneTimeoutMs: number;
  readonly leavePropagateDelayMs: number;
}

export interface GossipConfig {
  readonly pool: 'lan' | 'wan';
  readonly nodeName: string;
  /** IP to listen on, UDP and TCP on one port. */
  readonly bindAddress: string;
  readonly bindPort: number;
  /** IP that others use. */
  readonly advertiseAddress: string;
  readonly advertisePort: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly timers: GossipTimers;
  /** AES keys, 16, 24 or 32 bytes each, primary first; empty means no encryption. */
  readonly keys: readonly Uint8Array[];
  readonly encryptVerifyIncoming: boolean;
  readonly encryptVerifyOutgoing: boolean;
  /** Text file of known members and clocks, such as `serf/local.snapshot`; undefined keeps nothing. */
  readonly snapshotPath: string | undefined;
  readonly rejoinAfterLeave: boolean;
  /** JSON keyring file; undefined keeps keys in memory only. */
  readonly keyringPath: string | undefined;
  /**
   * Decides on members heard of: an error text refuses the whole merge (join) or the single alive message.
   * `isJoin` is true for a join push/pull with the complete remote list.
   */
  readonly mergeCheck: (members: readonly GossipMember[], isJoin: boolean) => string | undefined;
  /** Which IP addresses may announce members and be announced; undefined: all. */
  readonly isAllowedAddress?: ((address: string) => boolean) | undefined;
}

export interface GossipPool {
  /** Binds UDP and TCP. Rejects with the system's error, naming address and port. */
  start(): Promise<void>;
  /**
   * Push/pull join with every address (`host`, `host:port`, `[v6]:port`, `name/host:port`; DNS names: all results).
   * @returns how many answered
   * @throws Error when none did: `1 error occurred:\n\t* Failed to join 127.0.0.1: dial tcp 127.0.0.1:1: connect: connection refused\n\n`
   */
  join(addresses: readonly string[], ignoreOldEvents: boolean): Promise<number>;
  /** Announces the departure and waits until it has spread (bounded). The pool still answers until `shutdown`. */
  leave(): Promise<void>;
  /** Closes sockets and timers. Idempotent. */
  shutdown(): Promise<void>;
  members(): readonly GossipMember[];
  localMember(): GossipMember;
  /** Replaces the local tags and announces them. */
  setTags(tags: Readonly<Record<string, string>>): void;
  /** Moves a failed member to left; with `prune` erases it. @throws Error `No node found with name 'x'` */
  forceLeave(name: string, prune: boolean): Promise<void>;
  /** @throws Error when name and payload exceed the size limits */
  fireEvent(name: string, payload: Uint8Array, coalesce: boolean): void;
  coordinate(): Coordinate;
  /** The last coordinate heard from a member; undefined when none. */
  coordinateOf(name: string): Coordinate | undefined;
  /** Rows of `info`, section serf_lan or serf_wan: keys in Consul's spelling, values text. */
  stats(): Readonly<Record<string, string>>;
  /** @returns a function that ends the subscription */
  subscribe(listener: (event: GossipEvent) => void): () => void;
  /** Join attempts to members remembered in the snapshot file; resolves with how many answered. */
  rejoinFromSnapshot(): Promise<number>;
}
