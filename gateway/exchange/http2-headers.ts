/** Header lists as HTTP/2 has them, to and from those of HTTP/1.1, which agents speak (RFC 9113 §8). */

/** What HTTP/2 forbids in a message; it frames and closes by itself. */
const CONNECTION_BOUND: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** A request's headers without pseudo headers; crumbs of a cookie are one header again (§8.2.3). */
export function endToEndHeaders(headers: readonly string[]): string[] {
  const kept: string[] = [];
  let cookieAt = -1;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    if (name.startsWith(':')) continue;
    if (name === 'cookie' && cookieAt !== -1) {
      kept[cookieAt] += `; ${value}`;
      continue;
    }
    if (name === 'cookie') cookieAt = kept.length + 1;
    kept.push(name, value);
  }
  return kept;
}

/** An answer's headers as HTTP/2 may carry them: names in lower case, nothing about the connection. */
export function sendableHeaders(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase();
    if (!CONNECTION_BOUND.has(name)) kept.push(name, headers[i + 1] as string);
  }
  return kept;
}
