/** Join and leave intents: what members say about coming and going, ordered by Lamport time. */

import type { JoinIntent, LeaveIntent } from '../codec/serf-messages.ts';
import { log, type SerfContext } from './context.ts';
import { LamportClock } from './lamport-clock.ts';
import { type MemberTable, publicMember, type SerfMember } from './member-table.ts';
import { RecentIntents } from './recent-intents.ts';

export type PoolState = 'alive' | 'leaving' | 'left';

export interface IntentRules {
  readonly clock: LamportClock;
  readonly recent: RecentIntents;
  /** @returns whether the intent is news and should be passed on */
  hearJoin(intent: JoinIntent): boolean;
  hearLeave(intent: LeaveIntent): boolean;
}

/** What the intents need from the layer around them. */
export interface IntentSurroundings {
  poolState(): PoolState;
  /** Somebody says that we leave, which we don't. */
  refuteLeave(): void;
  /** Erases the member, if it is still gone by then. */
  prune(member: SerfMember): void;
}

export function createIntentRules(
  context: SerfContext,
  members: MemberTable,
  around: IntentSurroundings,
): IntentRules {
  const clock = new LamportClock();
  const recent = new RecentIntents();

  const hearJoin = (intent: JoinIntent): boolean => {
    clock.witness(intent.lTime);
    const member = members.get(intent.node);
    if (member === undefined) return recent.remember(intent.node, 'join', intent.lTime, context.nowMs);
    if (intent.lTime <= member.statusLTime) return false;
    member.statusLTime = intent.lTime;
    // The leave intent that this one overtakes was older.
    if (member.status === 'leaving') {
      member.status = 'alive';
      members.changed();
    }
    return true;
  };

  const hearLeave = (intent: LeaveIntent): boolean => {
    clock.witness(intent.lTime);
    const member = members.get(intent.node);
    if (member === undefined) return recent.remember(intent.node, 'leave', intent.lTime, context.nowMs);
    if (intent.lTime <= member.statusLTime) return false;
    if (intent.node === context.config.nodeName && around.poolState() === 'alive') {
      log(context, 'DEBUG', 'Refuting an older leave intent');
      around.refuteLeave();
      return false;
    }
    member.statusLTime = intent.lTime;
    if (member.status === 'alive') member.status = 'leaving';
    else if (member.status === 'failed') forceLeft(member);
    members.changed();
    if (intent.prune) around.prune(member);
    return true;
  };

  const forceLeft = (member: SerfMember): void => {
    member.status = 'left';
    log(context, 'INFO', `EventMemberLeave (forced): ${member.name} ${member.host}`);
    const event = { kind: 'member-leave', members: [publicMember(member)] } as const;
    context.effects.push({ kind: 'event', event });
  };

  return { clock, recent, hearJoin, hearLeave };
}
