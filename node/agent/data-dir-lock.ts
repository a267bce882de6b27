/**
 * One agent per data directory: a Unix socket `agent.lock.<token>` in it, on which the agent that has the directory
 * listens.
 *
 * The kernel closes the listener with the process, kill -9 included, so that a socket which refuses connections is a
 * left-over and never in the way. Unlike a file with a process number this holds between containers that share a
 * volume, whose process numbers mean nothing to each other. Agents on different machines that share a network file
 * system are not kept apart.
 */

import { closeSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type Env, randomUuid, sleep } from '../../shared/env.ts';

const PREFIX = 'agent.lock.';
/** Longest path that a socket address holds on every system, its end mark included. */
const MAX_SOCKET_PATH = 104;
const MAX_NAME = PREFIX.length + 36 + '.new'.length;
/** How long somebody who wants the directory too has to say so, or to give way. */
const PATIENCE_MS = 2000;
const POLL_MS = 10;

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
 * What is behind a socket: it says the first two itself. Whoever is there and says nothing in time is taken to hold;
 * one that ends the conversation is about to go, or not, and must be asked again.
 */
type Standing = 'held' | 'wanted' | 'gone' | 'unclear';

/**
 * Takes the directory for this process.
 *
 * Whoever wants it first shows a socket of its own and then looks for others, so that of two at least one sees the
 * other. Of those who want it at the same moment the lowest token gets it: higher ones give way, and it waits until
 * they have, or until one that looked earlier turns out to hold.
 *
 * @throws DataDirInUseError, or what the system says when no socket can be made there
 */
export async function lockDataDir(dataDir: string, env: Env): Promise<DataDirLock> {
  const name = PREFIX + randomUuid(env.random);
  let standing: 'held' | 'wanted' = 'wanted';
  const server = await show(dataDir, name, () => standing);
  const release = async () => {
    rmSync(join(dataDir, name), { force: true });
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  try {
    await passOthers(dataDir, name, env);
  } catch (error) {
    await release();
    throw error;
  }
  standing = 'held';
  return { release };
}

/** Whether a running agent has the directory. */
export async function isInUse(dataDir: string): Promise<boolean> {
  for (const name of locksIn(dataDir))
    if ((await inPlace(dataDir, name, (path) => standingOf(path, undefined))) !== 'gone') return true;
  return false;
}

/** Resolves when no other is left that has the directory or may get it. */
async function passOthers(dataDir: string, own: string, env: Env): Promise<void> {
  const endMs = env.clock.monotonicMs() + PATIENCE_MS;
  for (;;) {
    let isWaiting = false;
    for (const other of locksIn(dataDir)) {
      if (other === own) continue;
      const standing = await inPlace(dataDir, other, (path) => standingOf(path, env));
      // Names are never used twice, so that what is removed here cannot be somebody else's by now.
      if (standing === 'gone') rmSync(join(dataDir, other), { force: true });
      else if (standing === 'held' || (standing === 'wanted' && other < own))
        throw new DataDirInUseError(dataDir);
      else isWaiting = true;
    }
    if (!isWaiting) return;
    if (env.clock.monotonicMs() >= endMs) throw new DataDirInUseError(dataDir);
    await sleep(env.clock, POLL_MS);
  }
}

function locksIn(dataDir: string): string[] {
  return readdirSync(dataDir).filter((name) => name.startsWith(PREFIX) && !name.endsWith('.new'));
}

/** A socket gets its name only once it answers: one that refuses is a left-over for sure. */
async function show(dataDir: string, name: string, standing: () => string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    // Nobody may hold the server open by holding the connection.
    socket.end(standing(), () => socket.destroy());
  });
  server.unref();
  await inPlace(
    dataDir,
    `${name}.new`,
    (path) =>
      new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, resolve);
      }),
  );
  renameSync(join(dataDir, `${name}.new`), join(dataDir, name));
  return server;
}

/** @param env limits how long the other may take to answer; undefined when it is enough that somebody is there */
function standingOf(path: string, env: Env | undefined): Promise<Standing> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let said = '';
    const timer = env?.clock.setTimer(PATIENCE_MS, () => settle('held'));
    const settle = (standing: Standing) => {
      timer?.cancel();
      socket.destroy();
      resolve(standing);
    };
    socket.once('connect', () => {
      if (env === undefined) settle('held');
    });
    socket.on('data', (bytes) => {
      said += bytes.toString('latin1');
    });
    socket.once('end', () => settle(said === 'wanted' || said === 'held' ? said : 'unclear'));
    socket.once('error', (error) => settle(isDead(error) ? 'gone' : 'unclear'));
  });
}

/** Nobody listens, or the name is gone. */
function isDead(error: Error): boolean {
  return 'code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT');
}

/** Socket addresses are short. A long path is gone round through the directory's handle, where the system has that. */
async function inPlace<T>(dataDir: string, name: string, act: (path: string) => Promise<T>): Promise<T> {
  const isShort = Buffer.byteLength(dataDir) + 1 + MAX_NAME < MAX_SOCKET_PATH;
  if (isShort || process.platform !== 'linux') return act(join(dataDir, name));
  const handle = openSync(dataDir, 'r');
  try {
    return await act(`/proc/self/fd/${handle}/${name}`);
  } finally {
    closeSync(handle);
  }
}
