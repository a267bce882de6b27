/** What the rest of the agent knows of consensus: the replicated log as a service. */

declare const brand: unique symbol;
type Branded<T, Name extends string> = T & { readonly [brand]: Name };

/** A Raft term, integer ≥ 0. */
export type Term = Branded<number, 'Term'>;
/** A position in the log, integer ≥ 0; the first entry is 1. */
export type LogIndex = Branded<number, 'LogIndex'>;
/** A server's node UUID; peers are identified by it, addresses may change. */
export type NodeId = Branded<string, 'NodeId'>;

export interface RaftPeer {
  readonly id: NodeId;
  /** `host:port` of the peer's RPC listener. */
  readonly address: string;
  /** A learner receives the log but neither votes nor counts towards a quorum. */
  readonly isVoter: boolean;
}

/** The state that the log drives. Calls never overlap. */
export interface StateMachine {
  /**
   * Applies one committed command. Must depend on nothing but its arguments and earlier calls.
   * @returns what the proposer's `propose` resolves to; a refusal is a returned value, not an exception
   * @throws only when an invariant is broken: the process then stops, because going on would corrupt
   */
  apply(data: Uint8Array, index: LogIndex, term: Term): unknown;
  /** Called once after each run of `apply` calls, and after `restore`: the moment to wake watchers. */
  applied(lastIndex: LogIndex): void;
  /** A point-in-time view, taken without a pause, read while later entries are applied. */
  snapshot(): SnapshotView;
  /** Replaces the whole state. On failure the old state stays. */
  restore(chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

export interface SnapshotView {
  /** The state in pieces of at most 1 MiB, each good only until the next is asked for: they may share memory. */
  chunks(): AsyncIterable<Uint8Array>;
  /** Lets go of the view; called exactly once. */
  release(): void;
}

/** A connected byte stream to a peer, already past TLS and preface. Ends by `close`; errors end it too. */
export interface PeerStream {
  /** Writes in order. Returns false when the caller should pause until `onDrain`. Never throws. */
  write(bytes: Uint8Array): boolean;
  onData(receive: (bytes: Uint8Array) => void): void;
  onDrain(resume: () => void): void;
  onClose(closed: (error?: Error) => void): void;
  close(): void;
}

/** How the Raft driver reaches its peers. Implemented over the RPC port; in the simulator over a simulated network. */
export interface PeerNetwork {
  /** Opens a stream for Raft messages to the peer. Rejects when it cannot be reached. */
  dial(peer: RaftPeer): Promise<PeerStream>;
  /** Registers who gets the streams that other peers opened. */
  onStream(accept: (stream: PeerStream) => void): void;
}

export type RaftRole = 'follower' | 'candidate' | 'leader';

export interface RaftStatus {
  readonly role: RaftRole;
  readonly term: Term;
  readonly leader: { readonly id: NodeId; readonly address: string } | undefined;
  readonly lastLogIndex: LogIndex;
  readonly lastLogTerm: Term;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly lastSnapshotIndex: LogIndex;
  readonly lastSnapshotTerm: Term;
  /** Entries accepted from the log but not yet applied. */
  readonly fsmPending: number;
  readonly peers: readonly RaftPeer[];
  readonly configurationIndex: LogIndex;
  /** Since this server last heard from a leader: 0 on the leader, undefined when it never did. */
  readonly lastContactMs: number | undefined;
  /** On the leader, per peer: how far it is and when it last answered. Empty elsewhere. */
  readonly progress: ReadonlyMap<NodeId, { readonly matchIndex: LogIndex; readonly lastContactMs: number }>;
}

export type RaftEvent =
  /** This server's role, term or known leader changed. */
  | {
      readonly kind: 'leadership';
      readonly role: RaftRole;
      readonly term: Term;
      readonly leader: RaftStatus['leader'];
    }
  /** A membership entry took effect. */
  | { readonly kind: 'configuration'; readonly peers: readonly RaftPeer[] }
  /** Storage or an invariant failed; the process must stop. */
  | { readonly kind: 'fatal'; readonly error: Error };

export type MembershipChange =
  | { readonly kind: 'add'; readonly peer: RaftPeer }
  | { readonly kind: 'remove'; readonly id: NodeId };

/**
 * One server's part in the consensus. Failures are `ConsulError`s from shared/errors:
 * `not-leader` (nothing was appended), `outcome-unknown` (leadership was lost after the append; text
 * "leadership lost while committing log"), `shutting-down`, `too-large`.
 */
export interface RaftNode {
  /** Opens the log, replays the newest snapshot and what follows it into the state machine, starts timers. */
  start(): Promise<void>;
  /** Stops timers and I/O after what was accepted is on disk. Idempotent. */
  stop(): Promise<void>;
  /** Appends a command; resolves with what `StateMachine.apply` returned here once it is committed and applied. */
  propose(data: Uint8Array): Promise<{ readonly index: LogIndex; readonly result: unknown }>;
  /**
   * Confirms by a quorum round, shared by all who ask in the meantime, that this server still leads; one that does not
   * lead has its leader do so, with one message for all who ask in a turn.
   * @returns the applied index here, at least the leader's commit index at the time of the call
   */
  readBarrier(): Promise<LogIndex>;
  /** True while the leader lease holds: no other leader can exist within the stated clock error. */
  hasLease(): boolean;
  /** Whether there is any log entry, snapshot or vote on disk. */
  hasState(): boolean;
  /** Writes the first configuration. Refused when `hasState()`. */
  bootstrap(peers: readonly RaftPeer[]): Promise<void>;
  /** Leader only; one at a time. Resolves when committed. Adding a known id changes its address or suffrage. */
  changeMembership(change: MembershipChange): Promise<void>;
  /** Leader only; to the most up-to-date voter unless named. Resolves when this server has stepped down. */
  transferLeadership(to?: NodeId): Promise<void>;
  /** Takes a snapshot now if anything was applied since the last one, and compacts the log. */
  takeSnapshot(): Promise<{ readonly index: LogIndex; readonly term: Term }>;
  status(): RaftStatus;
  /** @returns a function that ends the subscription */
  subscribe(listener: (event: RaftEvent) => void): () => void;
}
