/** One HTTP/2 connection for one probe: what gRPC and H2PING checks share. */

import { type ClientHttp2Session, connect, type SecureClientSessionOptions } from 'node:http2';
import { dialError, isDialError, joinHostPort, transportError } from './go-errors.ts';
import type { TlsSettings } from './http-check.ts';

export interface Http2Target {
  readonly host: string;
  readonly port: number;
  /** undefined: cleartext with prior knowledge. */
  readonly tls: TlsSettings | undefined;
}

/**
 * Connects, or rejects with an `Error` whose message is Go's text for the failure. The caller destroys the session.
 */
export function openSession(target: Http2Target, signal: AbortSignal): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const scheme = target.tls === undefined ? 'http' : 'https';
    const session = connect(
      `${scheme}://${joinHostPort(target.host, target.port)}`,
      sessionOptions(target.tls),
    );
    const onAbort = () => session.destroy(new Error('context deadline exceeded'));
    signal.addEventListener('abort', onAbort, { once: true });
    session.once('connect', () => resolve(session));
    // Stays on: a session that fails while streams are open reports both on them and here.
    session.on('error', (error) => reject(new Error(failureText(target, error), { cause: error })));
    session.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      reject(new Error('EOF'));
    });
    if (signal.aborted) onAbort();
  });
}

function sessionOptions(tls: TlsSettings | undefined): SecureClientSessionOptions {
  if (tls === undefined) return {};
  const options: SecureClientSessionOptions = { rejectUnauthorized: tls.rejectUnauthorized };
  if (tls.serverName !== '') options.servername = tls.serverName;
  if (tls.ca !== undefined) options.ca = tls.ca;
  if (tls.cert !== undefined) options.cert = tls.cert;
  if (tls.key !== undefined) options.key = tls.key;
  return options;
}

function failureText(target: Http2Target, error: unknown): string {
  return isDialError(error) ? dialError('tcp', target.host, target.port, error) : transportError(error);
}
