/** `/v1/operator/raft/*`. */

import { badRequest } from '../../../shared/errors.ts';
import {
  operatorRaftConfiguration,
  operatorRaftProgress,
  operatorRaftRemovePeer,
} from '../../rpc/endpoints.ts';
import { operatorTransferLeader } from '../../rpc/operator-endpoints.ts';
import { NO_META, serveRead } from '../read.ts';
import { EMPTY_OK, jsonReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { callOptions } from './parts.ts';

export const operatorRoutes = [
  route('GET', '/v1/operator/raft/configuration', (request) =>
    serveRead(
      request,
      request.query.has('last-index') ? operatorRaftProgress : operatorRaftConfiguration,
      {},
      NO_META,
    ),
  ),
  route('DELETE', '/v1/operator/raft/peer', removePeer),
  // From Consul 1.15 on; what 1.8 lacks altogether is no conflict.
  route('POST', '/v1/operator/raft/transfer-leader', transferLeader),
];

async function removePeer(request: HttpRequest): Promise<Reply> {
  const id = request.query.text('id');
  const address = request.query.text('address');
  if (id === '' && address === '')
    throw badRequest(
      "Bad request: Must specify either ?id with the server's ID or ?address with IP:port of peer to remove",
    );
  if (id !== '' && address !== '') throw badRequest('Bad request: Must specify only one of ?id or ?address');
  const { backend } = request.context.dependencies;
  await backend.write(operatorRaftRemovePeer, { id, address }, callOptions(request));
  return EMPTY_OK;
}

async function transferLeader(request: HttpRequest): Promise<Reply> {
  const { backend } = request.context.dependencies;
  await backend.write(operatorTransferLeader, { id: request.query.text('id') }, callOptions(request));
  return jsonReply({ Success: true }, request.isPretty);
}
