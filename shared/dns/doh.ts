/** DNS over HTTPS (RFC 8484) and its JSON form as plain `Request` → `Response`: `/dns-query` and `/resolve`. */

import { dohMaxAge } from './doh-caching.ts';
import { DohError } from './doh-error.ts';
import { messageToJson, queryFromParameters } from './doh-json.ts';
import { padMessage } from './edns.ts';
import { type DnsMessage, decodeMessage, MAX_MESSAGE_BYTES } from './message.ts';
import type { DnsResolver } from './resolver.ts';

const BINARY = 'application/dns-message';
const JSON_TYPE = 'application/dns-json';
const PLAIN_JSON_TYPE = 'application/json';
/** The longest message in base64url with room for other parameters is far longer than any name needs. */
const MAX_URL_CHARACTERS = 16_384;
/** Replies to padded queries are a multiple of this (RFC 8467 §4.1). */
const PADDING_BLOCK_BYTES = 468;

/** How a request is to be answered. */
interface Plan {
  readonly query: Uint8Array;
  readonly form: 'binary' | 'json';
  readonly contentType: string;
}

/**
 * Answers one request. Never rejects: failures become responses with the statuses of the reference.
 *
 * A resolver that serves the caller's rights (ACL token by header) is the caller's to choose.
 *
 * @param clientAddress IP of who asks, for prepared queries that sort by distance
 */
export async function answerDohRequest(
  request: Request,
  resolver: DnsResolver,
  clientAddress: string,
): Promise<Response> {
  const url = new URL(request.url);
  const wantsJsonErrors = url.pathname === '/resolve' || url.searchParams.has('name');
  try {
    const plan = await planAnswer(request, url);
    const reply = await resolver.answer(plan.query, 'https', clientAddress);
    if (reply === undefined) throw new DohError(400, 'not a DNS query');
    const isPrivate = resolver.dependsOnClient(plan.query);
    const response = render(plan, reply, isPrivate);
    return request.method === 'HEAD' ? new Response(null, response) : response;
  } catch (thrown) {
    const isExpected = thrown instanceof DohError;
    const status = isExpected ? thrown.status : 500;
    const text = isExpected ? thrown.message : 'internal error';
    return errorResponse(status, text, wantsJsonErrors, url.pathname);
  }
}

async function planAnswer(request: Request, url: URL): Promise<Plan> {
  const { method } = request;
  const isResolve = url.pathname === '/resolve';
  if (!isResolve && url.pathname !== '/dns-query') throw new DohError(404, 'no such path');
  const isRead = method === 'GET' || method === 'HEAD';
  if (!isRead && (isResolve || method !== 'POST')) throw new DohError(405, `method ${method} is not allowed`);
  if (request.url.length > MAX_URL_CHARACTERS) throw new DohError(414, 'the URL is too long');
  const accept = readAccept(request.headers.get('accept'));
  if (!isRead) return binaryPlan(await postedMessage(request), accept);
  const encoded = isResolve ? null : url.searchParams.get('dns');
  if (encoded !== null) return binaryPlan(vetMessage(decodeBase64Url(encoded)), accept);
  if (!isResolve && !url.searchParams.has('name'))
    throw new DohError(400, 'parameter "dns" or "name" is missing');
  const query = queryFromParameters(url.searchParams);
  const wantsBinary = url.searchParams.get('ct') === BINARY || (accept.binary && !accept.json);
  return { query, ...(wantsBinary ? BINARY_FORM : jsonForm(accept)) };
}

const BINARY_FORM = { form: 'binary', contentType: BINARY } as const;

/** A message that came as bytes goes back as bytes unless only JSON is accepted. */
function binaryPlan(query: Uint8Array, accept: Accepted): Plan {
  return { query, ...(accept.binary ? BINARY_FORM : jsonForm(accept)) };
}

function jsonForm(accept: Accepted): { form: 'json'; contentType: string } {
  return { form: 'json', contentType: accept.prefersPlainJson ? PLAIN_JSON_TYPE : JSON_TYPE };
}

async function postedMessage(request: Request): Promise<Uint8Array> {
  const type = (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase();
  if (type !== BINARY) throw new DohError(415, `Content-Type must be ${BINARY}`);
  if (Number(request.headers.get('content-length') ?? 0) > MAX_MESSAGE_BYTES)
    throw new DohError(413, `a DNS message has at most ${MAX_MESSAGE_BYTES} bytes`);
  return vetMessage(await readBody(request));
}

/** Reads no more than a message can hold, whatever the headers said. */
async function readBody(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > MAX_MESSAGE_BYTES)
      throw new DohError(413, `a DNS message has at most ${MAX_MESSAGE_BYTES} bytes`);
    chunks.push(chunk);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

function decodeBase64Url(text: string): Uint8Array {
  const bare = text.replace(/=+$/, '');
  if (bare === '' || !/^[A-Za-z0-9_-]+$/.test(bare) || bare.length % 4 === 1)
    throw new DohError(400, 'parameter "dns" is not base64url');
  const binary = atob(bare.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function vetMessage(message: Uint8Array): Uint8Array {
  if (message.length > MAX_MESSAGE_BYTES)
    throw new DohError(413, `a DNS message has at most ${MAX_MESSAGE_BYTES} bytes`);
  tryDecode(message);
  return message;
}

function tryDecode(message: Uint8Array): DnsMessage {
  try {
    return decodeMessage(message);
  } catch (thrown) {
    throw new DohError(400, `not a DNS message: ${thrown instanceof Error ? thrown.message : thrown}`);
  }
}

interface Accepted {
  readonly binary: boolean;
  readonly json: boolean;
  /** `application/json` is named and `application/dns-json` is not. */
  readonly prefersPlainJson: boolean;
}

/** @throws DohError 406 when neither form is accepted */
function readAccept(header: string | null): Accepted {
  if (header === null || header.trim() === '') return { binary: true, json: true, prefersPlainJson: false };
  const types = header
    .toLowerCase()
    .split(',')
    .filter((range) => !/;\s*q=0(?:\.0*)?\s*(?:;|$)/.test(range))
    .map((range) => (range.split(';')[0] ?? '').trim());
  const isAny = types.includes('*/*') || types.includes('application/*');
  const isDnsJson = types.includes(JSON_TYPE);
  const isPlainJson = types.includes(PLAIN_JSON_TYPE);
  const binary = isAny || types.includes(BINARY);
  const json = isAny || isDnsJson || isPlainJson;
  if (!binary && !json) throw new DohError(406, `only ${BINARY} and ${JSON_TYPE} are offered`);
  return { binary, json, prefersPlainJson: isPlainJson && !isDnsJson };
}

function render(plan: Plan, reply: Uint8Array, isPrivate: boolean): Response {
  const message = decodeMessage(reply);
  const headers = new Headers({
    'Content-Type': plan.contentType,
    'Cache-Control': cacheControl(message, isPrivate),
    Vary: 'Accept',
    'Access-Control-Allow-Origin': '*',
  });
  const body =
    plan.form === 'json' ? new TextEncoder().encode(messageToJson(message)) : padded(plan, reply, message);
  headers.set('Content-Length', String(body.length));
  return new Response(body.slice(), { status: 200, headers });
}

/** The resolver appends OPT last; a reply of someone else whose OPT stands elsewhere stays as it is. */
function padded(plan: Plan, reply: Uint8Array, message: DnsMessage): Uint8Array {
  const asked = decodeMessage(plan.query).edns;
  const { edns } = message;
  if (asked?.hasPadding !== true || edns === undefined) return reply;
  const subnetBytes = edns.subnet === undefined ? 0 : 8 + Math.ceil(edns.subnet.sourceBits / 8);
  const optAt = reply.length - 11 - subnetBytes;
  const isOpt = reply[optAt] === 0 && reply[optAt + 1] === 0 && reply[optAt + 2] === 41;
  const isWhole = ((reply[optAt + 9] ?? 0) << 8) + (reply[optAt + 10] ?? 0) === subnetBytes;
  return isOpt && isWhole ? padMessage(reply, optAt, PADDING_BLOCK_BYTES) : reply;
}

function cacheControl(message: DnsMessage, isPrivate: boolean): string {
  const maxAge = dohMaxAge(message);
  if (maxAge === undefined) return 'no-store';
  return isPrivate ? `private, max-age=${maxAge}` : `max-age=${maxAge}`;
}

function errorResponse(status: number, text: string, isJson: boolean, path: string): Response {
  const headers = new Headers({
    'Content-Type': isJson ? PLAIN_JSON_TYPE : 'text/plain; charset=utf-8',
    'Cache-Control': 'no-store',
    'Access-Control-Allow-Origin': '*',
  });
  if (status === 405) headers.set('Allow', path === '/resolve' ? 'GET, HEAD' : 'GET, HEAD, POST');
  return new Response(isJson ? JSON.stringify({ error: text }) : `${text}\n`, { status, headers });
}
