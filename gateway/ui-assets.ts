/** Reads the web UI's bundle from beside the gateway's own. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../shared/log.ts';
import { assembleUi, missingUi, type UiFiles } from '../shared/ui-bundle.ts';

/** Beside the built program, and where a build puts it when the program runs from its sources. */
const FOLDERS = ['../ui/', '../dist/ui/'].map((path) => new URL(path, import.meta.url));

/** Every file is read once, at the start. Without a complete bundle there is a page that says so. */
export function loadUiFiles(logger: Logger, folders: readonly URL[] = FOLDERS): UiFiles {
  for (const folder of folders) {
    const files = assembleUi((name) => readIfThere(new URL(name, folder)), '/ui/');
    if (files !== undefined) return files;
  }
  logger.warn('the web UI is not built; run `npm run build`', {
    folders: folders.map((folder) => fileURLToPath(folder)).join(','),
  });
  return missingUi();
}

function readIfThere(file: URL): Uint8Array | undefined {
  try {
    return readFileSync(file);
  } catch {
    // Missing or unreadable: the caller says which folders were tried.
    return undefined;
  }
}
