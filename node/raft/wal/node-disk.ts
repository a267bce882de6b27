/** The real disk, on node:fs. All calls run off the main thread. */

import { constants, fdatasync, write } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import type { AppendFile, Disk } from './disk.ts';

const DEFAULT_MODE = 0o600;

/** Linux makes each write durable by itself when a file is opened like this: one call a batch instead of two. */
const SYNC_FLAG = process.platform === 'linux' ? constants.O_DSYNC : 0;
const CREATE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC;

export function createNodeDisk(): Disk {
  return {
    async list(directory) {
      try {
        return (await readdir(directory)).sort();
      } catch (error) {
        if (isMissing(error)) return [];
        throw error;
      }
    },
    async makeDirectory(directory) {
      await mkdir(directory, { recursive: true, mode: 0o755 });
    },
    async read(path) {
      try {
        return await readFile(path);
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async readAt(path, offset, length, into) {
      await using handle = await open(path, 'r');
      const buffer = into ?? Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    },
    async create(path, mode = DEFAULT_MODE) {
      return appendFile(await open(path, CREATE_FLAGS, mode), false);
    },
    async open(path) {
      return appendFile(
        await open(path, constants.O_WRONLY | constants.O_APPEND | SYNC_FLAG),
        SYNC_FLAG !== 0,
      );
    },
    async truncate(path, size) {
      await using handle = await open(path, 'r+');
      await handle.truncate(size);
      await handle.datasync();
    },
    rename,
    async remove(path) {
      await rm(path, { recursive: true, force: true });
    },
    async syncDirectory(directory) {
      await using handle = await open(directory, 'r');
      await handle.sync();
    },
  };
}

/** Callbacks rather than promises: the log calls this for every batch. */
function appendFile(handle: FileHandle, isSynchronous: boolean): AppendFile {
  const append = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      const writeFrom = (offset: number) => {
        write(handle.fd, bytes, offset, bytes.length - offset, null, (error, written) => {
          if (error !== null) reject(error);
          else if (offset + written < bytes.length) writeFrom(offset + written);
          else resolve();
        });
      };
      writeFrom(0);
    });
  const sync = () =>
    new Promise<void>((resolve, reject) => {
      fdatasync(handle.fd, (error) => (error === null ? resolve() : reject(error)));
    });
  return {
    append,
    appendDurably: isSynchronous ? append : (bytes) => append(bytes).then(sync),
    sync,
    close: () => handle.close(),
  };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
