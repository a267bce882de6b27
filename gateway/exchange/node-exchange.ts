/** An exchange straight over node:http or node:http2, past Request and Response: raw target, raw headers, one write per answer. */

import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { constants, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { badRequest } from '../../shared/errors.ts';
import { type Answer, type Exchange, NO_BODY, type RequestBody } from './exchange.ts';
import { endToEndHeaders, sendableHeaders } from './http2-headers.ts';
import { joined } from './web-exchange.ts';

type AnyRequest = IncomingMessage | Http2ServerRequest;
type AnyResponse = ServerResponse | Http2ServerResponse;

interface NodeBindings {
  readonly incoming: AnyRequest;
  readonly outgoing: AnyResponse;
}

/** The target an odd request line really had, when its `url` was replaced so that the framework could parse it. */
const rawTargets = new WeakMap<AnyRequest, string>();

/** Characters that the framework would refuse or rewrite; an agent has its own answer to such paths. */
const PLAIN_TARGET = /^\/[^\\]*$/;

/** Dot segments in the path: the framework would resolve them, and find a page of the gateway's own behind them. */
const DOT_SEGMENT = /^[^?]*\/(?:\.|%2e){1,2}(?:[/?]|$)/i;

/** Hides a target that the framework can't parse. To be called before the request is handed to it. */
export function shieldTarget(incoming: AnyRequest): void {
  const target = incoming.url ?? '/';
  if (PLAIN_TARGET.test(target) && !DOT_SEGMENT.test(target)) return;
  rawTargets.set(incoming, target.startsWith('/') ? target : originForm(target));
  incoming.url = '/v1/';
}

/** Path and query of an absolute-form target (RFC 9112 §3.2.2); `/` for `*`. */
function originForm(target: string): string {
  const start = target.indexOf('/', target.indexOf('://') + 3);
  return target.includes('://') && start !== -1 ? target.slice(start) : '/';
}

export function openNodeExchange(_request: Request, bindings: unknown): Exchange {
  // The Node server always passes these two; `start.ts` is the only one that installs this function.
  const { incoming, outgoing } = bindings as NodeBindings;
  return {
    method: incoming.method ?? 'GET',
    target: rawTargets.get(incoming) ?? incoming.url ?? '/',
    headers: 'stream' in incoming ? endToEndHeaders(incoming.rawHeaders) : incoming.rawHeaders,
    clientAddress: incoming.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '',
    protocol: `HTTP/${incoming.httpVersion}`,
    readBody: (limitBytes) => readBody(incoming, limitBytes),
    onClientGone: (gone) => {
      const onClose = () => {
        if (!isAnswered(outgoing)) gone();
      };
      outgoing.once('close', onClose);
      return () => outgoing.off('close', onClose);
    },
    respond: (answer) => respond(outgoing, answer),
  };
}

function respond(outgoing: AnyResponse, answer: Answer): Response | Promise<Response> {
  if (isGone(outgoing)) {
    if (!(answer.body instanceof Uint8Array)) void answer.body.cancel();
    return RESPONSE_ALREADY_SENT;
  }
  if (answer.body instanceof Uint8Array) {
    const hasLength = outgoing.req.method !== 'HEAD' && answer.status !== 204 && answer.status !== 304;
    writeHead(
      outgoing,
      answer.status,
      hasLength ? withLength(answer.headers, answer.body.length) : answer.headers,
    );
    outgoing.end(answer.body);
    if (outgoing.writableLength > 0) guardAgainstStall(outgoing);
    return RESPONSE_ALREADY_SENT;
  }
  writeHead(outgoing, answer.status, answer.headers);
  if (!isHttp2(outgoing)) outgoing.flushHeaders();
  return pump(answer.body, outgoing).then(() => RESPONSE_ALREADY_SENT);
}

function writeHead(outgoing: AnyResponse, status: number, headers: readonly string[]): void {
  // Both take a flat list of names and values and keep repeated names; the types of node:http2 don't know it yet.
  if (isHttp2(outgoing))
    outgoing.writeHead(status, sendableHeaders(headers) as unknown as OutgoingHttpHeaders);
  else outgoing.writeHead(status, headers as string[]);
}

function isHttp2(outgoing: AnyResponse): outgoing is Http2ServerResponse {
  return 'stream' in outgoing;
}

/** An HTTP/2 response has no say of its own about that; its stream has. */
function isGone(outgoing: AnyResponse): boolean {
  return isHttp2(outgoing) ? outgoing.stream.destroyed || outgoing.stream.closed : outgoing.destroyed;
}

function withLength(headers: readonly string[], length: number): string[] {
  const list = headers.slice();
  for (let i = 0; i < list.length; i += 2)
    if (list[i]?.length === 14 && list[i]?.toLowerCase() === 'content-length') return list;
  list.push('Content-Length', String(length));
  return list;
}

/** Copies with back-pressure. An upstream that breaks off destroys the response, so that the client sees it cut. */
async function pump(body: ReadableStream<Uint8Array>, outgoing: AnyResponse): Promise<void> {
  const reader = body.getReader();
  const cancel = () => {
    // The reader is done for either way; its own complaint tells nobody anything.
    reader.cancel().catch(() => undefined);
  };
  outgoing.once('close', cancel);
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (isGone(outgoing)) return;
      if (!write(outgoing, part.value)) await drained(outgoing);
    }
    outgoing.end();
  } catch {
    cut(outgoing);
  } finally {
    outgoing.off('close', cancel);
  }
}

/** A cancelled HTTP/2 stream counts as finished, whatever was written, but also as aborted. */
function isAnswered(outgoing: AnyResponse): boolean {
  return outgoing.writableFinished && !(isHttp2(outgoing) && outgoing.stream.aborted);
}

/** An HTTP/2 stream needs an error code, or a client could take the cut for the end. */
function cut(outgoing: AnyResponse): void {
  if (isHttp2(outgoing)) outgoing.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  else outgoing.destroy();
}

/** @returns false when the client should be waited for */
function write(outgoing: AnyResponse, chunk: Uint8Array): boolean {
  return isHttp2(outgoing) ? outgoing.write(chunk) : outgoing.write(chunk);
}

/** A client that takes nothing of its answer for so long is cut off: it holds memory and a connection. */
const STALL_MS = 60_000;

/** While something waits to be taken. Every byte that is taken starts the time anew. */
function guardAgainstStall(outgoing: AnyResponse): void {
  if (outgoing.listenerCount('timeout') === 0) outgoing.on('timeout', () => outgoing.destroy());
  outgoing.setTimeout(STALL_MS);
}

function drained(outgoing: AnyResponse): Promise<void> {
  guardAgainstStall(outgoing);
  return new Promise((resolve) => {
    const done = () => {
      outgoing.setTimeout(0);
      outgoing.off('drain', done);
      outgoing.off('close', done);
      resolve();
    };
    outgoing.on('drain', done);
    outgoing.on('close', done);
  });
}

function readBody(incoming: AnyRequest, limitBytes: number): Promise<RequestBody> {
  const announced = incoming.headers['content-length'];
  const isUnannounced =
    'stream' in incoming
      ? announced === undefined && !incoming.stream.endAfterHeaders
      : incoming.headers['transfer-encoding'] !== undefined;
  if (!isUnannounced && (announced === undefined || announced === '0')) {
    // Otherwise an HTTP/2 request counts as unread, and the framework would end its stream under the answer.
    incoming.resume();
    return Promise.resolve(NO_BODY);
  }
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const settle = (act: () => void) => {
      incoming.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      act();
    };
    const onData = (chunk: Uint8Array) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= limitBytes) return;
      incoming.pause();
      const length = announced === undefined ? undefined : Number(announced);
      settle(() => resolve({ kind: 'stream', chunks: resumed(chunks, incoming), length }));
    };
    const onEnd = () =>
      settle(() => resolve({ kind: 'bytes', bytes: joined(chunks, size), isChunked: isUnannounced }));
    const onError = () => settle(() => reject(cutOff()));
    const onClose = () => settle(() => reject(cutOff()));
    incoming.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  });
}

/** Nobody is left to read it; it keeps a client's departure out of the error log. */
const cutOff = () => badRequest('The client went away while it sent the body.');

async function* resumed(head: readonly Uint8Array[], incoming: AnyRequest): AsyncGenerator<Uint8Array> {
  yield* head;
  for await (const chunk of incoming) yield chunk as Uint8Array;
}
