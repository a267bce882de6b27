/** Why a request got no answer, in the words of Go's HTTP client: scripts match on them. */

/** Where the request went. */
export interface Destination {
  readonly host?: string | null | undefined;
  readonly port?: number | string | null | undefined;
  readonly socketPath?: string | undefined;
}

const DIAL_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  EADDRNOTAVAIL: 'connect: cannot assign requested address',
  ENOENT: 'connect: no such file or directory',
  EACCES: 'connect: permission denied',
  ETIMEDOUT: 'i/o timeout',
};

const UNKNOWN_AUTHORITY = 'x509: certificate signed by unknown authority';
const TLS_WORDS: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: 'x509: certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'x509: certificate has expired or is not yet valid',
};

/** `Get "http://h:p/path": dial tcp h:p: connect: connection refused`; unknown reasons keep their own words. */
export function failedRequestText(method: string, url: string, to: Destination, error: Error): string {
  const verb = method.charAt(0) + method.slice(1).toLowerCase();
  return `${verb} "${url}": ${reasonText(to, error)}`;
}

function reasonText(to: Destination, error: Error): string {
  const code = 'code' in error ? String(error.code) : '';
  const dial = DIAL_WORDS[code];
  if (dial !== undefined) return `${dialText(to)}: ${dial}`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `dial tcp: lookup ${to.host}: no such host`;
  if (code === 'ECONNRESET') return 'EOF';
  // How OpenSSL takes an answer that is not TLS.
  if (code === 'EPROTO' && /wrong version number|packet length too long/.test(error.message))
    return 'http: server gave HTTP response to HTTPS client';
  return TLS_WORDS[code] ?? error.message;
}

function dialText({ host, port, socketPath }: Destination): string {
  if (socketPath !== undefined) return `dial unix ${socketPath}`;
  return `dial tcp ${String(host).includes(':') ? `[${host}]` : host}:${port}`;
}
