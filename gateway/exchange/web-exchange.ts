/** An exchange over the Web's Request and Response: Workers, and `app.request()` in tests. */

import { type Answer, type Exchange, type HeaderList, NO_BODY, type RequestBody } from './exchange.ts';

/** Statuses for which the Web's Response refuses a body. */
const BODILESS: ReadonlySet<number> = new Set([101, 204, 205, 304]);

/** The target is the URL's path and query: Web runtimes resolve `.` and `..` segments before anyone sees them. */
export function openWebExchange(request: Request): Exchange {
  const url = request.url;
  const start = url.indexOf('/', url.indexOf('://') + 3);
  const target = start === -1 ? '/' : url.slice(start).replace(/#.*$/s, '');
  return {
    method: request.method,
    target,
    headers: flatten(request.headers),
    clientAddress: request.headers.get('cf-connecting-ip') ?? '',
    protocol: '',
    readBody: (limitBytes) => readBody(request, limitBytes),
    onClientGone: (gone) => {
      request.signal.addEventListener('abort', gone, { once: true });
      return () => request.signal.removeEventListener('abort', gone);
    },
    respond: (answer) => toResponse(answer, request.method),
  };
}

export function toResponse(answer: Answer, method: string): Response {
  const headers = new Headers();
  for (let i = 0; i < answer.headers.length; i += 2)
    headers.append(answer.headers[i] as string, answer.headers[i + 1] as string);
  const isBodiless = method === 'HEAD' || BODILESS.has(answer.status);
  // TypeScript's lib keeps ArrayBuffer and SharedArrayBuffer apart; no body here is ever shared memory.
  return new Response(isBodiless ? null : (answer.body as BodyInit), { status: answer.status, headers });
}

function flatten(headers: Headers): HeaderList {
  const list: string[] = [];
  headers.forEach((value, name) => {
    list.push(name, value);
  });
  return list;
}

async function readBody(request: Request, limitBytes: number): Promise<RequestBody> {
  if (request.body === null) return NO_BODY;
  const announced = request.headers.get('content-length');
  const length = announced === null ? undefined : Number(announced);
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size <= limitBytes) {
    const { done, value } = await reader.read();
    if (done) return { kind: 'bytes', bytes: joined(chunks, size), isChunked: length === undefined };
    chunks.push(value);
    size += value.length;
  }
  return { kind: 'stream', chunks: resumed(chunks, reader), length };
}

async function* resumed(
  head: readonly Uint8Array[],
  reader: ReadableStreamDefaultReader<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* head;
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel();
  }
}

export function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const only = chunks[0];
  if (chunks.length === 1 && only !== undefined) return only;
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
