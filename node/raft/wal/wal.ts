/** The log on disk: append-only segments, one frame and one sync per batch. Format: see record.ts. */

import { asIndex, type HardState, ZERO_INDEX } from '../core/entry.ts';
import type { LogIndex } from '../types.ts';
import { type AppendFile, type Disk, isDiskFull, writeFile } from './disk.ts';
import type { LogStorage, StoredLog } from './log-storage.ts';
import {
  checkSegmentHeader,
  decodeItems,
  encodeFrame,
  encodeSegmentHeader,
  FRAME_HEADER_BYTES,
  framePayload,
  SEGMENT_HEADER_BYTES,
  type WalItem,
} from './record.ts';
import { Replay } from './replay.ts';
import { isTornTail } from './torn-tail.ts';

export interface WalOptions {
  readonly disk: Disk;
  readonly directory: string;
  /** A segment that has grown past this is followed by a new one. Whole segments are what compaction frees. */
  readonly segmentBytes?: number;
}

const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024;
const SEGMENT_NAME = /^log-([0-9a-f]{16})\.wal$/;

/** The sequence number in a segment's file name; undefined when the file is none. */
export function parseSegmentName(name: string): number | undefined {
  const digits = SEGMENT_NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

/** The log file holds something that was never written like this. `message` names file, offset and remedy. */
export class LogDamagedError extends Error {
  override readonly name = 'LogDamagedError';

  constructor(path: string, offset: number, what: string) {
    super(
      `raft log ${path} is damaged at offset ${offset}: ${what}. Nothing was changed. ` +
        'If the other servers have a quorum, move the raft directory and the node-id file of this server away and ' +
        'let it join as a new one; ' +
        'if not, restore the file from a copy, or the cluster from a snapshot archive.',
    );
  }
}

interface Segment {
  readonly sequence: number;
  readonly path: string;
  /** The highest index that anything in it speaks of. */
  maxIndex: LogIndex;
}

/**
 * Invariant: `#segments` ascends by sequence and its last one is the one open in `#file`; each begins with the term
 * and vote then in force, so that older ones may go.
 */
export class Wal implements LogStorage {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #segmentBytes: number;
  #segments: Segment[] = [];
  #file: AppendFile | undefined;
  #size = 0;
  #hardState: HardState | undefined;
  #failure: Error | undefined;

  constructor(options: WalOptions) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#segmentBytes = options.segmentBytes ?? DEFAULT_SEGMENT_BYTES;
  }

  /** @throws LogDamagedError */
  async load(): Promise<StoredLog> {
    await this.#disk.makeDirectory(this.#directory);
    const replay = new Replay();
    this.#segments = await this.#listSegments();
    for (const segment of [...this.#segments]) await this.#loadSegment(segment, replay);
    const newest = this.#segments[this.#segments.length - 1];
    if (newest !== undefined) this.#file = await this.#disk.open(newest.path);
    const stored = replay.finish();
    this.#hardState = stored.hardState;
    return stored;
  }

  async append(items: readonly WalItem[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await this.#append(items);
    } catch (error) {
      // A full disk is no damage: what was written in part is cut off, and the log stays as it was.
      if (isDiskFull(error) && (await this.#undo())) throw error;
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw this.#failure;
    }
  }

  async compact(index: LogIndex): Promise<void> {
    let removed = false;
    for (;;) {
      const oldest = this.#segments[0];
      if (oldest === undefined || oldest.maxIndex > index) break;
      // The newest that speaks of entries stays, so that a log whose snapshot is damaged never looks empty.
      if (!this.#segments.some((later) => later !== oldest && later.maxIndex > 0)) break;
      this.#segments.shift();
      // Oldest first, so that a crash in between leaves a log without holes.
      await this.#disk.remove(oldest.path);
      removed = true;
    }
    if (removed) await this.#disk.syncDirectory(this.#directory);
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#failure ??= new Error('raft log is closed');
    await file?.close();
  }

  async #listSegments(): Promise<Segment[]> {
    const segments: Segment[] = [];
    for (const name of await this.#disk.list(this.#directory)) {
      const sequence = parseSegmentName(name);
      if (sequence === undefined) continue;
      segments.push({ sequence, path: `${this.#directory}/${name}`, maxIndex: ZERO_INDEX });
    }
    for (const [i, segment] of segments.entries()) {
      const before = segments[i - 1];
      if (before !== undefined && segment.sequence !== before.sequence + 1)
        throw new LogDamagedError(segment.path, 0, `segment ${before.sequence + 1} before it is missing`);
    }
    return segments;
  }

  async #loadSegment(segment: Segment, replay: Replay): Promise<void> {
    const bytes = (await this.#disk.read(segment.path)) ?? new Uint8Array(0);
    const isNewest = segment === this.#segments[this.#segments.length - 1];
    if (isNewest && bytes.length <= SEGMENT_HEADER_BYTES && !hasSoundHeader(bytes, segment.sequence)) {
      // A crash while the file was made; nothing was in it yet.
      await this.#disk.remove(segment.path);
      await this.#disk.syncDirectory(this.#directory);
      this.#segments.pop();
      return;
    }
    try {
      checkSegmentHeader(bytes, segment.sequence);
    } catch (error) {
      throw new LogDamagedError(segment.path, 0, textOf(error));
    }
    const end = this.#replaySegment(segment, bytes, replay, isNewest);
    if (end < bytes.length) await this.#disk.truncate(segment.path, end);
    this.#size = end;
  }

  /** @returns where the sound frames end: before the end only if a torn tail follows */
  #replaySegment(segment: Segment, bytes: Uint8Array, replay: Replay, isNewest: boolean): number {
    let offset = SEGMENT_HEADER_BYTES;
    while (offset < bytes.length) {
      const payload = framePayload(bytes, offset);
      if (payload === undefined) {
        if (isNewest && isTornTail(bytes, offset)) return offset;
        throw new LogDamagedError(segment.path, offset, 'checksum does not match');
      }
      try {
        for (const item of decodeItems(payload)) {
          replay.add(item);
          segment.maxIndex = asIndex(Math.max(segment.maxIndex, highestIndex(item)));
        }
      } catch (error) {
        throw new LogDamagedError(segment.path, offset, textOf(error));
      }
      offset += FRAME_HEADER_BYTES + payload.length;
    }
    return offset;
  }

  async #append(items: readonly WalItem[]): Promise<void> {
    if (this.#file === undefined || this.#size >= this.#segmentBytes) await this.#startSegment();
    const isFirst = this.#size === SEGMENT_HEADER_BYTES;
    const opening: WalItem[] =
      isFirst && this.#hardState !== undefined ? [{ kind: 'hard-state', hardState: this.#hardState }] : [];
    const frame = encodeFrame(opening.length === 0 ? items : [...opening, ...items]);
    const segment = this.#segments[this.#segments.length - 1];
    const file = this.#file;
    if (segment === undefined || file === undefined) throw new Error('raft log is not open');
    await file.appendDurably(frame);
    this.#size += frame.length;
    for (const item of items) {
      if (item.kind === 'hard-state') this.#hardState = item.hardState;
      segment.maxIndex = asIndex(Math.max(segment.maxIndex, highestIndex(item)));
    }
  }

  /** Cuts what a failed append may have left behind the last frame. @returns whether that succeeded */
  async #undo(): Promise<boolean> {
    const segment = this.#segments[this.#segments.length - 1];
    if (segment === undefined || this.#file === undefined) return true;
    try {
      await this.#disk.truncate(segment.path, this.#size);
      return true;
    } catch {
      // The caller reports the full disk, which is the reason.
      return false;
    }
  }

  /** The header is durable before the first frame is written, so that only an empty segment can be torn there. */
  async #startSegment(): Promise<void> {
    const sequence = (this.#segments[this.#segments.length - 1]?.sequence ?? 0) + 1;
    const name = `log-${sequence.toString(16).padStart(16, '0')}.wal`;
    const path = `${this.#directory}/${name}`;
    try {
      await writeFile(this.#disk, path, encodeSegmentHeader(sequence));
      await this.#disk.syncDirectory(this.#directory);
    } catch (error) {
      if (isDiskFull(error)) await this.#disk.remove(path);
      throw error;
    }
    const before = this.#file;
    this.#file = await this.#disk.open(path);
    this.#segments.push({ sequence, path, maxIndex: ZERO_INDEX });
    this.#size = SEGMENT_HEADER_BYTES;
    await before?.close();
  }
}

function highestIndex(item: WalItem): number {
  switch (item.kind) {
    case 'entries':
      return item.entries[item.entries.length - 1]?.index ?? 0;
    case 'reset':
      return item.index;
    case 'recovery':
      return item.configuration.index;
    default:
      return 0;
  }
}

function hasSoundHeader(bytes: Uint8Array, sequence: number): boolean {
  try {
    checkSegmentHeader(bytes, sequence);
    return true;
  } catch {
    // Any failure means the same here: the header was never completed.
    return false;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
