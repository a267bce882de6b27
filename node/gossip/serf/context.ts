/** What the parts of the serf layer share, and what goes in and out of it. */

import type { Random } from '../../../shared/env.ts';
import type { LogLevel } from '../../../shared/log.ts';
import type { Keyring } from '../codec/keyring.ts';
import type { NodeSnapshot } from '../swim/context.ts';
import type { GossipEvent, GossipTimers } from '../types.ts';

export interface SerfConfig {
  readonly nodeName: string;
  readonly address: Uint8Array;
  readonly port: number;
  readonly timers: GossipTimers;
  readonly keyring: Keyring;
  /** Clocks remembered from an earlier run, 0 when none. */
  readonly clocks: { readonly member: bigint; readonly event: bigint; readonly query: bigint };
}

export type SerfInput =
  | { readonly kind: 'start' }
  | { readonly kind: 'tick' }
  | { readonly kind: 'joined' | 'updated' | 'gone'; readonly node: NodeSnapshot }
  | { readonly kind: 'conflict'; readonly known: NodeSnapshot; readonly host: string; readonly port: number }
  | {
      readonly kind: 'round-trip';
      readonly node: NodeSnapshot;
      readonly elapsedMs: number;
      readonly payload: Uint8Array;
    }
  /** A user message from the net, type byte of the membership layer removed. */
  | { readonly kind: 'user-message'; readonly bytes: Uint8Array }
  /** The user state of a push/pull. */
  | {
      readonly kind: 'merge';
      readonly bytes: Uint8Array;
      readonly isJoin: boolean;
      readonly ignoreOldEvents: boolean;
    }
  /** A join has worked: tell everyone. */
  | { readonly kind: 'announce-join' }
  | { readonly kind: 'leave' }
  /** The departure has spread. */
  | { readonly kind: 'left' }
  | { readonly kind: 'force-leave'; readonly name: string; readonly prune: boolean; readonly token: number }
  | {
      readonly kind: 'fire-event';
      readonly name: string;
      readonly payload: Uint8Array;
      readonly coalesce: boolean;
    }
  | {
      readonly kind: 'query';
      readonly name: string;
      readonly payload: Uint8Array;
      readonly relayFactor: number;
      readonly token: number;
    };

export type SerfEffect =
  | { readonly kind: 'event'; readonly event: GossipEvent }
  | { readonly kind: 'log'; readonly level: LogLevel; readonly message: string }
  /** Send a user message directly. */
  | {
      readonly kind: 'send-user';
      readonly host: string;
      readonly port: number;
      readonly payload: Uint8Array;
    }
  /** Try a join push/pull with a failed member. */
  | { readonly kind: 'reconnect'; readonly name: string; readonly host: string; readonly port: number }
  | { readonly kind: 'leave-sent' }
  | { readonly kind: 'force-leave-sent'; readonly token: number }
  | { readonly kind: 'query-seen'; readonly lTime: bigint }
  | {
      readonly kind: 'query-done';
      readonly token: number;
      /** Payload by answering member. */
      readonly answers: ReadonlyMap<string, Uint8Array>;
    }
  | { readonly kind: 'keyring-changed' };

export interface SerfContext {
  readonly config: SerfConfig;
  readonly random: Random;
  nowMs: number;
  readonly effects: SerfEffect[];
}

export function log(context: SerfContext, level: LogLevel, message: string): void {
  context.effects.push({ kind: 'log', level, message });
}
