/** The web UI from a folder of the user's own (`ui_dir`), as its files are at the moment. */

import { readFileSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { UiAsset } from '../http/options.ts';

/** Larger ones are not part of a web page and would hold up the agent. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.gif': 'image/gif',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webp': 'image/webp',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
};

/** What is in the folder is the user's, who decides what it may load; only guessing at types is ruled out. */
const HEADERS: readonly string[] = ['X-Content-Type-Options', 'nosniff', 'Cache-Control', 'no-cache'];

/**
 * A file below the folder by its path, `index.html` for a folder; undefined when there is none.
 *
 * @param folder may be relative to where the agent was started
 */
export function uiFolder(folder: string): (path: string) => UiAsset | undefined {
  return (path) => {
    if (path.includes('\0') || path.split('/').includes('..')) return undefined;
    return fileAt(join(folder, path)) ?? fileAt(join(folder, path, 'index.html'));
  };
}

function fileAt(file: string): UiAsset | undefined {
  try {
    const found = statSync(file);
    if (!found.isFile() || found.size > MAX_FILE_BYTES) return undefined;
    const etag = `"${found.size.toString(36)}-${Math.round(found.mtimeMs).toString(36)}"`;
    const contentType = TYPES[extname(file).toLowerCase()] ?? 'application/octet-stream';
    return { body: readFileSync(file), contentType, etag, headers: HEADERS };
  } catch {
    // Missing or unreadable: for the browser there is no such file.
    return undefined;
  }
}
