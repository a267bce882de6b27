/** Small steps that many routes share: path parts, JSON bodies, flags. */

import { badRequest, type ConsulError, refused } from '../../../shared/errors.ts';
import { REQUEST_ID_HEADER } from '../../../shared/request-id.ts';
import type { Uint64 } from '../../../shared/types/v1.ts';
import type { CallOptions } from '../../rpc/backend.ts';
import { asUint64, type Decoder, decodeJson, GoJsonError } from '../go-json.ts';
import { type ReadStyle, readOptions } from '../read-options.ts';
import type { HttpRequest } from '../request.ts';

/**
 * The part of the path behind `prefix`.
 * @throws ConsulError 400 `missing` when it is empty; malformed read parameters come first, as in Consul
 */
export function requiredPart(
  request: HttpRequest,
  prefix: string,
  missing: string,
  style: ReadStyle = {},
): string {
  const part = request.after(prefix);
  if (part !== '') return part;
  readOptions(request, style);
  throw badRequest(missing);
}

/** Datacenter, token and request ID of a write. */
export function callOptions(request: HttpRequest): CallOptions {
  const requestId = request.header(REQUEST_ID_HEADER);
  const options = { datacenter: request.datacenter(), token: request.token() };
  return requestId === undefined ? options : { ...options, requestId };
}

/** Decodes the JSON body. @throws ConsulError 400 `Request decode failed: …` */
export async function decodeBody<T>(request: HttpRequest, decoder: Decoder<T>): Promise<T> {
  return decodeBytes(await request.jsonBody(), decoder);
}

/** @throws ConsulError 400 `Request decode failed: …` */
export function decodeBytes<T>(body: Uint8Array, decoder: Decoder<T>): T {
  try {
    return decodeJson(body, decoder);
  } catch (error) {
    throw error instanceof GoJsonError ? decodeFailed(error.message) : error;
  }
}

function decodeFailed(text: string): ConsulError {
  return badRequest(`Request decode failed: ${text}`);
}

/** As `decodeBody`, with the hint that Consul adds for the field `Namespace`. */
export async function decodeCatalogBody<T>(request: HttpRequest, decoder: Decoder<T>): Promise<T> {
  const body = await request.jsonBody();
  try {
    return decodeJson(body, decoder);
  } catch (error) {
    if (!(error instanceof GoJsonError)) throw error;
    const isNamespace = error.message === 'json: unknown field "Namespace"';
    throw decodeFailed(
      isNamespace ? `${error.message} - Namespaces are a Consul Enterprise feature` : error.message,
    );
  }
}

/** Go's `strconv.ParseBool`; undefined when it is none. */
export function parseGoBool(text: string): boolean | undefined {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return false;
  return undefined;
}

/** Go's `strconv.ParseUint`. @throws ConsulError 500 in its words */
export function parseGoUint(text: string): Uint64 {
  if (!/^\d+$/.test(text))
    throw refused(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = BigInt(text);
  if (value >= 1n << 64n)
    throw refused(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return asUint64(value);
}
