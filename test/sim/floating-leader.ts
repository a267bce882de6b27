/** The real duties of a leader, over a Raft node and a gossip pool that are none. */

import type { GossipPool } from '../../node/gossip/types.ts';
import type { NodeId, Term } from '../../node/raft/types.ts';
import { serverMember } from '../../node/rpc/server-members.ts';
import { CatalogReconciler, type LocalState } from '../../node/server/catalog-reconciler.ts';
import { DeadServers } from '../../node/server/dead-servers.ts';
import { FloatingMover } from '../../node/server/floating-mover.ts';
import { LeaderDuties } from '../../node/server/leader-duties.ts';
import { Leadership } from '../../node/server/leadership.ts';
import { RaftMembership } from '../../node/server/raft-membership.ts';
import { ServerHealthMonitor } from '../../node/server/server-health.ts';
import { SessionTimers } from '../../node/server/session-timers.ts';
import { FakeRaft } from '../../node/server/testing/fake-raft.ts';
import { TombstoneReaper } from '../../node/server/tombstone-reaper.ts';
import type { Env } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import { DEFAULT_AUTOPILOT } from '../../shared/types/autopilot.ts';

export interface LeaderOptions {
  readonly nodeName: string;
  readonly ownId: string;
  readonly term: number;
  readonly lan: GossipPool;
  /** The leader's own reads and writes. */
  readonly state: LocalState;
  readonly env: Env;
  readonly log: Logger;
}

/** Not started. Sessions, tombstones and dead servers are looked after too, but there are none. */
export function createLeaderDuties(options: LeaderOptions): LeaderDuties {
  const { nodeName, ownId, term, lan, state, env, log } = options;
  const servers = () => lan.members().flatMap((member) => serverMember(member) ?? []);
  const raft = new FakeRaft();
  raft.peers = servers().map(({ id, address }) => ({ id: id as NodeId, address, isVoter: true }));
  const leadership = new Leadership(raft, env);
  leadership.update({ kind: 'leadership', role: 'leader', term: term as Term, leader: undefined });
  const settings = () => ({ ...DEFAULT_AUTOPILOT, CleanupDeadServers: false });
  const members = () => lan.members();
  const nothing = async () => {};
  const isLeaving = () => false;
  const roster = new RaftMembership({ raft, ownId, env, log, settings, servers, isLeaving });
  const onDue = () => duties.reconcileSoon();
  const datacenter = 'dc1';
  const moving = { datacenter, state, members, moveAfterMs: 0, clock: env.clock, log, onDue };
  const floating = new FloatingMover(moving);
  const duties: LeaderDuties = new LeaderDuties({
    nodeName,
    raft,
    leadership,
    lan,
    state,
    membership: roster,
    floating,
    reconciler: new CatalogReconciler({ datacenter, ownName: nodeName, state, roster, floating, log }),
    sessions: new SessionTimers({ env, log, ttlMinMs: 10_000, destroy: nothing, exists: () => false }),
    tombstones: new TombstoneReaper({ env, appliedIndex: () => 0, reap: nothing }),
    health: new ServerHealthMonitor({ raft, ownId, env, settings, servers, heartbeatMs: 1000 }),
    deadServers: new DeadServers({
      raft,
      ownId,
      datacenter,
      env,
      log,
      settings,
      members,
      forceLeave: nothing,
      removePeer: nothing,
    }),
    settle: nothing,
    env,
    log,
    reconcileIntervalMs: 10_000,
  });
  return duties;
}
