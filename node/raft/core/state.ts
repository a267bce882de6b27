/** Everything the core knows, as one record that the functions beside it work on. */

import type { LogIndex, NodeId, Term } from '../types.ts';
import { type ConfigurationHistory, isVoterIn } from './configuration.ts';
import type { HardState, SnapshotMeta } from './entry.ts';
import type { RaftLog } from './log.ts';
import type { Append, Message } from './messages.ts';
import type { CoreOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import type { Progress } from './progress.ts';
import { RemoteReads } from './remote-reads.ts';

/** As `RaftRole`, but a candidate first asks whether it could win (`pre-candidate`) before it raises the term. */
export type CoreRole = 'follower' | 'pre-candidate' | 'candidate' | 'leader';

/** A read that waits for its round: one of this server's own, or a batch of another's. */
export interface WaitingRead {
  readonly from: NodeId | undefined;
  readonly context: number;
}

export interface ReadRound {
  readonly round: number;
  readonly index: LogIndex;
  readonly reads: readonly WaitingRead[];
}

/** An append as it was last made, with what it was made from. */
export interface MadeAppend {
  readonly message: Append;
  readonly bytes: number;
  readonly maxEntries: number;
  readonly logEnd: LogIndex;
}

/** What exists only while this server leads. */
export interface Leadership {
  readonly electedAtMs: number;
  /** The no-op that opened the term. Nothing older is committed by counting, no read is served before it is. */
  readonly firstIndex: LogIndex;
  readonly progress: Map<NodeId, Progress>;
  /** Number of the newest quorum round; every message to a peer carries it. */
  round: number;
  nextHeartbeatMs: number;
  /** When followers are told of what is committed if no append does it sooner; undefined when all know. */
  commitNoticeAtMs: number | undefined;
  isHeartbeatDue: boolean;
  waitingReads: WaitingRead[];
  confirmingReads: ReadRound[];
  uncommittedBytes: number;
  lastAppend: MadeAppend | undefined;
  transfer: { readonly to: NodeId; readonly deadlineMs: number; isAsked: boolean } | undefined;
  /** After an aborted transfer: no lease until this peer has answered that round (see transfer.ts). */
  transferFence: { readonly to: NodeId; readonly round: number } | undefined;
}

export interface CoreState {
  readonly options: CoreOptions;
  /** Monotonic time of the current step. */
  nowMs: number;
  term: Term;
  vote: NodeId | undefined;
  role: CoreRole;
  leader: NodeId | undefined;
  readonly log: RaftLog;
  readonly configurations: ConfigurationHistory;
  commitIndex: LogIndex;
  /** The newest snapshot on disk. */
  snapshot: SnapshotMeta | undefined;
  /** Asked of the driver, not yet reported back. */
  installing: { readonly meta: SnapshotMeta; readonly from: NodeId } | undefined;
  /** When a leader was last heard; −Infinity when this server cannot have promised any leader anything. */
  lastContactMs: number;
  /** The same for people to read: undefined when no leader was heard since the start. */
  heardLeaderAtMs: number | undefined;
  electionDeadlineMs: number;
  /** The highest round seen from the current leader. */
  leaderRound: number;
  readonly votes: Map<NodeId, boolean>;
  /** The term in which this server last let another go first with its election. */
  gaveWayInTerm: Term | undefined;
  /** The election under way was asked for by the leader. */
  isForcedElection: boolean;
  /** That this server cannot stand for election was said since the membership last changed. */
  hasSaidIdle: boolean;
  /** Whether this server's log can be written, and until when it is not to be trusted with the lead. */
  readonly storage: { isStuck: boolean; ailingUntilMs: number };
  /** Reads at this server, which does not lead, that the leader is to confirm. */
  readonly remoteReads: RemoteReads;
  leadership: Leadership | undefined;
  readonly outbox: Outbox;
}

/** What was read from disk at start. */
export interface RestoredState {
  readonly hardState: HardState;
  readonly log: RaftLog;
  readonly configurations: ConfigurationHistory;
  /** At least the snapshot's index, at most the log's last. */
  readonly commitIndex: LogIndex;
  readonly snapshot: SnapshotMeta | undefined;
}

export function createState(options: CoreOptions, restored: RestoredState, nowMs: number): CoreState {
  return {
    options,
    nowMs,
    term: restored.hardState.term,
    vote: restored.hardState.vote,
    role: 'follower',
    leader: undefined,
    log: restored.log,
    configurations: restored.configurations,
    commitIndex: restored.commitIndex,
    snapshot: restored.snapshot,
    installing: undefined,
    // Before the restart this server may have answered a leader that now counts on its silence. Leaders' terms
    // start at 2, so below that there was none.
    lastContactMs: restored.hardState.term > 1 ? nowMs : Number.NEGATIVE_INFINITY,
    heardLeaderAtMs: undefined,
    electionDeadlineMs: nowMs,
    leaderRound: 0,
    votes: new Map(),
    gaveWayInTerm: undefined,
    isForcedElection: false,
    hasSaidIdle: false,
    storage: { isStuck: false, ailingUntilMs: Number.NEGATIVE_INFINITY },
    remoteReads: new RemoteReads(),
    leadership: undefined,
    outbox: new Outbox(restored.log.lastIndex),
  };
}

export function send(state: CoreState, to: NodeId, message: Message): void {
  state.outbox.send({ to, message });
}

export function isVoter(state: CoreState): boolean {
  return isVoterIn(state.configurations.current.peers, state.options.id);
}

/**
 * Whether this server may ask for votes. One that is about to be removed may, as long as it does not know that the
 * removal is committed: it can be the only one whose log is long enough to bring that about (thesis, §4.2.2).
 */
export function mayCampaign(state: CoreState): boolean {
  if (isVoter(state)) return true;
  const { current } = state.configurations;
  const isSettled = current.index <= state.commitIndex;
  return !isSettled && isVoterIn(state.configurations.at(state.commitIndex).peers, state.options.id);
}

/** Whether this server is the only voter, and so needs nobody's leave. */
export function isSoleVoter(state: CoreState): boolean {
  const voters = state.configurations.current.peers.filter((peer) => peer.isVoter);
  return voters.length === 1 && voters[0]?.id === state.options.id;
}
