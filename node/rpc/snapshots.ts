/** Saving and restoring snapshots: what is asked, who answers, and the exchange over a connection of its own. */

import type { Socket } from 'node:net';
import type { Env } from '../../shared/env.ts';
import { badRequest, ConsulError, toConsulError } from '../../shared/errors.ts';
import type { ReadMeta } from './backend.ts';
import { dial } from './dial.ts';
import { packError, packValue, unpackError, unpackValue } from './messages.ts';
import { unreachable } from './rpc-errors.ts';
import { pieces, SnapshotSocket } from './snapshot-socket.ts';

export interface SnapshotOptions {
  /** '' means the agent's own. */
  readonly datacenter: string;
  /** ACL token secret; '' means anonymous. */
  readonly token: string;
  /** Any server may answer, leader or not. Only for saving. */
  readonly isStale: boolean;
}

export interface SnapshotRequest extends SnapshotOptions {
  readonly kind: 'save' | 'restore';
  /** Came from a server of the same datacenter: answer it here or say that this server can't. */
  readonly isForwarded: boolean;
}

export interface SavedSnapshot {
  readonly meta: ReadMeta;
  /** A gzipped tar. Must be read, or its iterator returned, to let go of what it holds; fails when it is cut short. */
  readonly archive: AsyncIterable<Uint8Array>;
}

/** Somebody who will take the archive. */
export interface RestoreTarget {
  /** Resolves when every later read sees the restored state. Rejects with a `ConsulError`; nothing is applied then. */
  take(archive: AsyncIterable<Uint8Array>): Promise<void>;
  /** Called instead of `take` when there will be no archive. */
  abandon(): void;
}

/** Answers both; rejections are `ConsulError`s and happen before any byte of an archive is looked at. */
export interface SnapshotService {
  save(request: SnapshotRequest): Promise<SavedSnapshot>;
  restore(request: SnapshotRequest): Promise<RestoreTarget>;
}

/** Saving and restoring as the agent's HTTP API needs it. */
export interface SnapshotAccess {
  saveSnapshot(options: SnapshotOptions): Promise<SavedSnapshot>;
  restoreSnapshot(options: SnapshotOptions, archive: AsyncIterable<Uint8Array>): Promise<void>;
}

const ANSWER = { ok: 0, error: 1 } as const;

/** Has the server at `address` (`host:port`) answer. Rejects with its error, or with those of a broken connection. */
export function remoteSnapshots(address: string, env: Env): SnapshotService {
  return {
    async save(request) {
      const socket = await open(address, request, env);
      try {
        const meta = unpackMeta(await readAnswer(socket));
        return { meta, archive: closingAfter(socket, socket.readStream()) };
      } catch (error) {
        socket.close();
        throw error;
      }
    },
    async restore(request) {
      const socket = await open(address, request, env);
      try {
        await readAnswer(socket);
        return { take: (archive) => sendArchive(socket, archive), abandon: () => socket.close() };
      } catch (error) {
        socket.close();
        throw error;
      }
    },
  };
}

/** Answers one connection with what the service says; never throws. */
export async function serveSnapshot(raw: Socket, service: SnapshotService, env: Env): Promise<void> {
  const socket = new SnapshotSocket(raw, env);
  try {
    await answer(socket, service);
    socket.end();
  } catch {
    // The connection broke, or the archive could not be read to its end: without the last frame the caller knows.
    socket.close();
  }
}

async function answer(socket: SnapshotSocket, service: SnapshotService): Promise<void> {
  const frame = await socket.read();
  const request = await orRefuse(socket, async () => unpackRequest(frame));
  if (request?.kind === 'save') {
    const saved = await orRefuse(socket, () => service.save(request));
    if (saved === undefined) return;
    const { index, knownLeader, lastContactMs } = saved.meta;
    await writeOk(socket, [index, knownLeader, lastContactMs]);
    await socket.writeStream(saved.archive);
  } else if (request !== undefined) {
    const target = await orRefuse(socket, () => service.restore(request));
    if (target === undefined) return;
    try {
      await writeOk(socket, []);
    } catch (error) {
      target.abandon();
      throw error;
    }
    const isDone = await orRefuse(socket, () => target.take(socket.readStream()).then(() => true));
    if (isDone) await writeOk(socket, []);
  }
}

/** What the work gives; undefined when it failed and the caller was told why. */
async function orRefuse<T>(socket: SnapshotSocket, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    await socket.write(Buffer.concat([Buffer.from([ANSWER.error]), packError(toConsulError(error))]));
    return undefined;
  }
}

/** Sends until the end, or until the server has had enough and says why. */
async function sendArchive(socket: SnapshotSocket, archive: AsyncIterable<Uint8Array>): Promise<void> {
  let isAnswered = false;
  const answered = readAnswer(socket).finally(() => {
    isAnswered = true;
  });
  const sent = upload(socket, archive, () => isAnswered);
  try {
    // A refusal must not wait for the rest of a large upload, nor a broken upload for an answer.
    await Promise.race([answered, sent]);
    await answered;
  } finally {
    socket.close();
    await Promise.allSettled([answered, sent]);
  }
}

/** Rejects with what is wrong with the archive's source; when the server goes away it just ends. */
async function upload(
  socket: SnapshotSocket,
  archive: AsyncIterable<Uint8Array>,
  isOver: () => boolean,
): Promise<void> {
  const isSent = (write: Promise<void>) => write.then(() => true).catch(() => false);
  for await (const chunk of archive) {
    for (const piece of pieces(chunk)) {
      if (isOver() || !(await isSent(socket.write(piece)))) return;
    }
  }
  if (!isOver()) await isSent(socket.writeEnd());
}

async function open(address: string, request: SnapshotRequest, env: Env): Promise<SnapshotSocket> {
  let raw: Socket;
  try {
    raw = await dial(address, 'snapshot', env);
  } catch (error) {
    throw unreachable(error instanceof Error ? error.message : String(error), error);
  }
  const socket = new SnapshotSocket(raw, env);
  const { kind, datacenter, token, isStale, isForwarded } = request;
  await socket.write(packValue([kind, datacenter, token, isStale, isForwarded]));
  return socket;
}

function writeOk(socket: SnapshotSocket, fields: readonly unknown[]): Promise<void> {
  return socket.write(Buffer.concat([Buffer.from([ANSWER.ok]), packValue(fields)]));
}

/** @throws ConsulError the peer's, without a prefix, as Consul does for snapshots */
async function readAnswer(socket: SnapshotSocket): Promise<unknown> {
  const frame = await socket.read();
  if (frame === undefined) throw new ConsulError('internal', 500, 'unexpected answer from peer');
  if (frame[0] === ANSWER.error) throw unpackError(frame.subarray(1));
  return unpackValue(frame.subarray(1));
}

function unpackMeta(fields: unknown): ReadMeta {
  const [index, knownLeader, lastContactMs] = Array.isArray(fields) ? fields : [];
  if (typeof index !== 'number' || typeof lastContactMs !== 'number')
    throw new ConsulError('internal', 500, 'unexpected answer from peer');
  return { index, knownLeader: knownLeader === true, lastContactMs };
}

function unpackRequest(frame: Buffer | undefined): SnapshotRequest {
  const fields: unknown = frame === undefined ? undefined : unpackValue(frame);
  const [kind, datacenter, token, isStale, isForwarded] = Array.isArray(fields) ? fields : [];
  if ((kind !== 'save' && kind !== 'restore') || typeof datacenter !== 'string' || typeof token !== 'string')
    throw badRequest('malformed RPC message');
  return { kind, datacenter, token, isStale: isStale === true, isForwarded: isForwarded === true };
}

async function* closingAfter(
  socket: SnapshotSocket,
  frames: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* frames;
  } finally {
    socket.close();
  }
}
