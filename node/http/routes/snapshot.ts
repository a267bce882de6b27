/** `/v1/snapshot`: the servers' whole state as an archive, and back. */

import type { SavedSnapshot, SnapshotOptions } from '../../rpc/snapshots.ts';
import {
  EMPTY_OK,
  errorReply,
  metaHeaders,
  type Reply,
  type StreamReply,
  type StreamSink,
} from '../reply.ts';
import type { HttpRequest } from '../request.ts';
import { route } from '../router.ts';

export const snapshotRoutes = [
  route('GET PUT', '/v1/snapshot', (request) =>
    request.method === 'GET' ? save(request) : restore(request),
  ),
];

async function save(request: HttpRequest): Promise<StreamReply> {
  const { agent } = request.context.dependencies;
  const saved = await agent.saveSnapshot(optionsOf(request));
  return {
    status: 200,
    headers: ['Content-Type', 'application/x-gzip', ...metaHeaders(saved.meta, undefined)],
    stream: (out) => void send(saved.archive, out),
  };
}

/** A failure after the header can only be shown by breaking off. */
async function send(archive: SavedSnapshot['archive'], out: StreamSink): Promise<void> {
  let isGone = false;
  let proceed: (() => void) | undefined;
  out.onDrain(() => proceed?.());
  out.onClose(() => {
    isGone = true;
    proceed?.();
  });
  try {
    for await (const chunk of archive) {
      if (isGone) return;
      if (out.write(chunk)) continue;
      await new Promise<void>((resolve) => {
        proceed = resolve;
        if (isGone) resolve();
      });
    }
    out.end();
  } catch {
    out.abort();
  }
}

async function restore(request: HttpRequest): Promise<Reply> {
  const { agent } = request.context.dependencies;
  try {
    await agent.restoreSnapshot(optionsOf(request), request.bodyStream());
    return EMPTY_OK;
  } catch (error) {
    await request.dropBody();
    return { ...errorReply(error), closes: true };
  }
}

function optionsOf(request: HttpRequest): SnapshotOptions {
  const isStale = request.rawQuery !== '' && request.query.has('stale');
  return { datacenter: request.datacenter(), token: request.token(), isStale };
}
