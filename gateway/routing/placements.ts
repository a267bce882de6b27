/** Asks the servers which agent carries a floating service, so that nobody else has to be asked. */

import { NEVER_CANCELLED } from '../collapse/interest.ts';
import { EMPTY, headerOf, isWhole, NO_BODY, withoutHeaders } from '../exchange/exchange.ts';
import type { Forward, Incoming } from '../proxy/forward.ts';
import { splitTarget } from '../proxy/target.ts';
import { isRecord, parseJson } from '../upstream/pool-listing.ts';
import { classify } from './classify.ts';
import type { Asker, OwnedKind } from './owners.ts';
import { withToken } from './owners.ts';

export interface Placements {
  /**
   * Name of the node whose agent carries the service, or the service of the check. What any server knows, so it may
   * lag a little.
   *
   * @returns undefined when it is not floating, or nobody can say
   */
  find(kind: OwnedKind, id: string, asker: Asker): Promise<string | undefined>;
}

export interface PlacementsOptions {
  readonly forward: Forward;
  readonly nowMs: () => number;
}

/** Agents of a plain Consul have no such question; they are not asked again for a while. */
const PLAIN_CONSUL_MS = 30_000;

/** The question is the gateway's own: only the caller's token and address travel with it. */
const OWN: ReadonlySet<string> = new Set(['accept', 'accept-encoding', 'content-type', 'content-encoding']);

export function createPlacements({ forward, nowMs }: PlacementsOptions): Placements {
  let askAgainMs = 0;
  return {
    find: async (kind, id, asker) => {
      if (nowMs() < askAgainMs) return undefined;
      const path = `/v1/internal/proconsul/floating/${kind}/${encodeURIComponent(id)}?stale`;
      const answer = await forward(question(withToken(path, asker.token), asker));
      // Servers tell the index of what they looked at, found or not; who doesn't know the question can't.
      if (answer.status === 404 && headerOf(answer.headers, 'x-consul-index') === undefined)
        askAgainMs = nowMs() + PLAIN_CONSUL_MS;
      if (answer.status !== 200) return undefined;
      const place = parseJson(new TextDecoder().decode(isWhole(answer) ? answer.body : EMPTY));
      return isRecord(place) && typeof place.Node === 'string' ? place.Node : undefined;
    },
  };
}

function question(target: string, asker: Asker): Incoming {
  const kind = classify('GET', splitTarget(target));
  const headers = withoutHeaders(asker.headers, OWN);
  // Yesterday's answer is of no use here.
  const fresh = { ...kind, maxStaleMs: undefined };
  return { method: 'GET', target, headers, body: NO_BODY, kind: fresh, cancel: NEVER_CANCELLED };
}
