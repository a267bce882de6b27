/** The data directory at the agent's start: made when missing, and plain words when it cannot be used. */

import { mkdirSync } from 'node:fs';
import { ConfigError } from '../config/config-error.ts';

/** @throws ConfigError that names the directory and says why it is unusable */
export function ensureDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true });
  } catch (error) {
    throw startFailure(dataDir, error);
  }
}

/** What keeps an agent from starting, by the system's error code; the rest is said as it came. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'its disk is full. Nothing was lost: free some space and start again',
  EDQUOT: 'the disk quota is used up. Nothing was lost: free some space and start again',
  EROFS: 'its file system is read-only',
  EACCES: 'the agent may not write there',
  EPERM: 'the agent may not write there',
  EEXIST: 'is not a directory',
  ENOTDIR: 'is not a directory',
};

/** The error of a start that failed, in plain words where it is one of the data directory. */
export function startFailure(dataDir: string | undefined, error: unknown): Error {
  const failure = error instanceof Error ? error : new Error(String(error));
  const code = 'code' in failure ? String(failure.code) : '';
  const reason = Object.hasOwn(REASONS, code) ? REASONS[code] : undefined;
  if (dataDir === undefined || reason === undefined || !isOfFiles(failure)) return failure;
  const name = JSON.stringify(dataDir);
  if (reason === 'is not a directory') return new ConfigError(`data_dir ${name} ${reason}`);
  return new ConfigError(`data_dir ${name} is not usable: ${reason} (${failure.message})`);
}

/** A port that may not be bound is refused with the same codes. */
function isOfFiles(error: Error): boolean {
  return !('syscall' in error && (error.syscall === 'listen' || error.syscall === 'bind'));
}
