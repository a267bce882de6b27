/** What consensus needs of a file system: small enough that a simulator can tear, lose, fail and fill it. */

/** A file open for appending. Calls must not overlap. */
export interface AppendFile {
  /** Adds the bytes at the end. Not durable before `sync`. */
  append(bytes: Uint8Array): Promise<void>;
  /** As `append` and then `sync`, where the system can in one step. */
  appendDurably(bytes: Uint8Array): Promise<void>;
  /** Makes all that was appended durable. After a failure nothing may be assumed of the file. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Paths are `/`-separated. Failures reject with an Error that names the path. */
export interface Disk {
  /** Names in the directory, sorted; empty when it does not exist. */
  list(directory: string): Promise<readonly string[]>;
  /** Creates the directory and those above it. */
  makeDirectory(directory: string): Promise<void>;
  /** The whole file, or undefined when it does not exist. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Up to `length` bytes from `offset`; fewer at the end. In the memory of `into`, at least so long, if it likes. */
  readAt(path: string, offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  /** Creates the file empty, replacing what was there. Its name is durable after `syncDirectory`. */
  create(path: string, mode?: number): Promise<AppendFile>;
  /** Opens an existing file to append to it, most often durably. */
  open(path: string): Promise<AppendFile>;
  /** Cuts the file to `size` bytes and makes that durable. */
  truncate(path: string, size: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a directory with all in it; succeeds when there is none. */
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals directly in the directory durable. */
  syncDirectory(directory: string): Promise<void>;
}

/** Writes a small file whole: created, appended, synced, closed. */
export async function writeFile(disk: Disk, path: string, bytes: Uint8Array, mode?: number): Promise<void> {
  const file = await disk.create(path, mode);
  try {
    await file.append(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The disk, or the share of it that this program may use, is full. Nothing else is wrong with the file. */
export function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
