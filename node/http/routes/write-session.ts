/** `/v1/internal/proconsul/write-session`: ours, for gateways that send a write again without applying it twice. */

import { WRITE_SESSION_PATH } from '../../../shared/request-id.ts';
import { writeSessionOpen } from '../../rpc/write-session-endpoints.ts';
import { jsonReply, type Reply } from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';
import { callOptions } from './parts.ts';

export const writeSessionRoutes = [route('PUT', WRITE_SESSION_PATH, open)];

async function open(request: HttpRequest): Promise<Reply> {
  const { backend } = request.context.dependencies;
  return jsonReply({ ID: await backend.write(writeSessionOpen, {}, callOptions(request)) }, request.isPretty);
}
