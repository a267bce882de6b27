/** The failures that callers of a `RaftNode` see. */

import { ConsulError } from '../../../shared/errors.ts';

/** Nothing was appended; another server may take it. */
export const notLeader = (text = 'node is not the leader'): ConsulError =>
  new ConsulError('not-leader', 500, text);

/** Appended, but this server lost the lead before it knew that a quorum has it. */
export const leadershipLost = (): ConsulError =>
  new ConsulError('outcome-unknown', 500, 'leadership lost while committing log');

export const shuttingDown = (): ConsulError =>
  new ConsulError('shutting-down', 500, 'raft is already shutdown');

export const tooLarge = (bytes: number, limit: number): ConsulError =>
  new ConsulError('too-large', 413, `command of ${bytes} bytes is larger than ${limit} bytes`);

export const overloaded = (text: string): ConsulError => new ConsulError('rate-limited', 503, text);
