/** The HTTP client behind the commands: flags and `CONSUL_*` variables, and errors in the words of Consul's client. */

import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { FlagSpec, ParsedFlags } from '../config/flags.ts';
import type { CliIo } from './command.ts';
import { failedRequestText } from './failed-request.ts';
import { fileErrorText } from './system-text.ts';

/** Flags of every command that talks to an agent. */
export const CLIENT_FLAGS: readonly FlagSpec[] = [
  {
    name: 'http-addr',
    kind: 'string',
    usage:
      'The `address` and port of the agent: host:port, http://…, https://… or unix:///path. Also CONSUL_HTTP_ADDR. Default 127.0.0.1:8500.',
  },
  { name: 'token', kind: 'string', usage: 'ACL token to use in the request. Also CONSUL_HTTP_TOKEN.' },
  {
    name: 'token-file',
    kind: 'string',
    usage: 'File containing the ACL token to use. Also CONSUL_HTTP_TOKEN_FILE. Wins over -token.',
  },
  { name: 'ca-file', kind: 'string', usage: 'Path to a CA file to use for TLS. Also CONSUL_CACERT.' },
  { name: 'ca-path', kind: 'string', usage: 'Path to a directory of CA certificates. Also CONSUL_CAPATH.' },
  {
    name: 'client-cert',
    kind: 'string',
    usage: 'Path to a client certificate file. Also CONSUL_CLIENT_CERT.',
  },
  { name: 'client-key', kind: 'string', usage: 'Path to a client key file. Also CONSUL_CLIENT_KEY.' },
  {
    name: 'tls-server-name',
    kind: 'string',
    usage: 'The server name to use for TLS. Also CONSUL_TLS_SERVER_NAME.',
  },
  { name: 'namespace', kind: 'string', usage: 'Not supported in the open edition. Also CONSUL_NAMESPACE.' },
];

/** In addition, for commands that servers answer. */
export const SERVER_FLAGS: readonly FlagSpec[] = [
  { name: 'datacenter', kind: 'string', usage: "Name of the datacenter to query. Default: the agent's own." },
  { name: 'stale', kind: 'bool', usage: 'Permit any server to answer, with possibly older data.' },
];

export interface ApiRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Already percent-encoded, without the query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** A stream is sent as it comes, without a length. */
  readonly body?: Uint8Array | string | Readable;
  readonly signal?: AbortSignal | undefined;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface ApiClient {
  /** @throws Error with the text of Consul's client when there is no answer */
  request(request: ApiRequest): Promise<ApiResponse>;
  /** As `request`, but any status other than 200 throws `Unexpected response code: 500 (text)`. */
  expectOk(request: ApiRequest): Promise<ApiResponse>;
  /** The body of a 200 as JSON. */
  json<T>(request: ApiRequest): Promise<T>;
  /** A 200 as soon as its head is there; the body is the caller's to read. Other statuses throw as in `expectOk`. */
  open(request: ApiRequest): Promise<http.IncomingMessage>;
}

/** The flags or variables make no sense. The message follows `Error connecting to Consul agent: `. */
export class ClientSetupError extends Error {
  override readonly name = 'ClientSetupError';
}

interface Target {
  readonly protocol: 'http' | 'https';
  /** `host:port` as given, or the path of a socket, for messages. */
  readonly authority: string;
  readonly headers: http.OutgoingHttpHeaders;
  readonly options: http.RequestOptions & https.RequestOptions;
}

/** An answer with a status other than 200. `message` is `Unexpected response code: 500 (text)`. */
export class UnexpectedStatusError extends Error {
  override readonly name = 'UnexpectedStatusError';
  readonly status: number;
  readonly body: string;

  constructor(status: number, body: string) {
    super(`Unexpected response code: ${status} (${body})`);
    this.status = status;
    this.body = body;
  }
}

/** @throws ClientSetupError */
export function createApiClient(flags: ParsedFlags, io: CliIo): ApiClient {
  const setting = (flag: string, variable: string) =>
    String(flags.values.get(flag) ?? io.env[variable] ?? '');
  const target = resolveTarget(setting, io);
  const token = tokenOf(setting);
  const datacenter = setting('datacenter', '');
  const isStale = flags.values.get('stale') === true;
  const namespace = setting('namespace', 'CONSUL_NAMESPACE');

  function open(request: ApiRequest): Promise<http.IncomingMessage> {
    const query = encodeQuery({
      dc: datacenter === '' ? undefined : datacenter,
      ns: namespace === '' ? undefined : namespace,
      ...request.query,
      stale: isStale ? '' : request.query?.stale,
    });
    const url = `${request.path}${query}`;
    const { body } = request;
    const bytes = typeof body === 'string' || body instanceof Uint8Array ? Buffer.from(body) : undefined;
    const options = {
      ...target.options,
      method: request.method,
      path: url,
      headers: {
        ...target.headers,
        ...(token === '' ? {} : { 'X-Consul-Token': token }),
        ...(bytes === undefined ? {} : { 'Content-Length': bytes.length }),
      },
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    };
    return new Promise((resolve, reject) => {
      const fail = (error: Error) =>
        reject(new Error(failedRequestText(request.method, urlOf(target, url), target.options, error)));
      const sent =
        target.protocol === 'https' ? https.request(options, resolve) : http.request(options, resolve);
      sent.on('error', fail);
      if (bytes !== undefined || body === undefined) {
        sent.end(bytes);
      } else if (!(typeof body === 'string' || body instanceof Uint8Array)) {
        body.on('error', (error) => sent.destroy(error));
        body.pipe(sent);
      }
    });
  }

  const client: ApiClient = {
    async request(request) {
      const response = await open(request);
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: await wholeBody(response),
      };
    },
    async expectOk(request) {
      const response = await client.request(request);
      if (response.status === 200) return response;
      throw new UnexpectedStatusError(response.status, response.body.toString());
    },
    async json<T>(request: ApiRequest): Promise<T> {
      const response = await client.expectOk(request);
      return JSON.parse(response.body.toString()) as T;
    },
    async open(request) {
      const response = await open(request);
      if (response.statusCode === 200) return response;
      throw new UnexpectedStatusError(response.statusCode ?? 0, (await wholeBody(response)).toString());
    },
  };
  return client;
}

async function wholeBody(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch (error) {
    throw new Error('unexpected EOF', { cause: error });
  }
  return Buffer.concat(chunks);
}

type Setting = (flag: string, variable: string) => string;

function resolveTarget(setting: Setting, io: CliIo): Target {
  const address = setting('http-addr', 'CONSUL_HTTP_ADDR') || '127.0.0.1:8500';
  const basicAuth = io.env.CONSUL_HTTP_AUTH;
  const headers: http.OutgoingHttpHeaders = {};
  if (basicAuth !== undefined && basicAuth !== '') {
    headers.Authorization = `Basic ${Buffer.from(basicAuth.includes(':') ? basicAuth : `${basicAuth}:`).toString('base64')}`;
  }
  if (address.startsWith('unix://')) {
    const socketPath = address.slice(7);
    // As Go shows a host that is a path.
    return { protocol: 'http', authority: encodeURIComponent(socketPath), headers, options: { socketPath } };
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1];
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    throw new ClientSetupError(`Unknown protocol scheme: ${scheme}`);
  }
  const authority = scheme === undefined ? address : address.slice(scheme.length + 3).replace(/\/.*$/, '');
  const isTls = scheme === 'https' || (scheme === undefined && boolVariable('CONSUL_HTTP_SSL', false, io));
  const url = parseAuthority(authority, isTls);
  return {
    protocol: isTls ? 'https' : 'http',
    authority,
    headers,
    options: { host: url.host, port: url.port, ...(isTls ? tlsOptions(setting, io) : {}) },
  };
}

function parseAuthority(authority: string, isTls: boolean): { host: string; port: number } {
  try {
    const url = new URL(`${isTls ? 'https' : 'http'}://${authority}`);
    return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || (isTls ? 443 : 80) };
  } catch {
    throw new ClientSetupError(`invalid address ${JSON.stringify(authority)}: use host:port`);
  }
}

function urlOf({ protocol, authority }: Target, path: string): string {
  return `${protocol}://${authority}${path}`;
}

function tlsOptions(setting: Setting, io: CliIo): https.RequestOptions {
  const read = (path: string) => (path === '' ? undefined : readSetupFile(path, ''));
  const ca = authorities(setting('ca-file', 'CONSUL_CACERT'), setting('ca-path', 'CONSUL_CAPATH'));
  const cert = read(setting('client-cert', 'CONSUL_CLIENT_CERT'));
  const key = read(setting('client-key', 'CONSUL_CLIENT_KEY'));
  const name = setting('tls-server-name', 'CONSUL_TLS_SERVER_NAME');
  return {
    ...(ca.length === 0 ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(name === '' ? {} : { servername: name }),
    rejectUnauthorized: boolVariable('CONSUL_HTTP_SSL_VERIFY', true, io),
  };
}

/** Certificates of the file, or else of every file in the folder. */
function authorities(file: string, folder: string): Buffer[] {
  if (file !== '') return [readSetupFile(file, 'Error loading CA File: ')];
  if (folder === '') return [];
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch (error) {
    throw new ClientSetupError(fileErrorText('lstat', folder, error));
  }
  return names.map((name) => readSetupFile(join(folder, name), 'Error loading CA Path: '));
}

function tokenOf(setting: Setting): string {
  const file = setting('token-file', 'CONSUL_HTTP_TOKEN_FILE');
  if (file !== '') return readSetupFile(file, 'Error loading token file: ').toString().trim();
  return setting('token', 'CONSUL_HTTP_TOKEN');
}

/** @param what precedes the system's words */
function readSetupFile(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ClientSetupError(`${what}${fileErrorText('open', path, error)}`);
  }
}

function boolVariable(name: string, fallback: boolean, io: CliIo): boolean {
  const value = io.env[name];
  if (value === undefined || value === '') return fallback;
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value)) return false;
  io.err(`[WARN] could not parse ${name}: ${JSON.stringify(value)} is not a boolean\n`);
  return fallback;
}

function encodeQuery(query: NonNullable<ApiRequest['query']>): string {
  const pairs = Object.entries(query).flatMap(([key, value]) =>
    value === undefined ? [] : [value].flat().map((one): [string, string] => [key, one]),
  );
  if (pairs.length === 0) return '';
  pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `?${pairs.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join('&')}`;
}
