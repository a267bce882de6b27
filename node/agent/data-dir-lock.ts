/**
 * One agent per data directory: a Unix socket `agent.lock` in it, on which the agent that has the directory listens.
 *
 * The kernel closes the listener with the process, kill -9 included, so that a socket file which refuses connections is
 * a left-over and never in the way. Unlike a file with a process number this holds between containers that share a
 * volume, whose process numbers mean nothing to each other. Agents on different machines that share a network file
 * system are not kept apart.
 */

import { closeSync, linkSync, openSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

const LOCK_NAME = 'agent.lock';
/** Longest path that a socket address holds on every system, its end mark included. */
const MAX_SOCKET_PATH = 104;
/** Somebody who starts at the same moment may be ahead a few times; more is not chance. */
const MAX_ATTEMPTS = 8;

export interface DataDirLock {
  /** Lets the next agent have the directory. */
  release(): Promise<void>;
}

/** Another agent has the data directory. */
export class DataDirInUseError extends Error {
  override readonly name = 'DataDirInUseError';

  constructor(dataDir: string) {
    super(`data_dir ${JSON.stringify(dataDir)} is in use by another agent`);
  }
}

/**
 * Takes the directory for this process.
 *
 * @param token distinguishes this attempt from others that are made at the same moment
 * @throws DataDirInUseError, or what the system says when no socket can be made there
 */
export async function lockDataDir(dataDir: string, token: string): Promise<DataDirLock> {
  const own = `${LOCK_NAME}.${token}`;
  const place = openPlace(dataDir, own);
  try {
    const server = await listen(place.path(own));
    try {
      await putInPlace(dataDir, own, place);
    } catch (error) {
      await close(server);
      throw error;
    } finally {
      rmSync(join(dataDir, own), { force: true });
    }
    return {
      async release() {
        // First the name: whoever looks in between finds none rather than one that is about to end.
        rmSync(join(dataDir, LOCK_NAME), { force: true });
        await close(server);
      },
    };
  } finally {
    place.close();
  }
}

/** Whether a running agent has the directory; false also when that cannot be told. */
export async function isInUse(dataDir: string): Promise<boolean> {
  const place = openPlace(dataDir, LOCK_NAME);
  try {
    return await isAlive(place.path(LOCK_NAME));
  } finally {
    place.close();
  }
}

/** A link is made or fails as a whole, so that of several who find the place free one gets it. */
async function putInPlace(dataDir: string, own: string, place: Place): Promise<void> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    try {
      linkSync(join(dataDir, own), join(dataDir, LOCK_NAME));
      return;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    if (await isAlive(place.path(LOCK_NAME))) throw new DataDirInUseError(dataDir);
    await takeAway(dataDir, own, place);
  }
  throw new DataDirInUseError(dataDir);
}

/** Removes a left-over. It is moved aside and asked again first: somebody may have put a live one there meanwhile. */
async function takeAway(dataDir: string, own: string, place: Place): Promise<void> {
  const aside = `${own}.old`;
  try {
    renameSync(join(dataDir, LOCK_NAME), join(dataDir, aside));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  const wasAlive = await isAlive(place.path(aside));
  if (wasAlive) linkSync(join(dataDir, aside), join(dataDir, LOCK_NAME));
  rmSync(join(dataDir, aside), { force: true });
  if (wasAlive) throw new DataDirInUseError(dataDir);
}

/** Socket addresses are short. A long path is gone round through the directory's handle, where the system has that. */
interface Place {
  path(name: string): string;
  close(): void;
}

function openPlace(dataDir: string, longestName: string): Place {
  const isShort = Buffer.byteLength(join(dataDir, `${longestName}.old`)) < MAX_SOCKET_PATH;
  if (isShort || process.platform !== 'linux')
    return { path: (name) => join(dataDir, name), close: () => {} };
  const handle = openSync(dataDir, 'r');
  return { path: (name) => `/proc/self/fd/${handle}/${name}`, close: () => closeSync(handle) };
}

function listen(path: string): Promise<Server> {
  // Nothing is ever said on it: that somebody listens is the message.
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve(server));
  });
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
