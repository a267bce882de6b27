/** Small files under data_dir, written so that each is either the old or the new one, whatever happens. */

import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface StoredFile {
  readonly path: string;
  /** The content, or why it could not be read. */
  readonly content: string | Error;
}

/**
 * Writes and removes files by path; the newest wish for a path wins, older ones that were not begun are skipped.
 *
 * Invariants: at most one operation per path and `MAX_PARALLEL` in all are under way; memory is bounded by the number of
 * paths with a pending wish.
 */
export class DefinitionFiles {
  readonly #pending = new Map<string, Wish>();
  readonly #active = new Set<string>();
  readonly #folders = new Set<string>();
  readonly #running = new Map<string, Wish>();
  readonly #folderSyncs = new FolderSyncs();

  /**
   * @param isDurable false spares the disk the sync: for content that a crash may lose. The file is whole or old all the same
   * @returns resolves when this text, or a newer wish for the path, is on disk; rejects with the file system's error
   */
  write(path: string, text: string, isDurable = true): Promise<void> {
    return this.#want(path, { text, isDurable });
  }

  /** A file that is not there is fine. */
  remove(path: string): Promise<void> {
    return this.#want(path, { text: undefined, isDurable: true });
  }

  /** Resolves when nothing is pending. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0 || this.#active.size > 0)
      await Promise.allSettled(
        [...this.#pending.values(), ...this.#running.values()].map((wish) => wish.promise),
      );
  }

  #want(path: string, content: Content): Promise<void> {
    const before = this.#pending.get(path);
    if (before !== undefined) {
      before.content = { text: content.text, isDurable: content.isDurable || before.content.isDurable };
      return before.promise;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // A failure reaches those who wait; a write that nobody waits for must not end the process.
    promise.catch(() => {});
    this.#pending.set(path, { content, promise, resolve, reject });
    this.#startNext();
    return promise;
  }

  #startNext(): void {
    for (const [path, wish] of this.#pending) {
      if (this.#active.size >= MAX_PARALLEL) return;
      if (this.#active.has(path)) continue;
      this.#pending.delete(path);
      this.#active.add(path);
      this.#running.set(path, wish);
      void this.#perform(path, wish);
    }
  }

  async #perform(path: string, wish: Wish): Promise<void> {
    try {
      if (wish.content.text === undefined) await this.#removeFile(path);
      else await this.#replaceFile(path, wish.content.text, wish.content.isDurable);
      wish.resolve();
    } catch (error) {
      wish.reject(error);
    }
    this.#active.delete(path);
    this.#running.delete(path);
    this.#startNext();
  }

  async #replaceFile(path: string, text: string, isDurable: boolean): Promise<void> {
    const folder = dirname(path);
    if (!this.#folders.has(folder)) {
      await mkdir(folder, { recursive: true, mode: 0o755 });
      this.#folders.add(folder);
    }
    const temporary = `${path}${TEMPORARY_SUFFIX}`;
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(text);
      if (isDurable) await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    // The name is durable only when the folder is.
    if (isDurable) await this.#folderSyncs.sync(folder);
  }

  async #removeFile(path: string): Promise<void> {
    try {
      await unlink(path);
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
    await this.#folderSyncs.sync(dirname(path));
  }
}

/** Files of a folder, without folders. A folder that does not exist is empty. Left-over temporary files are removed. */
export async function readFolder(folder: string): Promise<StoredFile[]> {
  let names: string[];
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
  const leftOver = names.filter((name) => name.endsWith(TEMPORARY_SUFFIX));
  await Promise.all(leftOver.map((name) => unlink(join(folder, name))));
  const wanted = names.filter((name) => !name.endsWith(TEMPORARY_SUFFIX)).sort();
  const files: StoredFile[] = [];
  for (let at = 0; at < wanted.length; at += MAX_PARALLEL_READS) {
    const part = wanted.slice(at, at + MAX_PARALLEL_READS);
    files.push(...(await Promise.all(part.map((name) => readStored(join(folder, name))))));
  }
  return files;
}

const TEMPORARY_SUFFIX = '.tmp';
/** More would only queue in the file system's thread pool, ahead of others who use it. */
const MAX_PARALLEL = 4;
const MAX_PARALLEL_READS = 32;

interface Content {
  readonly text: string | undefined;
  readonly isDurable: boolean;
}

interface Wish {
  content: Content;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Syncs of a folder: one under way and one next, which serves all who ask meanwhile. */
class FolderSyncs {
  readonly #running = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  /** Resolves when a sync that began after this call has ended. */
  sync(folder: string): Promise<void> {
    const running = this.#running.get(folder);
    if (running === undefined) return this.#start(folder);
    const waiting = this.#next.get(folder);
    if (waiting !== undefined) return waiting;
    const next = running
      .catch(() => {})
      .then(() => {
        this.#next.delete(folder);
        return this.#start(folder);
      });
    this.#next.set(folder, next);
    return next;
  }

  #start(folder: string): Promise<void> {
    const sync = syncFolder(folder).finally(() => this.#running.delete(folder));
    this.#running.set(folder, sync);
    return sync;
  }
}

async function readStored(path: string): Promise<StoredFile> {
  try {
    return { path, content: await readFile(path, 'utf8') };
  } catch (error) {
    return { path, content: error instanceof Error ? error : new Error(String(error)) };
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
