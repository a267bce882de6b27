/** Answers other agents' requests with the same paths that serve this agent's own. */

import { traced } from '../../shared/telemetry.ts';
import type { RpcReply, RpcRequest } from '../rpc/messages.ts';
import type { RpcService } from '../rpc/server-connection.ts';
import { checkWriteArguments } from './argument-checks.ts';
import type { ReadPath } from './read-path.ts';
import type { ServerMetrics } from './server-metrics.ts';
import type { WritePath } from './write-path.ts';

export function createRpcService(
  reads: ReadPath,
  writes: WritePath,
  metrics: Pick<ServerMetrics, 'rpcQuery' | 'rpcRequest' | 'rpcRequestError'>,
): RpcService {
  async function answer(request: RpcRequest, signal: AbortSignal | undefined): Promise<RpcReply> {
    const { kind } = request;
    metrics.rpcRequest.add();
    if (kind === 'write') {
      checkWriteArguments(request.name, request.args);
      return { kind, result: await writes.apply(request) };
    }
    metrics.rpcQuery.add();
    return reads.answer({ ...request, kind, signal });
  }
  return {
    answer: (request, signal) =>
      traced(
        'rpc.server',
        'server',
        { 'rpc.method': request.name },
        () =>
          answer(request, signal).catch((error: unknown) => {
            metrics.rpcRequestError.add();
            throw error;
          }),
        request.traceparent,
      ),
  };
}
