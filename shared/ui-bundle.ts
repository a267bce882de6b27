/** The files of the web UI and how they are served, the same at an agent and at a gateway. */

export interface UiFile {
  readonly body: Uint8Array;
  readonly contentType: string;
  /** Quoted; changes with the body. */
  readonly etag: string;
}

/** A file of the bundle by its name, such as `index.html`; undefined when there is none. */
export type UiFiles = (name: string) => UiFile | undefined;

/** Everything that a build puts into the bundle's folder. */
export const UI_FILE_TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'app.js': 'text/javascript; charset=utf-8',
  'app.css': 'text/css; charset=utf-8',
  'favicon.svg': 'image/svg+xml',
  'robots.txt': 'text/plain; charset=utf-8',
};

/** Names and values in turn: nothing but the bundle's own files may run or be asked, and nobody may frame it. */
export const UI_HEADERS: readonly string[] = [
  'Content-Security-Policy',
  "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  'X-Content-Type-Options',
  'nosniff',
  'Referrer-Policy',
  'no-referrer',
  // Always asked for again, answered 304 while unchanged: an upgrade shows at once.
  'Cache-Control',
  'no-cache',
];

/**
 * The bundle as read from its folder, its pages told where they are served.
 *
 * @param read a file's bytes by its name; undefined when there is no such file
 * @param root path below which it is served, with slashes around it
 * @returns undefined unless the bundle is complete
 */
export function assembleUi(
  read: (name: string) => Uint8Array | undefined,
  root: string,
): UiFiles | undefined {
  const files = new Map<string, UiFile>();
  for (const [name, contentType] of Object.entries(UI_FILE_TYPES)) {
    const found = read(name);
    if (found === undefined) return undefined;
    const body = name === 'index.html' ? atRoot(found, root) : found;
    files.set(name, { body, contentType, etag: etagOf(body) });
  }
  return (name) => files.get(name);
}

/** A page in place of a bundle that was never built. */
export function missingUi(): UiFiles {
  const body = new TextEncoder().encode(
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Proconsul</title><h1>The web UI is not built</h1>' +
      '<p>Run <code>npm run build</code> and restart. The HTTP API is at <code>/v1/</code>.</p></html>\n',
  );
  const page: UiFile = { body, contentType: 'text/html; charset=utf-8', etag: etagOf(body) };
  return (name) => (name === 'index.html' ? page : undefined);
}

/** Whether a caller who sent this `If-None-Match` already has what carries the tag (RFC 9110 §13.1.2). */
export function isUnchanged(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*');
}

const BASE = '<base href="/ui/">';
const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '"': '&quot;' };

function atRoot(page: Uint8Array, root: string): Uint8Array {
  const escaped = encodeURI(root).replace(/[&<"]/g, (character) => ESCAPES[character] ?? character);
  const html = new TextDecoder().decode(page).replace(BASE, () => `<base href="${escaped}">`);
  return new TextEncoder().encode(html);
}

/** FNV-1a over 64 bits and the length: tells builds apart, guards nothing. */
function etagOf(bytes: Uint8Array): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return `"${bytes.length.toString(36)}-${hash.toString(36)}"`;
}
