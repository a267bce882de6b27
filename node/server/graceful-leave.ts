/** How a server leaves for good without hurting the others (reference: signals, leaving, exit codes). */

import { type Env, sleep } from '../../shared/env.ts';
import { toConsulError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { GossipPool } from '../gossip/types.ts';
import type { NodeId, RaftNode } from '../raft/types.ts';

const REMOVAL_WAIT_MS = 5000;
const REMOVAL_CHECK_MS = 50;

export interface LeaveOptions {
  readonly ownId: string;
  readonly raft: RaftNode;
  readonly lan: GossipPool;
  readonly wan: GossipPool | undefined;
  readonly env: Env;
  readonly log: Logger;
  readonly drainMs: number;
}

/** Steps that fail are logged and passed over: leaving goes on. */
export async function leaveCluster(options: LeaveOptions): Promise<void> {
  const { drainMs, env, lan, log, raft, wan } = options;
  const wasLeader = raft.status().role === 'leader';
  if (wasLeader && raft.status().peers.length > 1) {
    await attempt(log, 'failed to remove ourself as raft peer', () =>
      raft.changeMembership({ kind: 'remove', id: options.ownId as NodeId }),
    );
  }
  if (wan !== undefined) await attempt(log, 'failed to leave WAN Serf cluster', () => wan.leave());
  await attempt(log, 'failed to leave LAN Serf cluster', () => lan.leave());
  await sleep(env.clock, drainMs);
  if (!wasLeader) await untilRemoved(options);
}

/** The leader takes this server out of the configuration once it has seen that it left. */
async function untilRemoved({ env, log, ownId, raft }: LeaveOptions): Promise<void> {
  const endMs = env.clock.monotonicMs() + REMOVAL_WAIT_MS;
  while (raft.status().peers.some((peer) => peer.id === ownId)) {
    if (env.clock.monotonicMs() >= endMs) {
      log.warn('failed to leave raft configuration gracefully, timeout');
      return;
    }
    await sleep(env.clock, REMOVAL_CHECK_MS);
  }
}

async function attempt(log: Logger, failure: string, step: () => Promise<unknown>): Promise<void> {
  try {
    await step();
  } catch (error) {
    log.error(failure, { error: toConsulError(error).message });
  }
}
