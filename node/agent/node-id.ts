/** The agent's lasting identity: `node-id` in the data directory, a configured UUID, or a fresh random one. */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Random, randomUuid } from '../../shared/env.ts';

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether this is what a `node-id` file holds: a UUID, space around it allowed. */
export function isNodeId(content: string): boolean {
  return UUID.test(content.trim().toLowerCase());
}

/**
 * @param dataDir    created when missing; undefined keeps nothing
 * @param configured lower-case UUID, '' when none: an existing file is then authoritative
 * @throws Error that names the file and what to do when its content is no UUID
 */
export function resolveNodeId(dataDir: string | undefined, configured: string, random: Random): string {
  if (dataDir === undefined) return configured || randomUuid(random);
  const path = join(dataDir, 'node-id');
  mkdirSync(dataDir, { recursive: true });
  if (configured === '' && existsSync(path)) {
    const stored = readFileSync(path, 'utf8');
    if (isNodeId(stored)) return stored.trim().toLowerCase();
    throw new Error(
      `${path} does not hold a node ID. Restore it from a backup, or delete it to let the agent take a new identity ` +
        '(a server must then join as a new peer).',
    );
  }
  const id = configured || randomUuid(random);
  writeWhole(path, id);
  return id;
}

/** Beside and renamed: a disk that is full, or a crash, must not leave half an identity that blocks the next start. */
function writeWhole(path: string, content: string): void {
  const beside = `${path}.tmp`;
  try {
    writeFileSync(beside, content, { mode: 0o600, flush: true });
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}
