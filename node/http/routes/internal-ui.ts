/** `/v1/internal/ui/*`: what the web UI reads. */

import { internalGatewayServiceSummary } from '../../rpc/config-endpoints.ts';
import { internalNodeDump, internalNodeInfo, internalServiceSummary } from '../../rpc/dump-endpoints.ts';
import { PLAIN_READ, type ServeStyle, serveRead, serveValue } from '../read.ts';
import { jsonReply, NOT_FOUND } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { requiredPart } from './parts.ts';

/** The UI shows what is known even while there is no leader. */
const UI_READ: ServeStyle = { ...PLAIN_READ, staleWithoutLeader: true };

export const internalUiRoutes = [
  route('GET', '/v1/internal/ui/nodes', (request) => {
    request.refuseNamespace();
    return serveRead(request, internalNodeDump, { filter: filterOf(request) }, UI_READ);
  }),
  route('GET', '/v1/internal/ui/node/', (request) => {
    request.refuseNamespace();
    const node = requiredPart(request, '/v1/internal/ui/node/', 'Missing node name');
    return serveValue(request, internalNodeInfo, { node }, UI_READ, ([found], headers) =>
      found === undefined ? NOT_FOUND : jsonReply(found, request.isPretty, headers),
    );
  }),
  route('GET', '/v1/internal/ui/services', (request) => {
    request.refuseNamespace();
    return serveRead(request, internalServiceSummary, { filter: filterOf(request) }, UI_READ);
  }),
  route('GET', '/v1/internal/ui/gateway-services-nodes/', (request) => {
    request.refuseNamespace();
    const gateway = requiredPart(request, '/v1/internal/ui/gateway-services-nodes/', 'Missing gateway name');
    return serveRead(request, internalGatewayServiceSummary, { gateway }, UI_READ);
  }),
];

function filterOf(request: HttpRequest): string {
  return request.rawQuery === '' ? '' : request.query.text('filter');
}
