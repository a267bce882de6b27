/** Elections: who asks for votes, who grants them, and when a candidate has won. */

import type { NodeId } from '../types.ts';
import { quorumOf, voterIds } from './configuration.ts';
import { asTerm } from './entry.ts';
import type { VoteReply, VoteRequest } from './messages.ts';
import { voteHoldMs } from './options.ts';
import {
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  restartElectionTimer,
} from './roles.ts';
import { type CoreState, isSoleVoter, mayCampaign, send } from './state.ts';

/** The election timer fired, or `isForced`: the leader hands over. */
export function campaign(state: CoreState, isForced: boolean): void {
  // The log is about to be replaced: what it says about membership and about who is up to date is void.
  // What this server cannot store it must not promise, and its own vote is a promise.
  if (state.installing !== undefined || state.storage.isStuck || !mayCampaign(state)) {
    refuseToCampaign(state);
    return;
  }
  if (isSoleVoter(state) || isForced) startElection(state, isForced);
  else askForPreVotes(state);
}

function refuseToCampaign(state: CoreState): void {
  const hadLeader = state.leader !== undefined;
  const { peers } = state.configurations.current;
  if (state.installing === undefined && !mayCampaign(state) && !state.hasSaidIdle) {
    state.hasSaidIdle = true;
    state.outbox.notice({ kind: peers.length === 0 ? 'no-known-peers' : 'not-a-voter' });
  }
  if (hadLeader || state.role !== 'follower') becomeFollower(state, state.term, undefined);
  restartElectionTimer(state);
}

/** Asks whether a vote could be won, without raising the term, so that a cut-off server disturbs nobody on return. */
function askForPreVotes(state: CoreState): void {
  becomePreCandidate(state);
  // Asking again costs little, and who heard the leader a moment later than this server refuses only for that long.
  const { heartbeatMs } = state.options.timing;
  state.electionDeadlineMs = state.nowMs + heartbeatMs * (1 + state.options.random());
  requestVotes(state, true);
}

function startElection(state: CoreState, isForced: boolean): void {
  becomeCandidate(state);
  state.isForcedElection = isForced;
  requestVotes(state, false);
}

function requestVotes(state: CoreState, isPreVote: boolean): void {
  const { id } = state.options;
  const request: VoteRequest = {
    kind: 'vote-request',
    term: isPreVote ? asTerm(state.term + 1) : state.term,
    isPreVote,
    isForced: state.isForcedElection,
    lastIndex: state.log.lastIndex,
    lastTerm: state.log.lastTerm,
  };
  for (const voter of voterIds(state.configurations.current.peers))
    if (voter !== id) send(state, voter, request);
}

export function onVoteRequest(state: CoreState, from: NodeId, request: VoteRequest): void {
  if (!request.isForced && hearsLeader(state)) {
    refuse(state, from, request);
    return;
  }
  if (!request.isPreVote && request.term > state.term) becomeFollower(state, request.term, undefined);
  const isFree = request.isPreVote
    ? request.term > state.term
    : request.term === state.term && (state.vote === undefined || state.vote === from);
  if (!isFree || !state.log.isUpToDate(request.lastIndex, request.lastTerm)) {
    refuse(state, from, request);
    return;
  }
  if (!request.isPreVote) {
    if (state.vote === undefined) state.outbox.hardStateChanged();
    state.vote = from;
    restartElectionTimer(state);
  } else giveWay(state, from, request);
  const reply: VoteReply = {
    kind: 'vote-reply',
    term: request.term,
    isPreVote: request.isPreVote,
    granted: true,
  };
  send(state, from, reply);
}

/**
 * Who grants a pre-vote lets the asker go first, by one heartbeat: two that stand at once split the votes, which costs
 * more. Of two that ask each other at once, the one with the shorter log gives way, else the one with the greater id.
 * Only once a term, so that a server that cannot win keeps nobody from it.
 */
function giveWay(state: CoreState, to: NodeId, request: VoteRequest): void {
  if (state.gaveWayInTerm === state.term || state.role === 'leader' || state.role === 'candidate') return;
  const { log, options } = state;
  const isTie = request.lastTerm === log.lastTerm && request.lastIndex === log.lastIndex;
  if (state.role === 'pre-candidate' && isTie && options.id < to) return;
  state.gaveWayInTerm = state.term;
  if (state.role === 'pre-candidate') becomeFollower(state, state.term, undefined);
  const earliestMs = state.nowMs + options.timing.heartbeatMs * (1 + options.random());
  state.electionDeadlineMs =
    state.leader === undefined ? earliestMs : Math.max(state.electionDeadlineMs, earliestMs);
}

function refuse(state: CoreState, to: NodeId, request: VoteRequest): void {
  send(state, to, { kind: 'vote-reply', term: state.term, isPreVote: request.isPreVote, granted: false });
}

/**
 * Whether a leader is, or a moment ago was, at work. Votes are then kept back, whatever the term: that is what the
 * leader's lease relies on, and it spares a healthy cluster the elections of a server that cannot hear it.
 */
function hearsLeader(state: CoreState): boolean {
  return state.role === 'leader' || state.nowMs - state.lastContactMs < voteHoldMs(state.options.timing);
}

export function onVoteReply(state: CoreState, from: NodeId, reply: VoteReply): void {
  const isPreVote = state.role === 'pre-candidate';
  if (state.role !== 'candidate' && !isPreVote) return;
  if (reply.isPreVote !== isPreVote) return;
  if (reply.granted && reply.term !== (isPreVote ? state.term + 1 : state.term)) return;
  recordVote(state, from, reply.granted);
}

/** The write with this server's term and vote is on disk: a candidate's vote for itself counts now. */
export function countOwnVote(state: CoreState): void {
  if (state.role !== 'candidate' || !state.outbox.isHardStateDurable) return;
  if (!state.votes.has(state.options.id)) recordVote(state, state.options.id, true);
}

function recordVote(state: CoreState, from: NodeId, granted: boolean): void {
  // A pre-vote refused because the leader was just heard may be granted when asked again.
  if (state.role === 'pre-candidate' ? granted : !state.votes.has(from)) state.votes.set(from, granted);
  const voters = voterIds(state.configurations.current.peers);
  const tally = voters.filter((voter) => state.votes.get(voter) === true).length;
  const refusals = voters.filter((voter) => state.votes.get(voter) === false).length;
  if (tally >= quorumOf(voters.length)) {
    if (state.role === 'pre-candidate') startElection(state, false);
    else if (state.outbox.isHardStateDurable) becomeLeader(state, tally);
  } else if (state.role === 'candidate' && refusals >= quorumOf(voters.length)) {
    becomeFollower(state, state.term, undefined);
  }
}
