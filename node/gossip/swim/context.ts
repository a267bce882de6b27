/** What the parts of the membership core share: configuration, tables, deadlines, and the effects of the step under way. */

import type { Random } from '../../../shared/env.ts';
import type { LogLevel } from '../../../shared/log.ts';
import type { Alive, SwimMessage } from '../codec/messages.ts';
import type { PushNodeState } from '../codec/push-pull.ts';
import type { GossipTimers } from '../types.ts';
import type { Awareness } from './awareness.ts';
import type { BroadcastQueue } from './broadcast-queue.ts';
import type { DeadlineQueue } from './deadline-queue.ts';
import type { NodeTable, SwimNode } from './node-table.ts';

export interface SwimConfig {
  readonly nodeName: string;
  /** What others use to reach this node. */
  readonly address: Uint8Array;
  readonly port: number;
  /** Stands in for a port of 0 in messages. */
  readonly bindPort: number;
  readonly meta: Uint8Array;
  readonly timers: GossipTimers;
  /** Bytes of messages that fit a packet, before compound framing. */
  readonly packetBytes: number;
}

/** What the layer above contributes, synchronously and without side effects outside itself. */
export interface SwimDelegate {
  /** User messages to spread, without their type byte; each costs its length plus `overhead` of `limit` bytes. */
  takeBroadcasts(overhead: number, limit: number): Uint8Array[];
  /** Rides on direct acks. */
  ackPayload(): Uint8Array;
  /** Why a node may not be a member; undefined when it may. */
  refusal(alive: Alive): string | undefined;
}

export type SwimInput =
  | { readonly kind: 'start' }
  /** Time has passed: whatever is due happens. */
  | { readonly kind: 'tick' }
  | { readonly kind: 'message'; readonly message: SwimMessage; readonly host: string; readonly port: number }
  | { readonly kind: 'tcp-ping-result'; readonly seqNo: number; readonly isReached: boolean }
  /** Another node's table, already checked against `mergeConflict`. */
  | { readonly kind: 'merge'; readonly nodes: readonly PushNodeState[] }
  | { readonly kind: 'set-meta'; readonly meta: Uint8Array }
  | { readonly kind: 'leave' };

export type SwimEffect =
  | {
      readonly kind: 'send';
      readonly host: string;
      readonly port: number;
      readonly messages: readonly Uint8Array[];
      /** The receiver is known to understand checksums. */
      readonly withCrc: boolean;
    }
  | {
      readonly kind: 'tcp-ping';
      readonly seqNo: number;
      readonly host: string;
      readonly port: number;
      readonly message: Uint8Array;
      readonly timeoutMs: number;
    }
  /** Exchange full states with this node. */
  | { readonly kind: 'push-pull'; readonly name: string; readonly host: string; readonly port: number }
  | { readonly kind: 'joined' | 'updated'; readonly node: NodeSnapshot }
  /** Dead or left; the layer above knows whether it meant to. */
  | { readonly kind: 'gone'; readonly node: NodeSnapshot }
  | { readonly kind: 'conflict'; readonly known: NodeSnapshot; readonly host: string; readonly port: number }
  /** A direct ping was answered. */
  | {
      readonly kind: 'round-trip';
      readonly node: NodeSnapshot;
      readonly elapsedMs: number;
      readonly payload: Uint8Array;
    }
  /** The own departure has been sent often enough, or nobody is there to hear it. */
  | { readonly kind: 'leave-announced' }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly message: string };

export type NodeSnapshot = Readonly<
  Pick<SwimNode, 'name' | 'address' | 'host' | 'port' | 'meta' | 'versions' | 'state' | 'incarnation'>
>;

export type Deadline =
  | { readonly kind: 'probe' | 'gossip' | 'push-pull' }
  | { readonly kind: 'probe-timeout' | 'probe-end' | 'relay-end'; readonly seqNo: number }
  | { readonly kind: 'suspicion'; readonly name: string };

export interface SwimContext {
  readonly config: SwimConfig;
  readonly random: Random;
  readonly delegate: SwimDelegate;
  readonly nodes: NodeTable;
  readonly broadcasts: BroadcastQueue;
  readonly awareness: Awareness;
  readonly deadlines: DeadlineQueue<Deadline>;
  /** The time of the step under way. */
  nowMs: number;
  /** The own announcements count up; others' accusations push it further. */
  incarnation: number;
  isLeaving: boolean;
  readonly effects: SwimEffect[];
}

export function log(context: SwimContext, level: LogLevel, message: string): void {
  context.effects.push({ kind: 'log', level, message });
}

export function snapshotOf(node: SwimNode): NodeSnapshot {
  const { name, address, host, port, meta, versions, state, incarnation } = node;
  return { name, address, host, port, meta, versions, state, incarnation };
}
