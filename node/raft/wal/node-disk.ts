/** The real disk, on node:fs. All calls run off the main thread. */

import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import type { AppendFile, Disk } from './disk.ts';

const DEFAULT_MODE = 0o600;

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
    async readAt(path, offset, length) {
      await using handle = await open(path, 'r');
      const buffer = Buffer.allocUnsafe(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return buffer.subarray(0, filled);
    },
    async create(path, mode = DEFAULT_MODE) {
      return appendFile(await open(path, 'w', mode));
    },
    async open(path) {
      return appendFile(await open(path, 'a'));
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

function appendFile(handle: FileHandle): AppendFile {
  return {
    async append(bytes) {
      let written = 0;
      while (written < bytes.length) {
        const result = await handle.write(bytes, written, bytes.length - written);
        written += result.bytesWritten;
      }
    },
    sync: () => handle.datasync(),
    close: () => handle.close(),
  };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
