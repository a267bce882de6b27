/** One request as routes see it: path, query and headers are looked at only when asked for. */

import { badRequest, ConsulError } from '../../shared/errors.ts';
import type { AgentCache } from './agent-cache.ts';
import { bodyPieces, drain, dropRest, readBody } from './body.ts';
import type { Incoming, Outgoing } from './message.ts';
import type { HttpConfig, HttpDependencies } from './options.ts';
import { EMPTY_QUERY, QueryString } from './query-string.ts';
import { tooLarge } from './reply.ts';
import type { Waits } from './waits.ts';

/** What lives as long as the server and every request shares. */
export interface HttpContext {
  readonly dependencies: HttpDependencies;
  readonly config: HttpConfig;
  readonly waits: Waits;
  readonly cache: AgentCache;
}

/** JSON bodies above this are refused, whatever the endpoint. */
export const MAX_JSON_BODY_BYTES = 8 * 1024 * 1024;

export class HttpRequest {
  readonly method: string;
  /** Decoded and clean. */
  readonly path: string;
  readonly rawQuery: string;
  readonly context: HttpContext;
  readonly #incoming: Incoming;
  readonly #response: Outgoing;
  #query: QueryString | undefined;
  #wait: AbortSignal | undefined;

  constructor(incoming: Incoming, response: Outgoing, path: string, rawQuery: string, context: HttpContext) {
    this.method = incoming.method ?? 'GET';
    this.path = path;
    this.rawQuery = rawQuery;
    this.context = context;
    this.#incoming = incoming;
    this.#response = response;
  }

  /** @throws QuerySyntaxError on the first use */
  get query(): QueryString {
    this.#query ??= this.rawQuery === '' ? EMPTY_QUERY : new QueryString(this.rawQuery);
    return this.#query;
  }

  get isPretty(): boolean {
    return this.context.config.isDevMode || (this.rawQuery !== '' && this.query.has('pretty'));
  }

  /** IP address of the peer, IPv4 in its plain form; '' for a unix socket. */
  get remoteAddress(): string {
    return plainAddress(this.#incoming.socket.remoteAddress);
  }

  /** The value of the first header of that name (given in lower case). */
  header(lowerName: string): string | undefined {
    return findHeader(this.#incoming, lowerName);
  }

  /** The path behind a prefix, decoded: may be empty and may hold slashes. */
  after(prefix: string): string {
    return this.path.slice(prefix.length);
  }

  /** The ACL token's secret; '' is anonymous. */
  token(): string {
    if (this.rawQuery !== '') {
      const fromQuery = this.query.text('token');
      if (fromQuery !== '') return fromQuery;
    }
    const fromHeader = this.header('x-consul-token');
    if (fromHeader !== undefined && fromHeader !== '') return fromHeader;
    const bearer = bearerToken(this.header('authorization'));
    return bearer !== '' ? bearer : this.context.config.defaultToken;
  }

  /** `?dc`, '' meaning the agent's own. */
  datacenter(): string {
    return this.rawQuery === '' ? '' : this.query.text('dc');
  }

  /** @throws ConsulError 400 when the request names a namespace, which open source Consul refuses */
  refuseNamespace(): void {
    if (this.rawQuery !== '' && this.query.text('ns') !== '')
      throw badRequest(
        'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature',
      );
    if (this.header('x-consul-namespace'))
      throw badRequest(
        'Bad request: Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature',
      );
  }

  /** As announced; undefined when chunked or absent. */
  get contentLength(): number | undefined {
    const text = this.header('content-length');
    return text === undefined ? undefined : Number(text);
  }

  /** The JSON body of an endpoint without a limit of its own. @throws ConsulError 413 */
  jsonBody(): Promise<Uint8Array> {
    const text = `Request body too large, max size: ${MAX_JSON_BODY_BYTES} bytes.`;
    return this.body(MAX_JSON_BODY_BYTES, () => text);
  }

  /**
   * The whole body. One above the limit is read to the end (within bounds) and thrown away, so that the client gets to
   * see the answer, which then closes the connection.
   *
   * @param describe the 413 text for a body announced with that length; undefined: found while reading a chunked one
   */
  async body(limitBytes: number, describe: (announced: number | undefined) => string): Promise<Uint8Array> {
    const announced = this.contentLength;
    if (announced !== undefined && announced > limitBytes) {
      await drain(this.#incoming, announced);
      throw tooLarge(describe(announced));
    }
    const body = await readBody(this.#incoming, announced, limitBytes);
    if (body === 'too-large') throw tooLarge(describe(undefined));
    return body;
  }

  /**
   * The body piece by piece, for what is too large to hold. Leaving it before its end does not end the connection;
   * call `dropBody` then.
   */
  async *bodyStream(): AsyncGenerator<Uint8Array> {
    try {
      yield* bodyPieces(this.#incoming);
    } catch (error) {
      throw new ConsulError('bad-request', 400, 'unexpected EOF', { cause: error });
    }
  }

  /** Reads what is left of the body, within bounds, so that the client gets to see an answer that came early. */
  dropBody(): Promise<void> {
    return dropRest(this.#incoming);
  }

  /** A signal for a wait: aborted when the client goes away or the server closes. */
  waitSignal(): AbortSignal {
    this.#wait ??= this.context.waits.begin(this.#response);
    return this.#wait;
  }

  /** Why the request's wait was cut short, whatever failure that led to further down; undefined when it was not. */
  get interruption(): unknown {
    return this.#wait?.aborted === true ? this.#wait.reason : undefined;
  }
}

/** IPv4 addresses mapped into IPv6 in their plain form. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** Looks through the raw header list: most requests ask for three names, which is cheaper than building the map. */
export function findHeader(incoming: Incoming, lowerName: string): string | undefined {
  const raw = incoming.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i];
    if (name?.length === lowerName.length && name.toLowerCase() === lowerName) return raw[i + 1];
  }
  return undefined;
}

/** The first word after the scheme `Bearer`; '' when there is none. */
function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined) return '';
  const [scheme, token] = authorization.trim().split(/\s+/, 2);
  return scheme?.toLowerCase() === 'bearer' ? (token ?? '') : '';
}
