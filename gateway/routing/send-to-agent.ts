/** One request to one agent and no other, its wait honoured. */

import type { Clock } from '../../shared/env.ts';
import type { Answer } from '../exchange/exchange.ts';
import { type Incoming, readRequest } from '../proxy/forward.ts';
import type { GatewaySettings } from '../settings/settings.ts';
import { askInLegs } from '../upstream/blocking.ts';
import type { PoolNode } from '../upstream/node-pool.ts';
import type { Send } from '../upstream/send.ts';

/**
 * @param limitMs how long a read that doesn't block may take to its first byte; the setting when absent
 * @throws ConsulError; `applied` is 'no' when the agent was certainly not reached
 */
export type SendToAgent = (node: PoolNode, incoming: Incoming, limitMs?: number) => Promise<Answer>;

/** What an agent answers from its own memory is there at once; one that takes longer is not well. */
export const LOCAL_ANSWER_MS = 2000;

export interface SendToAgentOptions {
  readonly send: Send;
  readonly settings: GatewaySettings;
  readonly clock: Clock;
}

export function createSendToAgent({ send, settings, clock }: SendToAgentOptions): SendToAgent {
  return (node, incoming, limitMs = settings.readTimeoutMs) => {
    const { kind, body, cancel } = incoming;
    const base = {
      ...readRequest(incoming, settings, cancel, 0),
      prefer: { kind: 'only', url: node.url } as const,
      replay: body.kind === 'stream' ? ('never' as const) : kind.replay,
      cancel: kind.isRead ? cancel : undefined,
    };
    if (!kind.isRead) return send({ ...base, timeoutMs: () => settings.writeTimeoutMs });
    if (kind.blocking === undefined) return send({ ...base, timeoutMs: () => limitMs });
    const legs = { legMs: settings.legMs, slackMs: settings.readTimeoutMs, clock };
    return askInLegs(incoming.target, kind.blocking, legs, (leg) => send({ ...base, ...leg, isWait: true }));
  };
}
