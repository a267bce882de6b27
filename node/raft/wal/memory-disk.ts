/** A disk in memory, for snapshots of a server that keeps no files. */

import type { AppendFile, Disk } from './disk.ts';

export function createMemoryDisk(): Disk {
  const files = new Map<string, Uint8Array[]>();
  const file = (chunks: Uint8Array[]): AppendFile => ({
    append: async (bytes) => {
      chunks.push(new Uint8Array(bytes));
    },
    appendDurably: async (bytes) => {
      chunks.push(new Uint8Array(bytes));
    },
    sync: async () => {},
    close: async () => {},
  });
  return {
    list: async (directory) => {
      const names = new Set<string>();
      for (const path of files.keys())
        if (path.startsWith(`${directory}/`)) names.add(path.slice(directory.length + 1).split('/')[0] ?? '');
      return [...names].sort();
    },
    makeDirectory: async () => {},
    read: async (path) => {
      const chunks = files.get(path);
      return chunks === undefined ? undefined : Buffer.concat(chunks);
    },
    readAt: async (path, offset, length) => readAcross(files.get(path) ?? [], offset, length),
    create: async (path) => {
      const chunks: Uint8Array[] = [];
      files.set(path, chunks);
      return file(chunks);
    },
    open: async (path) => {
      const chunks = files.get(path);
      if (chunks === undefined) throw new Error(`${path} does not exist`);
      return file(chunks);
    },
    truncate: async (path, size) => {
      const chunks = files.get(path);
      if (chunks === undefined) throw new Error(`${path} does not exist`);
      files.set(path, [Buffer.concat(chunks).subarray(0, size)]);
    },
    rename: async (from, to) => {
      for (const [path, chunks] of [...files]) {
        if (path !== from && !path.startsWith(`${from}/`)) continue;
        files.delete(path);
        files.set(to + path.slice(from.length), chunks);
      }
    },
    remove: async (path) => {
      for (const known of [...files.keys()])
        if (known === path || known.startsWith(`${path}/`)) files.delete(known);
    },
    syncDirectory: async () => {},
  };
}

function readAcross(chunks: readonly Uint8Array[], offset: number, length: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let start = 0;
  let wanted = length;
  for (const chunk of chunks) {
    const from = Math.max(0, offset - start);
    if (from < chunk.length && wanted > 0) {
      const part = chunk.subarray(from, Math.min(chunk.length, from + wanted));
      parts.push(part);
      wanted -= part.length;
    }
    start += chunk.length;
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
}
