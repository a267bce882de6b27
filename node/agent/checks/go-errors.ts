/** Network failures in the words of Go's standard library, which is what users of check output know and match on. */

import { isIPv6 } from 'node:net';

const ERRNO_TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  ECONNABORTED: 'software caused connection abort',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EADDRNOTAVAIL: 'cannot assign requested address',
  ETIMEDOUT: 'connection timed out',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EPIPE: 'broken pipe',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files in system',
  ENOENT: 'no such file or directory',
  EINVAL: 'invalid argument',
};

const TLS_TEXTS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'x509: certificate signed by unknown authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'x509: certificate signed by unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'x509: certificate signed by unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'x509: certificate signed by unknown authority',
  CERT_HAS_EXPIRED: 'x509: certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'x509: certificate has expired or is not yet valid',
  CERT_REVOKED: 'x509: certificate has been revoked',
};

export type Network = 'tcp' | 'udp';

/** `127.0.0.1:80`, `[::1]:80`. */
export function joinHostPort(host: string, port: number | string): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export type HostPort =
  | { readonly host: string; readonly port: number }
  /** Go's text, to stand after `dial tcp: `. */
  | { readonly problem: string };

/** Splits `host:port` as Go's dialer does. An empty host is this machine. */
export function splitHostPort(address: string): HostPort {
  const bracketed = /^\[([^[\]]*)\]:([^:]*)$/.exec(address);
  const match = bracketed ?? /^([^:[\]]*):([^:]*)$/.exec(address);
  if (match === null) {
    const tooMany = address.replace(/^\[[^[\]]*\]/, '').split(':').length > 2;
    return {
      problem: `address ${address}: ${tooMany ? 'too many colons in address' : 'missing port in address'}`,
    };
  }
  const [, host = '', portText = ''] = match;
  const port = Number(portText === '' ? '0' : portText);
  if (!/^\d*$/.test(portText))
    return { problem: `lookup tcp/${portText}: Servname not supported for ai_socktype` };
  if (port > 65535) return { problem: `address ${portText}: invalid port` };
  return { host: host === '' ? 'localhost' : host, port };
}

/** The failure of connecting: `dial tcp 127.0.0.1:80: connect: connection refused`. */
export function dialError(network: Network, host: string, port: number, cause: unknown): string {
  const error = singleCause(cause);
  const code = textField(error, 'code');
  if (code === 'ENOTFOUND' || code === 'EAI_NODATA' || code === 'EAI_NONAME')
    return `dial ${network}: lookup ${host}: no such host`;
  if (code === 'EAI_AGAIN') return `dial ${network}: lookup ${host}: Temporary failure in name resolution`;
  const text = ERRNO_TEXTS[code];
  const address = textField(error, 'address');
  const target = joinHostPort(address === '' ? host : address, port);
  return text === undefined
    ? `dial ${network} ${target}: ${messageOf(error)}`
    : `dial ${network} ${target}: connect: ${text}`;
}

/** The time to connect ran out. */
export function dialTimeout(network: Network, host: string, port: number): string {
  return `dial ${network} ${joinHostPort(host, port)}: i/o timeout`;
}

/** The failure of talking over a connection that stands, or of TLS on it. */
export function transportError(cause: unknown): string {
  const error = singleCause(cause);
  const code = textField(error, 'code');
  if (code === 'ECONNRESET' && messageOf(error) === 'socket hang up') return 'EOF';
  if (code.startsWith('HPE_'))
    return 'net/http: HTTP/1.x transport connection broken: malformed HTTP response';
  const tls = TLS_TEXTS[code];
  if (tls !== undefined) return tls;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return certificateNameText(error);
  const text = ERRNO_TEXTS[code];
  const call = textField(error, 'syscall') || 'read';
  return text === undefined ? messageOf(error) : `${call}: ${text}`;
}

/** The failure happened while connecting, not after. */
export function isDialError(cause: unknown): boolean {
  const error = singleCause(cause);
  const call = textField(error, 'syscall');
  return call === 'connect' || call === 'getaddrinfo';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Node reports a failure on all addresses of a name as one error with many; the last address decides, as in Go. */
function singleCause(error: unknown): unknown {
  return error instanceof AggregateError ? (error.errors.at(-1) ?? error) : error;
}

function certificateNameText(error: unknown): string {
  const host = textField(error, 'host');
  return isIPv6(host) || /^[\d.]+$/.test(host)
    ? `x509: cannot validate certificate for ${host} because it doesn't contain any IP SANs`
    : `x509: certificate is not valid for any names, but wanted to match ${host}`;
}

function textField(error: unknown, field: string): string {
  if (typeof error !== 'object' || error === null) return '';
  const value: unknown = Reflect.get(error, field);
  return typeof value === 'string' ? value : '';
}
