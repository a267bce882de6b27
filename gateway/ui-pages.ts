/** The gateway's own copy of the web UI under `/ui/`. */

import type { Context, Hono } from 'hono';
import { isUnchanged, UI_HEADERS, type UiFiles } from '../shared/ui-bundle.ts';

const ROOT = '/ui/';

/** Names that are no file of the bundle are pages of the UI; the root leads there, as at an agent with its UI on. */
export function serveUi(app: Hono, files: UiFiles): void {
  const page = (c: Context) => {
    const file = files(c.req.path.slice(ROOT.length)) ?? files('index.html');
    if (file === undefined) return c.notFound();
    const headers = new Headers({ 'Content-Type': file.contentType, ETag: file.etag });
    for (let i = 0; i + 1 < UI_HEADERS.length; i += 2)
      headers.set(UI_HEADERS[i] ?? '', UI_HEADERS[i + 1] ?? '');
    if (isUnchanged(c.req.header('If-None-Match'), file.etag))
      return new Response(null, { status: 304, headers });
    headers.set('Content-Length', String(file.body.length));
    return new Response(c.req.method === 'HEAD' ? null : new Uint8Array(file.body), { headers });
  };
  app.all('/', redirectToUi);
  app.all('/ui', redirectToUi);
  app.get('/ui/*', page);
}

/** As an agent does it: a page for whoever reads, nothing but the header for other methods. */
function redirectToUi(c: Context): Response {
  c.header('Location', ROOT);
  if (c.req.method !== 'GET' && c.req.method !== 'HEAD') return c.body(null, 301);
  c.header('Content-Type', 'text/html; charset=utf-8');
  return c.body(`<a href="${ROOT}">Moved Permanently</a>.\n\n`, 301);
}
