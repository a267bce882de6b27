/** Requests that come behind each other on one HTTP/1.1 connection are carried out one after the other (RFC 9112 §9.3.2). */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

type OnRequest = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** Requests that may wait for those before them on a connection. */
export const MAX_PIPELINED = 64;

const TOO_MANY = 'Too many requests were sent on this connection before their answers.';

interface Line {
  /** The last response of the connection that was begun or waits. */
  last: ServerResponse;
  waiting: number;
}

/** Most connections have one request at a time: then this costs a look at a map. */
export function inOrder(onRequest: OnRequest): OnRequest {
  const lines = new WeakMap<Socket, Line>();
  return (incoming, outgoing) => {
    const line = lines.get(incoming.socket);
    if (line === undefined) {
      lines.set(incoming.socket, { last: outgoing, waiting: 0 });
      return onRequest(incoming, outgoing);
    }
    const before = line.last;
    if (before.writableEnded || before.closed) {
      line.last = outgoing;
      return onRequest(incoming, outgoing);
    }
    if (line.waiting >= MAX_PIPELINED) {
      outgoing.writeHead(503, { 'Content-Type': 'text/plain; charset=utf-8' }).end(TOO_MANY);
      return;
    }
    line.last = outgoing;
    line.waiting++;
    before.once('close', () => {
      line.waiting--;
      if (!outgoing.destroyed) onRequest(incoming, outgoing);
    });
  };
}
