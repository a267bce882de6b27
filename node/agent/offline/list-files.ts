/** The files of a data directory, relative to it. */

import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface DirectoryEntry {
  /** Relative to the data directory, `/`-separated. */
  readonly path: string;
  readonly bytes: number;
}

/** `raft/snapshots/<name>/state.bin` is as deep as an agent goes; more is not its own. */
const MAX_DEPTH = 6;

/** Sorted; links are not followed. */
export async function listFiles(root: string, below = '', depth = 0): Promise<readonly DirectoryEntry[]> {
  if (depth > MAX_DEPTH) return [];
  const found: DirectoryEntry[] = [];
  const names = (await readdir(join(root, below))).sort();
  for (const name of names) {
    const path = below === '' ? name : `${below}/${name}`;
    const entry = await lstat(join(root, path));
    if (entry.isDirectory()) found.push(...(await listFiles(root, path, depth + 1)));
    else found.push({ path, bytes: entry.size });
  }
  return found;
}
