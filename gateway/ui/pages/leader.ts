/** Which server leads, for pages that mark it. */

import { parseJson } from '../api.ts';
import type { Scope } from '../scope.ts';

/** @returns the leader's RPC address as far as known now, '' while it isn't */
export function watchLeader(scope: Scope): () => string {
  const leader = scope.watch({ path: '/v1/status/leader', query: { dc: scope.dc } }, (answer) => {
    const address = parseJson(answer);
    return typeof address === 'string' ? address : '';
  });
  return () => leader.value ?? '';
}
