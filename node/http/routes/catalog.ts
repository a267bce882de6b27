/** `/v1/catalog/*`. */

import {
  catalogDeregister,
  catalogListDatacenters,
  catalogListNodes,
  catalogListServices,
  catalogNodeServiceList,
  catalogNodeServices,
  catalogRegister,
  catalogServiceNodes,
} from '../../rpc/endpoints.ts';
import { deregisterBody, registerBody, toDeregisterRequest, toRegisterRequest } from '../catalog-body.ts';
import { CACHED_DISCOVERY, DISCOVERY, listModifiers, NO_META, nodeMeta, serveRead } from '../read.ts';
import { booleanReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { callOptions, decodeCatalogBody, requiredPart } from './parts.ts';

export const catalogRoutes = [
  route('PUT', '/v1/catalog/register', register),
  route('GET', '/v1/catalog/connect/', serviceNodes('/v1/catalog/connect/', 'connect')),
  route('PUT', '/v1/catalog/deregister', deregister),
  route('GET', '/v1/catalog/datacenters', (request) =>
    serveRead(request, catalogListDatacenters, {}, { ...NO_META, cache: 'simple' }),
  ),
  route('GET', '/v1/catalog/nodes', (request) =>
    serveRead(request, catalogListNodes, listModifiers(request), DISCOVERY),
  ),
  route('GET', '/v1/catalog/services', (request) => {
    request.refuseNamespace();
    return serveRead(request, catalogListServices, { nodeMeta: nodeMeta(request) }, CACHED_DISCOVERY);
  }),
  route('GET', '/v1/catalog/service/', serviceNodes('/v1/catalog/service/', 'service')),
  route('GET', '/v1/catalog/node/', (request) => {
    const args = nodeArgs(request, '/v1/catalog/node/');
    return serveRead(request, catalogNodeServices, args, DISCOVERY);
  }),
  route('GET', '/v1/catalog/node-services/', (request) => {
    const args = nodeArgs(request, '/v1/catalog/node-services/');
    return serveRead(request, catalogNodeServiceList, args, DISCOVERY);
  }),
];

function serviceNodes(prefix: string, kind: 'service' | 'connect') {
  return (request: HttpRequest): Promise<Reply> => {
    request.refuseNamespace();
    const service = requiredPart(request, prefix, 'Missing service name', DISCOVERY);
    const args = { ...listModifiers(request), service, tags: tagsOf(request, kind), kind };
    return serveRead(request, catalogServiceNodes, args, CACHED_DISCOVERY);
  };
}

const NO_TAGS: readonly string[] = [];

/** `?tag`, repeatable; proxies are found by the service that they serve, whatever its tags. */
export function tagsOf(request: HttpRequest, kind: 'service' | 'connect' | 'ingress'): readonly string[] {
  return kind === 'service' && request.rawQuery !== '' ? request.query.all('tag') : NO_TAGS;
}

function nodeArgs(request: HttpRequest, prefix: string) {
  request.refuseNamespace();
  const node = requiredPart(request, prefix, 'Missing node name', DISCOVERY);
  return { node, filter: request.rawQuery === '' ? '' : request.query.text('filter') };
}

async function register(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const body = await decodeCatalogBody(request, registerBody);
  const token = request.token() || body.Token;
  const options = { ...callOptions(request), datacenter: body.Datacenter, token };
  const { backend } = request.context.dependencies;
  const done = await backend.write(catalogRegister, toRegisterRequest(body), options);
  return booleanReply(done, request.isPretty);
}

async function deregister(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const body = await decodeCatalogBody(request, deregisterBody);
  const token = request.token() || body.Token;
  const options = { ...callOptions(request), datacenter: body.Datacenter, token };
  const { backend } = request.context.dependencies;
  const done = await backend.write(catalogDeregister, toDeregisterRequest(body), options);
  return booleanReply(done, request.isPretty);
}
