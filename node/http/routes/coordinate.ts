/** `/v1/coordinate/*`. */

import { badRequest, ConsulError } from '../../../shared/errors.ts';
import { coordinateListNodes, coordinateUpdate } from '../../rpc/endpoints.ts';
import { coordinateListDatacenters } from '../../rpc/operator-endpoints.ts';
import { float, listOf, optional, struct, text } from '../go-json.ts';
import { NO_META, PLAIN_READ, serveRead, serveValue } from '../read.ts';
import { EMPTY_OK, jsonReply, NOT_FOUND, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { callOptions, decodeBody } from './parts.ts';

export const coordinateRoutes = [
  route('GET', '/v1/coordinate/datacenters', datacenters),
  route('GET', '/v1/coordinate/nodes', nodes),
  route('GET', '/v1/coordinate/node/', oneNode),
  route('PUT', '/v1/coordinate/update', update),
];

function datacenters(request: HttpRequest): Promise<Reply> {
  refuseWhenDisabled(request);
  return serveRead(request, coordinateListDatacenters, {}, NO_META);
}

function nodes(request: HttpRequest): Promise<Reply> {
  refuseWhenDisabled(request);
  const segment = segmentOf(request);
  if (segment === undefined) return serveRead(request, coordinateListNodes, {}, PLAIN_READ);
  return serveValue(request, coordinateListNodes, {}, PLAIN_READ, (entries, headers) =>
    jsonReply(
      entries.filter((entry) => entry.Segment === segment),
      request.isPretty,
      headers,
    ),
  );
}

function oneNode(request: HttpRequest): Promise<Reply> {
  refuseWhenDisabled(request);
  const node = request.after('/v1/coordinate/node/').toLowerCase();
  const segment = segmentOf(request);
  return serveValue(request, coordinateListNodes, {}, PLAIN_READ, (entries, headers) => {
    const found = entries.filter(
      (entry) => entry.Node.toLowerCase() === node && (segment === undefined || entry.Segment === segment),
    );
    return found.length === 0 ? NOT_FOUND : jsonReply(found, request.isPretty, headers);
  });
}

const updateBody = struct({
  Datacenter: text,
  Node: text,
  Segment: text,
  Coord: optional(struct({ Vec: listOf(float), Error: float, Adjustment: float, Height: float })),
  Token: text,
});

async function update(request: HttpRequest): Promise<Reply> {
  refuseWhenDisabled(request);
  const body = await decodeBody(request, updateBody);
  if (body.Coord === undefined) throw badRequest('Request decode failed: Coord is missing');
  const coordinate = { ...body.Coord, Vec: body.Coord.Vec ?? [] };
  const { backend } = request.context.dependencies;
  const options = callOptions(request);
  const datacenter = options.datacenter || body.Datacenter;
  await backend.write(coordinateUpdate, { node: body.Node, coordinate }, { ...options, datacenter });
  return EMPTY_OK;
}

/** `?segment`, when it is there at all. */
function segmentOf(request: HttpRequest): string | undefined {
  return request.rawQuery === '' ? undefined : request.query.get('segment');
}

function refuseWhenDisabled(request: HttpRequest): void {
  if (request.context.config.disableCoordinates)
    throw new ConsulError('refused', 401, 'Coordinate support disabled');
}
