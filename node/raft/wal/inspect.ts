/** Reads the log's segments without changing them: every checksum, the order of terms and indexes, torn tail or damage. */

import type { Defect, FileReport } from '../inspect-report.ts';
import type { Disk } from './disk.ts';
import { LogOutline } from './log-outline.ts';
import {
  checkSegmentHeader,
  decodeItems,
  FRAME_HEADER_BYTES,
  framePayload,
  SEGMENT_HEADER_BYTES,
} from './record.ts';
import { isTornTail } from './torn-tail.ts';
import { parseSegmentName } from './wal.ts';

/** Enough to see the extent; a file of noise must not fill the screen. */
const MAX_DEFECTS_A_FILE = 16;

export interface LogInspection {
  readonly segments: readonly FileReport[];
  /** What the log amounts to; up to the first damage if there is any. */
  readonly outline: LogOutline;
}

/** One segment is in memory at a time. Paths in the reports begin with `directory` as given. */
export async function inspectLog(
  disk: Disk,
  directory: string,
  onFile: (report: FileReport) => void = () => {},
): Promise<LogInspection> {
  const outline = new LogOutline();
  const found = (await disk.list(directory))
    .map((name) => ({ name, sequence: parseSegmentName(name) }))
    .filter((segment): segment is { name: string; sequence: number } => segment.sequence !== undefined);
  const segments: FileReport[] = [];
  let isWhole = true;
  for (const [i, { name, sequence }] of found.entries()) {
    const path = `${directory}/${name}`;
    const before = found[i - 1]?.sequence;
    const isMissing = before !== undefined && sequence !== before + 1;
    const bytes = (await disk.read(path)) ?? new Uint8Array(0);
    const isNewest = i === found.length - 1;
    const look = inspectSegment(bytes, sequence, isNewest, isWhole && !isMissing ? outline : undefined);
    const defects = isMissing ? [missing(before + 1, sequence - 1), ...look.defects] : look.defects;
    if (defects.some(({ severity }) => severity === 'damaged')) isWhole = false;
    const report = { path, kind: 'raft log segment', bytes: bytes.length, detail: look.detail, defects };
    segments.push(report);
    onFile(report);
  }
  return { segments, outline };
}

function missing(from: number, to: number): Defect {
  const which = from === to ? `segment ${from} before it is` : `segments ${from} to ${to} before it are`;
  return { severity: 'damaged', offset: 0, what: `${which} missing` };
}

interface Look {
  readonly detail: string;
  readonly defects: readonly Defect[];
}

/** @param outline undefined after damage: then only checksums are looked at, what follows follows from nothing */
function inspectSegment(
  bytes: Uint8Array,
  sequence: number,
  isNewest: boolean,
  outline: LogOutline | undefined,
): Look {
  try {
    checkSegmentHeader(bytes, sequence);
  } catch (error) {
    const what = textOf(error);
    return isNewest && bytes.length <= SEGMENT_HEADER_BYTES
      ? { detail: '', defects: [{ severity: 'repairable', offset: 0, what: 'begun, nothing in it yet' }] }
      : { detail: '', defects: [{ severity: 'damaged', offset: 0, what }] };
  }
  return inspectFrames(bytes, isNewest, outline);
}

function inspectFrames(bytes: Uint8Array, isNewest: boolean, outline: LogOutline | undefined): Look {
  const defects: Defect[] = [];
  const range = new EntryRange();
  let batches = 0;
  let offset = SEGMENT_HEADER_BYTES;
  while (offset < bytes.length && defects.length < MAX_DEFECTS_A_FILE) {
    const payload = framePayload(bytes, offset);
    if (payload === undefined) {
      if (isNewest && defects.length === 0 && isTornTail(bytes, offset)) {
        const what = `torn tail of ${bytes.length - offset} bytes, as a crash leaves it`;
        defects.push({ severity: 'repairable', offset, what });
        break;
      }
      const next = nextFrame(bytes, offset + 1);
      const lost = (next ?? bytes.length) - offset;
      defects.push({ severity: 'damaged', offset, what: `checksum does not match (${lost} bytes)` });
      offset = next ?? bytes.length;
      continue;
    }
    const what = takeItems(payload, range, defects.length === 0 ? outline : undefined);
    if (what !== undefined) defects.push({ severity: 'damaged', offset, what });
    batches++;
    offset += FRAME_HEADER_BYTES + payload.length;
  }
  return { detail: `${batches} batches${range.text()}`, defects };
}

/** @returns what is wrong with the batch, if anything */
function takeItems(
  payload: Uint8Array,
  range: EntryRange,
  outline: LogOutline | undefined,
): string | undefined {
  try {
    for (const item of decodeItems(payload)) {
      if (item.kind === 'entries') range.add(item.entries[0]?.index, item.entries.at(-1)?.index);
      outline?.add(item);
    }
    return undefined;
  } catch (error) {
    return textOf(error);
  }
}

/** Where the next sound batch begins, so that what is behind the damage is still looked at. */
function nextFrame(bytes: Uint8Array, from: number): number | undefined {
  for (let at = from; at + FRAME_HEADER_BYTES < bytes.length; at++)
    if ((bytes[at] as number) <= 0x40 && framePayload(bytes, at) !== undefined) return at;
  return undefined;
}

class EntryRange {
  #lowest = Number.POSITIVE_INFINITY;
  #highest = 0;

  add(first: number | undefined, last: number | undefined): void {
    if (first === undefined || last === undefined) return;
    this.#lowest = Math.min(this.#lowest, first);
    this.#highest = Math.max(this.#highest, last);
  }

  text(): string {
    return this.#highest === 0 ? '' : `, entries ${this.#lowest} to ${this.#highest}`;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
