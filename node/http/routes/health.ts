/** `/v1/health/*`. */

import { badRequest } from '../../../shared/errors.ts';
import {
  healthChecksInState,
  healthNodeChecks,
  healthServiceChecks,
  healthServiceNodes,
} from '../../rpc/endpoints.ts';
import { CACHED_DISCOVERY, DISCOVERY, listModifiers, serveRead } from '../read.ts';
import { readOptions } from '../read-options.ts';
import type { Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { tagsOf } from './catalog.ts';
import { parseGoBool, requiredPart } from './parts.ts';

export const healthRoutes = [
  route('GET', '/v1/health/node/', (request) => {
    request.refuseNamespace();
    const node = requiredPart(request, '/v1/health/node/', 'Missing node name', DISCOVERY);
    const { filter } = listModifiers(request);
    return serveRead(request, healthNodeChecks, { node, filter }, DISCOVERY);
  }),
  route('GET', '/v1/health/checks/', (request) => {
    request.refuseNamespace();
    const service = requiredPart(request, '/v1/health/checks/', 'Missing service name', DISCOVERY);
    return serveRead(request, healthServiceChecks, { ...listModifiers(request), service }, DISCOVERY);
  }),
  route('GET', '/v1/health/state/', (request) => {
    request.refuseNamespace();
    const state = requiredPart(request, '/v1/health/state/', 'Missing check state', DISCOVERY);
    return serveRead(request, healthChecksInState, { ...listModifiers(request), state }, DISCOVERY);
  }),
  route('GET', '/v1/health/service/', instances('/v1/health/service/', 'service')),
  route('GET', '/v1/health/connect/', instances('/v1/health/connect/', 'connect')),
  route('GET', '/v1/health/ingress/', instances('/v1/health/ingress/', 'ingress')),
];

function instances(prefix: string, kind: 'service' | 'connect' | 'ingress') {
  return (request: HttpRequest): Promise<Reply> => {
    request.refuseNamespace();
    const service = requiredPart(request, prefix, 'Missing service name', DISCOVERY);
    const args = {
      ...listModifiers(request),
      service,
      tags: tagsOf(request, kind),
      kind,
      passingOnly: passingOnly(request),
    };
    return serveRead(request, healthServiceNodes, args, CACHED_DISCOVERY);
  };
}

/** `?passing`: an empty value is true. */
function passingOnly(request: HttpRequest): boolean {
  if (request.rawQuery === '') return false;
  const value = request.query.get('passing');
  if (value === undefined) return false;
  if (value === '') return true;
  const parsed = parseGoBool(value);
  if (parsed !== undefined) return parsed;
  readOptions(request, DISCOVERY);
  throw badRequest('Invalid value for ?passing');
}
