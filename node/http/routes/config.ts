/** `/v1/config`, and what gateways expose by it. */

import { badRequest, notFound } from '../../../shared/errors.ts';
import { isConfigEntryKind } from '../../../shared/types/config-entry.ts';
import {
  catalogGatewayServices,
  configEntryApply,
  configEntryGet,
  configEntryList,
} from '../../rpc/config-endpoints.ts';
import { decodeConfigEntry } from '../config-entry-body.ts';
import { DISCOVERY, PLAIN_READ, serveRead } from '../read.ts';
import { booleanReply, errorReply, jsonReply, type Reply, rawJsonReply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { callOptions, parseGoUint, requiredPart } from './parts.ts';

const PREFIX = '/v1/config/';

export const configRoutes = [
  route('PUT', '/v1/config', apply),
  route('GET DELETE', PREFIX, (request) => {
    request.refuseNamespace();
    return request.method === 'GET' ? get(request) : remove(request);
  }),
  route('GET', '/v1/catalog/gateway-services/', (request) => {
    request.refuseNamespace();
    const gateway = requiredPart(request, '/v1/catalog/gateway-services/', 'Missing gateway name', DISCOVERY);
    return serveRead(request, catalogGatewayServices, { gateway }, DISCOVERY);
  }),
];

async function apply(request: HttpRequest): Promise<Reply> {
  request.refuseNamespace();
  const entry = decodeConfigEntry(await request.jsonBody());
  const cas = request.rawQuery === '' ? '' : request.query.text('cas');
  const args =
    cas === ''
      ? ({ op: 'upsert', entry } as const)
      : ({ op: 'cas', entry, index: parseGoUint(cas) } as const);
  const { backend } = request.context.dependencies;
  return booleanReply(await backend.write(configEntryApply, args, callOptions(request)), request.isPretty);
}

function get(request: HttpRequest): Promise<Reply> {
  const { kind, name } = parts(request);
  if (name === undefined) return serveRead(request, configEntryList, { kind }, PLAIN_READ);
  const missing = notFound(`Config entry not found for ${JSON.stringify(kind)} / ${JSON.stringify(name)}`);
  return serveRead(request, configEntryGet, { kind, name }, PLAIN_READ, (reply, headers) =>
    reply.isEmpty ? errorReply(missing, headers) : rawJsonReply(reply.body, headers),
  );
}

async function remove(request: HttpRequest): Promise<Reply> {
  const { kind, name } = parts(request);
  if (name === undefined) throw notFound('Must provide both a kind and name to delete');
  if (!isConfigEntryKind(kind)) throw badRequest(`invalid config entry kind: ${kind}`);
  const { backend } = request.context.dependencies;
  await backend.write(configEntryApply, { op: 'delete', kind, name }, callOptions(request));
  return jsonReply({}, request.isPretty);
}

/** `kind/name`; the name may hold slashes and may be absent. */
function parts(request: HttpRequest): { kind: string; name: string | undefined } {
  const path = request.after(PREFIX);
  const slash = path.indexOf('/');
  return slash < 0
    ? { kind: path, name: undefined }
    : { kind: path.slice(0, slash), name: path.slice(slash + 1) };
}
