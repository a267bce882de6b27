/** Keeps the snapshot file: appends what happens, now and then rewrites it in short. */

import { type FileHandle, mkdir, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../../shared/env.ts';
import type { Logger } from '../../shared/log.ts';
import { hostPort } from './codec/ip-address.ts';
import {
  compactSnapshot,
  isRecordable,
  replaySnapshot,
  type SnapshotClocks,
  type SnapshotContent,
  snapshotLine,
} from './serf/snapshot-lines.ts';
import type { GossipEvent } from './types.ts';

const FLUSH_INTERVAL_MS = 500;
const MIN_COMPACT_BYTES = 128 * 1024;
const BYTES_A_NODE = 128;
const COMPACT_FACTOR = 2;
/** Lines waiting for a slow disk; beyond it the file is rewritten from memory instead. */
const MAX_PENDING_BYTES = 1024 * 1024;
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/**
 * Invariant: `#content` is what file plus `#pending` replay to, except after a leave; writes run one after the other
 * along `#writing`.
 */
export class SnapshotFile {
  /** What an earlier run left: the members then alive and the clocks. */
  readonly previous: SnapshotContent;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #memberClock: () => bigint;
  readonly #content: SnapshotContent;
  #handle: FileHandle | undefined;
  #bytes: number;
  #pending = '';
  #isLeaving = false;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    path: string,
    content: SnapshotContent,
    bytes: number,
    surroundings: { clock: Clock; log: Logger; memberClock: () => bigint },
  ) {
    this.#path = path;
    this.#bytes = bytes;
    this.#clock = surroundings.clock;
    this.#log = surroundings.log;
    this.#memberClock = surroundings.memberClock;
    this.#content = content;
    this.previous = { alive: new Map(content.alive), clocks: { ...content.clocks } };
  }

  /** @throws Error when the file cannot be read or opened for writing */
  static async open(
    path: string,
    rejoinAfterLeave: boolean,
    surroundings: { clock: Clock; log: Logger; memberClock: () => bigint },
  ): Promise<SnapshotFile> {
    await mkdir(dirname(path), { recursive: true });
    const text = await readIfThere(path);
    const content = replaySnapshot(text, rejoinAfterLeave);
    const file = new SnapshotFile(path, content, Buffer.byteLength(text), surroundings);
    file.#handle = await open(path, 'a', 0o644);
    file.#scheduleFlush();
    return file;
  }

  record(event: GossipEvent): void {
    if (event.kind === 'user') {
      this.#recordClock('event', event.lTime);
      return;
    }
    // After a leave the nodes are forgotten on purpose; what still happens must not bring them back.
    if (this.#isLeaving || event.kind === 'member-update' || event.kind === 'member-reap') return;
    for (const { name, address, port } of event.members) {
      if (!isRecordable(name)) continue;
      if (event.kind === 'member-join') {
        const at = hostPort(address, port);
        this.#content.alive.set(name, at);
        this.#append(snapshotLine.alive(name, at));
      } else {
        this.#content.alive.delete(name);
        this.#append(snapshotLine.notAlive(name));
      }
    }
    this.#recordMemberClock();
  }

  recordQuery(lTime: bigint): void {
    this.#recordClock('query', lTime);
  }

  /** We go on purpose: the next start must not rejoin by itself. On disk when the promise resolves. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.#recordMemberClock();
    this.#append(snapshotLine.leave());
    await this.#flush(true);
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#recordMemberClock();
    await this.#flush(true);
    await this.#handle?.close();
    this.#handle = undefined;
  }

  #recordMemberClock(): void {
    this.#recordClock('member', this.#memberClock() - 1n);
  }

  #recordClock(kind: keyof SnapshotClocks, time: bigint): void {
    if (time <= this.#content.clocks[kind]) return;
    this.#content.clocks[kind] = time;
    this.#append(snapshotLine.clock(kind, time));
  }

  #append(line: string): void {
    if (this.#pending.length + line.length <= MAX_PENDING_BYTES) this.#pending += line;
    else this.#bytes = Number.POSITIVE_INFINITY;
  }

  #scheduleFlush(): void {
    this.#timer = this.#clock.setTimer(FLUSH_INTERVAL_MS, () => {
      this.#recordMemberClock();
      void this.#flush(false).finally(() => {
        if (this.#handle !== undefined) this.#scheduleFlush();
      });
    });
  }

  #flush(durably: boolean): Promise<void> {
    if (this.#pending === '' && !durably) return this.#writing;
    this.#writing = this.#writing
      .then(() => this.#write(durably))
      .catch((thrown: unknown) => {
        const error = thrown instanceof Error ? thrown.message : String(thrown);
        this.#log.error('serf: Failed to update snapshot', { error });
      });
    return this.#writing;
  }

  async #write(durably: boolean): Promise<void> {
    const text = this.#pending;
    this.#pending = '';
    if (this.#handle === undefined) return;
    if (text !== '') await this.#handle.appendFile(text);
    this.#bytes += Buffer.byteLength(text);
    const limit = Math.max(MIN_COMPACT_BYTES, this.#content.alive.size * BYTES_A_NODE * COMPACT_FACTOR);
    if (this.#bytes > limit) await this.#compact();
    if (durably) await this.#handle.sync();
  }

  async #compact(): Promise<void> {
    const text = compactSnapshot(this.#content) + (this.#isLeaving ? snapshotLine.leave() : '');
    const beside = `${this.#path}.compact`;
    await writeFile(beside, text, { mode: 0o644, flush: true });
    await rename(beside, this.#path);
    await this.#handle?.close();
    this.#handle = await open(this.#path, 'a', 0o644);
    this.#bytes = Buffer.byteLength(text);
  }
}

async function readIfThere(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES)
      throw new Error(`snapshot file ${path} is larger than ${MAX_FILE_BYTES} bytes`);
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return '';
    throw thrown;
  }
}
