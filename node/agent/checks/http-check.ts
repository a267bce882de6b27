/** HTTP checks: 2xx passes, 429 warns, everything else is critical. */

import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { Clock } from '../../../shared/env.ts';
import { dialError, dialTimeout, isDialError, messageOf, transportError } from './go-errors.ts';
import { OutputBuffer } from './output-buffer.ts';
import { startTimeLimit, type TimeLimit } from './time-limit.ts';
import { type CheckProbe, type CheckResult, critical } from './types.ts';

export interface HttpCheckOptions {
  readonly clock: Clock;
  readonly url: string;
  /** '' means GET. */
  readonly method: string;
  /** Several values become several lines. `Host` replaces the one of the URL. */
  readonly header: Readonly<Record<string, readonly string[]>>;
  readonly body: string;
  readonly timeoutMs: number;
  readonly outputMaxSize: number;
  readonly tls: TlsSettings;
}

/** What TLS connections of checks use. */
export interface TlsSettings {
  readonly rejectUnauthorized: boolean;
  /** '' means the host of the address. */
  readonly serverName: string;
  readonly ca?: string | string[] | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** Go's client gives up after as many. */
const MAX_REDIRECTS = 10;

interface Request {
  readonly url: URL;
  /** As the user wrote it, or as the redirect resolved: what error texts name. */
  readonly shownUrl: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string;
}

export function httpCheck(options: HttpCheckOptions): CheckProbe {
  const method = options.method === '' ? 'GET' : options.method;
  const problem = urlProblem(options.url);
  if (problem !== undefined) {
    const text = `${verb(method)} ${JSON.stringify(options.url)}: ${problem}`;
    return () => Promise.resolve(critical(text));
  }
  const first: Request = {
    url: new URL(options.url),
    shownUrl: options.url,
    method,
    headers: requestHeaders(options.header),
    body: options.body,
  };
  return async (signal) => {
    const limit = startTimeLimit(options.clock, options.timeoutMs, signal);
    try {
      return await probe(first, options, limit);
    } finally {
      limit.release();
    }
  };
}

async function probe(first: Request, options: HttpCheckOptions, limit: TimeLimit): Promise<CheckResult> {
  let current = first;
  for (let redirects = 0; ; redirects++) {
    let response: IncomingMessage;
    try {
      response = await send(current, options.tls, limit.signal);
    } catch (error) {
      return critical(failureText(current, error, limit));
    }
    const next = redirectTarget(current, response);
    if (next === undefined) {
      const body = await readBody(response, options.outputMaxSize);
      const reason = `${response.statusCode} ${response.statusMessage ?? ''}`;
      const output = `HTTP ${first.method} ${options.url}: ${reason} Output: ${body}`;
      return { status: statusOf(response.statusCode ?? 0), output };
    }
    response.destroy();
    if (redirects + 1 >= MAX_REDIRECTS)
      return critical(`${verb(current.method)} ${JSON.stringify(next.shownUrl)}: stopped after 10 redirects`);
    current = next;
  }
}

function statusOf(code: number): CheckResult['status'] {
  if (code >= 200 && code <= 299) return 'passing';
  return code === 429 ? 'warning' : 'critical';
}

function send(request: Request, tls: TlsSettings, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { url } = request;
    const options: RequestOptions = {
      protocol: url.protocol,
      hostname: unbracketed(url.hostname),
      port: portOf(url),
      path: url.pathname + url.search,
      method: request.method,
      headers: request.headers,
      // One connection for one probe: a kept connection would hide that the service stopped accepting.
      agent: false,
      signal,
    };
    if (url.username !== '' || url.password !== '')
      options.auth = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    let outgoing: ClientRequest;
    try {
      outgoing =
        url.protocol === 'https:' ? httpsRequest({ ...options, ...tlsOptions(tls) }) : httpRequest(options);
    } catch (error) {
      reject(error);
      return;
    }
    outgoing.once('response', resolve);
    // Stays on: an error while the body is read surfaces here too and is the reader's to judge.
    outgoing.on('error', reject);
    outgoing.end(request.body === '' ? undefined : request.body);
  });
}

function tlsOptions(tls: TlsSettings): RequestOptions {
  const options: RequestOptions = { rejectUnauthorized: tls.rejectUnauthorized };
  if (tls.serverName !== '') options.servername = tls.serverName;
  if (tls.ca !== undefined) options.ca = tls.ca;
  if (tls.cert !== undefined) options.cert = tls.cert;
  if (tls.key !== undefined) options.key = tls.key;
  return options;
}

/** What arrived before the end, a failure or the time limit: the status line has decided already. */
function readBody(response: IncomingMessage, limitBytes: number): Promise<string> {
  return new Promise((resolve) => {
    const output = new OutputBuffer(limitBytes);
    response.on('data', (chunk: Uint8Array) => output.write(chunk));
    response.on('error', () => resolve(output.text()));
    response.once('close', () => resolve(output.text()));
  });
}

/** The next request when the answer sends us elsewhere, by the rules of Go's client. */
function redirectTarget(request: Request, response: IncomingMessage): Request | undefined {
  const code = response.statusCode ?? 0;
  const location = response.headers.location;
  if (location === undefined || !URL.canParse(location, request.url)) return undefined;
  const keepsMethod = code === 307 || code === 308;
  if (!keepsMethod && code !== 301 && code !== 302 && code !== 303) return undefined;
  const url = new URL(location, request.url);
  if (urlProblem(url.href) !== undefined) return undefined;
  const isSimple = request.method === 'GET' || request.method === 'HEAD';
  return {
    url,
    shownUrl: location,
    method: keepsMethod || isSimple ? request.method : 'GET',
    headers: redirectHeaders(request, url),
    body: keepsMethod ? request.body : '',
  };
}

/** Credentials do not follow to another host. */
function redirectHeaders(request: Request, to: URL): Request['headers'] {
  if (to.host === request.url.host) return request.headers;
  const secret = new Set(['authorization', 'cookie', 'www-authenticate', 'host']);
  return Object.fromEntries(
    Object.entries(request.headers).filter(([name]) => !secret.has(name.toLowerCase())),
  );
}

function requestHeaders(header: HttpCheckOptions['header']): Request['headers'] {
  const headers: Record<string, string | string[]> = {};
  const given = new Set<string>();
  for (const [name, values] of Object.entries(header)) {
    if (values.length === 0) continue;
    given.add(name.toLowerCase());
    headers[name] = values.length === 1 ? (values[0] ?? '') : [...values];
  }
  if (!given.has('user-agent')) headers['User-Agent'] = 'Consul Health Check';
  if (!given.has('accept')) headers.Accept = 'text/plain, text/*, */*';
  return headers;
}

function failureText(request: Request, error: unknown, limit: TimeLimit): string {
  const start = `${verb(request.method)} ${JSON.stringify(request.shownUrl)}: `;
  if (limit.isOver())
    return `${start}context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
  const host = unbracketed(request.url.hostname);
  if (isDialError(error)) return start + dialError('tcp', host, portOf(request.url), error);
  if (errorCode(error) === 'ETIMEDOUT') return start + dialTimeout('tcp', host, portOf(request.url));
  return start + transportError(error);
}

function urlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) {
    const scheme = /^[A-Za-z][A-Za-z0-9+.-]*:/.test(text);
    return scheme ? 'http: no Host in request URL' : 'unsupported protocol scheme ""';
  }
  const { protocol } = new URL(text);
  if (protocol === 'http:' || protocol === 'https:') return undefined;
  return `unsupported protocol scheme ${JSON.stringify(protocol.slice(0, -1))}`;
}

/** Go names the method in errors as `Get`, `Post`. */
function verb(method: string): string {
  return method.charAt(0) + method.slice(1).toLowerCase();
}

function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

function unbracketed(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

function errorCode(error: unknown): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : messageOf(error);
}
