/** Catalog entries of agents that died: no agent is left to remove them, so the gateway does. */

import { NEVER_CANCELLED } from '../collapse/interest.ts';
import { type Answer, EMPTY, type HeaderList, isWhole, withoutHeaders } from '../exchange/exchange.ts';
import type { Forward, Incoming } from '../proxy/forward.ts';
import { splitTarget } from '../proxy/target.ts';
import type { NodePool } from '../upstream/node-pool.ts';
import { isRecord, parseJson } from '../upstream/pool-listing.ts';
import { classify } from './classify.ts';
import { type Asker, mapBounded, type OwnedKind, withToken } from './owners.ts';

export interface DeadEntries {
  /**
   * Deregisters what the catalog has under this ID on nodes whose agents are reported dead.
   *
   * @returns the catalog's answers, one for each entry; [] when there was none
   * @throws ConsulError when the catalog can't be reached
   */
  remove(kind: OwnedKind, id: string, asker: Asker): Promise<readonly Answer[]>;
}

export interface DeadEntriesOptions {
  readonly pool: NodePool;
  readonly forward: Forward;
}

/** Dead agents looked at at the same time. */
const PARALLEL = 16;

/** The questions and orders are the gateway's own; only the caller's token and address travel with them. */
const OWN: ReadonlySet<string> = new Set(['accept', 'accept-encoding', 'content-type', 'content-encoding']);

export function createDeadEntries({ pool, forward }: DeadEntriesOptions): DeadEntries {
  const isListed = async (node: string, kind: OwnedKind, id: string, asker: Asker): Promise<boolean> => {
    const path = kind === 'service' ? '/v1/catalog/node/' : '/v1/health/node/';
    const answer = await forward(ownRequest('GET', path + encodeURIComponent(node), EMPTY, asker));
    const listed = parseJson(new TextDecoder().decode(isWhole(answer) ? answer.body : EMPTY));
    if (kind === 'check')
      return Array.isArray(listed) && listed.some((check) => isRecord(check) && check.CheckID === id);
    return isRecord(listed) && isRecord(listed.Services) && Object.hasOwn(listed.Services, id);
  };
  const deregister = (node: string, kind: OwnedKind, id: string, asker: Asker): Promise<Answer> => {
    const order = { Node: node, [kind === 'service' ? 'ServiceID' : 'CheckID']: id };
    const body = new TextEncoder().encode(JSON.stringify(order));
    return forward(ownRequest('PUT', '/v1/catalog/deregister', body, asker));
  };
  return {
    remove: async (kind, id, asker) => {
      const answers = await mapBounded(pool.dead(), PARALLEL, async ({ name }) =>
        (await isListed(name, kind, id, asker)) ? [await deregister(name, kind, id, asker)] : [],
      );
      return answers.flat();
    },
  };
}

function ownRequest(method: string, path: string, body: Uint8Array, asker: Asker): Incoming {
  const target = withToken(path, asker.token);
  const headers: HeaderList = withoutHeaders(asker.headers, OWN);
  return {
    method,
    target,
    headers,
    body: method === 'GET' ? { kind: 'none' } : { kind: 'bytes', bytes: body, isChunked: false },
    kind: classify(method, splitTarget(target)),
    cancel: NEVER_CANCELLED,
  };
}
